"""Drawing: arrays and parts become inline SVG or PNG data."""
