"""How names of networks read, without opening any."""

from __future__ import annotations


def is_code(name: str) -> bool:
    """Whether `name` reads as `file.py:Name` or `module:Name`."""
    left, colon, right = name.rpartition(":")
    return bool(colon and left) and right.isidentifier()
