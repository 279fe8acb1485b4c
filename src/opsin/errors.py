"""The two ways in which Opsin says no, and how it words it."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches


class OpsinError(ValueError):
    """Misuse: one line that says what was given, what was expected and what to do. The command line exits with 2."""


class CheckFailed(OpsinError):
    """Everything was asked for correctly, but a check did not pass. The command line exits with 1."""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """` (did you mean a, b?)` for the nearest known words, or an empty text."""
    close = get_close_matches(word, known, n=3, cutoff=0.6)
    return f" (did you mean {', '.join(close)}?)" if close else ""


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def some(items: Sequence[str], shown: int = 5) -> str:
    """`a, b, c and 7 more`: a list in a message that has to stay one readable line."""
    rest = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {rest:,} more" if rest > 0 else "")
