"""Shortcuts: small places by which a network recognises a class, whatever the object is."""

from opsin.evidence.shortcuts.find import find_shortcuts
from opsin.evidence.shortcuts.of_run import find_in_run, kept_shortcuts

__all__ = ["find_in_run", "find_shortcuts", "kept_shortcuts"]
