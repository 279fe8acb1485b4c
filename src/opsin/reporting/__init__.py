"""Records become parts, parts become a page."""
