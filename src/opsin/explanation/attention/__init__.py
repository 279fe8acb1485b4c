"""Maps of the attention of transformers, caught as functions, so that every way of writing it counts."""
