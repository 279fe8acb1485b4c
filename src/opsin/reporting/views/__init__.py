"""What the views ask, and how it is answered: the same for the studio, the notebook and the report."""
