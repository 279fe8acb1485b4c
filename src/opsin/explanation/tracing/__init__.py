"""A network as a graph of operations, and any of its numbers as arithmetic."""
