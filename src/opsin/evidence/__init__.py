"""Checks: how faithful an explanation is to its model, and how two models or two explanations differ."""
