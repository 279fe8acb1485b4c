"""Attributions to the input's own values, by differentiating the score with respect to them."""
