"""The two ways in which Opsin says no."""


class OpsinError(ValueError):
    """Misuse: one line that says what was given, what was expected and what to do. The command line exits with 2."""


class CheckFailed(OpsinError):
    """Everything was asked for correctly, but a check did not pass. The command line exits with 1."""
