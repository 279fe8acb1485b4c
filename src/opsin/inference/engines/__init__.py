"""Engines: faster ways to run the same Classifier, used only after their outputs were compared."""
