"""The recorder: what a network looks like inside while it learns."""
