"""Explanations by changing the input and looking at the scores: they need no gradients, only many passes."""
