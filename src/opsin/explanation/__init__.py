"""Why a Classifier answers as it does: maps of the input, arithmetic of one number, what the inside responds to."""
