"""Answers: predict, evaluate, calibrate, and the baselines they stand beside."""
