"""Random changes of training images, a batch at a time, with draws per image."""
