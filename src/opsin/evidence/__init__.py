"""Checks on models: how two of them differ."""
