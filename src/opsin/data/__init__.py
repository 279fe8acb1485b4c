"""Where images come from and how they become arrays: sources, decode, Preprocess, Dataset, cache, augmentation."""
