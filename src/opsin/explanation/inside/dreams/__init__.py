"""Pictures that excite something in a network as much as possible (activation maximisation)."""
