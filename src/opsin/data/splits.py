"""Which images train, which tune and which test: decided image by image, so that adding some never moves others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from opsin.data.sources.found import SPLITS
from opsin.errors import OpsinError, some

TRAIN, VALIDATION = 0.7, 0.8
"""Where the shares of training and of validation end; test is the rest."""

FROM_TRAIN = 7 / 8
"""Where training ends when validation is cut out of the source's own training images: again 70 to 10."""

_NAMED = 10


def share_of(key: str, seed: int) -> float:
    """The place of an image (by its content hash) or of a group in [0, 1): uniform, and a function of both only."""
    digest = hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def decide_splits(
    hashes: Sequence[str], groups: Sequence[str] | None, given: Sequence[str | None] | None, seed: int
) -> tuple[np.ndarray, tuple[str, ...]]:
    """`train`, `validation` or `test` for each image, and what a reader has to know of it.

    What the source gives stands. Other images go by the hash of their group, or of their content where they have none
    (None or ""), about 70/10/20; a group follows its members that the source has placed. Where the source gives no
    validation images, an eighth of its training images is taken by the same hash.

    Raises:
        OpsinError: the source names another split.
    """
    keys = list(hashes) if groups is None else [_key(*pair) for pair in zip(groups, hashes, strict=True)]
    place = {key: share_of(key, seed) for key in dict.fromkeys(keys)}
    shares = np.array([place[key] for key in keys])
    drawn = np.array(SPLITS)[np.searchsorted([TRAIN, VALIDATION], shares, side="right")]
    if given is None or not any(given):
        return drawn, ()
    return _with_given(np.array([name or "" for name in given]), drawn, shares, keys)


def class_notes(labels: np.ndarray, classes: Sequence[str], splits: np.ndarray) -> tuple[str, ...]:
    """Names the classes that have too few images for their shares. A split that is empty is not repeated class by
    class."""
    counts = {name: np.bincount(labels[splits == name], minlength=len(classes)) for name in SPLITS}
    total = np.sum(list(counts.values()), axis=0)
    missing = {
        "train": "no training image: the network cannot learn it",
        "validation": "no validation image: nothing is known of it while training",
        "test": "no test image: it is not measured",
    }
    notes = [
        *_note(classes, total == 0, "no image at all: the network cannot learn it"),
        *_note(classes, total == 1, "a single image"),
    ]
    for name, text in missing.items():
        if counts[name].any():
            notes += _note(classes, (counts[name] == 0) & (total > 0), text)
        else:
            notes.append(f"there are no {name} images")
    return tuple(notes)


def _with_given(
    splits: np.ndarray, drawn: np.ndarray, shares: np.ndarray, keys: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    unknown = sorted(set(splits.tolist()) - {"", *SPLITS})
    if unknown:
        raise OpsinError(f"the split {unknown[0]!r} was given; expected one of {', '.join(SPLITS)}, or nothing")
    notes = []
    open_ones = splits == ""
    placed: dict[str, set[str]] = {}
    for key, name in zip(keys, splits.tolist(), strict=True):
        if name:
            placed.setdefault(key, set()).add(name)
    if open_ones.any():
        notes.append(f"{open_ones.sum():,} images have no split in the source: their content or group decides")
        followed = [min(placed[key]) if key in placed else str(name) for key, name in zip(keys, drawn, strict=True)]
        splits = np.where(open_ones, followed, splits)
    torn = [key.removeprefix("group ") for key, names in placed.items() if len(names) > 1 and key.startswith("group ")]
    if torn:
        notes.append(f"the source itself has some of one group in several splits: {some(torn)}; scores may be too good")
    if not (splits == "validation").any() and (splits == "train").any():
        splits = np.where((splits == "train") & (shares >= FROM_TRAIN), "validation", splits)
        notes.append("the source gives no validation images: an eighth of its training images is used")
    return splits.astype("U10"), tuple(notes)


def _key(group: str | None, content: str) -> str:
    return f"group {group}" if group else content


def _note(classes: Sequence[str], chosen: np.ndarray, text: str) -> list[str]:
    names = [name for name, meant in zip(classes, chosen.tolist(), strict=True) if meant]
    return [f"{'class' if len(names) == 1 else 'classes'} {some(names, _NAMED)}: {text}"] if names else []
