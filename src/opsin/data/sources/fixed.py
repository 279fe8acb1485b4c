"""Splits that are the same for everybody: of packaged and published sets, whatever the seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import groupby


def fixed_splits(keys: Sequence[bytes], labels: Sequence[str], *, validation: int, test: int = 0) -> list[str]:
    """`train`, `validation` or `test` for each picture.

    In every class the pictures are put in the order of the BLAKE2b hash of their keys; the first `test` of them are
    for testing, the next `validation` for validation, the rest for training. The order of the pictures in the source
    therefore plays no part. Pictures with equal keys stay together: where they do not fit into what is left of a
    share, they are passed over in favour of the next.

    Args:
        keys: one per picture, such as its pixels, or the name of what must not be divided.
        labels: the class of each picture.
        validation: pictures per class for validation.
        test: pictures per class for testing; 0 where the source has test pictures of its own.
    """
    hashes = [hashlib.blake2b(key, digest_size=16).digest() for key in keys]
    splits = ["train"] * len(hashes)
    order = sorted(range(len(hashes)), key=lambda index: (labels[index], hashes[index], index))
    for _, members in groupby(order, key=lambda index: labels[index]):
        left = {"test": test, "validation": validation}
        for _, same in groupby(members, key=lambda index: hashes[index]):
            indices = list(same)
            split = next((name for name, room in left.items() if len(indices) <= room), "train")
            if split != "train":
                left[split] -= len(indices)
            for index in indices:
                splits[index] = split
    return splits
