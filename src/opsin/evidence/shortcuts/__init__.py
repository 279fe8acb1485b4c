"""Shortcuts: small places by which a network recognises a class, whatever the object is."""

from opsin.evidence.shortcuts.find import find_shortcuts

__all__ = ["find_shortcuts"]
