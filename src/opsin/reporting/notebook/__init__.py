"""The views in a notebook, and how records show themselves there."""
