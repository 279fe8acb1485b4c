"""A convolutional network from first principles, in NumPy: every formula with its code, fast enough to train."""
