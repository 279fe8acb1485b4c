"""Opsin's own networks: standard PyTorch, written to be read, every layer a named module that hooks can see."""
