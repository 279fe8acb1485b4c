"""The page: parts arranged as one HTML file, with its templates, one style sheet and one script."""
