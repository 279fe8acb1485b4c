"""Class activation maps: channels of a layer, weighted by what they mean for a score."""
