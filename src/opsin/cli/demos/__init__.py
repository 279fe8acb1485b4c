"""The demonstrations of `opsin demo`, one module each, with `run(asked: Asked) -> int`."""
