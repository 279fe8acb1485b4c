"""Dataset: images with integer labels, class names, splits and a content fingerprint."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from opsin.data.decode import Decoded, decode, from_array
from opsin.data.decoded import as_they_are, decoded_pixels
from opsin.data.duplicates import LISTED, Duplicate, find_duplicates, thumbnails
from opsin.data.images import natural_key
from opsin.data.preprocess import Preprocess
from opsin.data.scan import Progress, Scan, check_array, scan
from opsin.data.sources.classes import class_names, label_text
from opsin.data.sources.found import SPLITS, Found
from opsin.data.splits import class_notes, decide_splits
from opsin.errors import OpsinError
from opsin.files import replacing
from opsin.records import Unreadable

FEW_UNREADABLE = 5
SHARE_UNREADABLE = 0.01
"""More unreadable images than both stop the loading."""


@dataclass(eq=False, repr=False)
class Dataset:
    """Images with integer labels, class names and splits. All sequences have one entry per image, in the same order.

    Attributes:
        name: what a run on these images is called by default.
        classes: class names; a label is a position in them.
        labels: int64 `(n,)`.
        names: the path below the source, or the index, of each image.
        hashes: content hashes, 32 hexadecimal digits.
        groups: what must not be divided between splits, "" for an image on its own; None where nothing is known.
        splits: `train`, `validation` or `test`, `(n,)`.
        sizes: int64 `(n, 2)`: height and width of the originals, upright.
        channels: 1 where every image is grey, else 3.
        source: what `load_data` needs to open the same images again, plain values; empty for arrays.
        unreadable: what was left out, and why.
        notes: what a reader has to know of these images.
        pictures: the originals: paths, or an array `(n, h, w)` or `(n, h, w, c)`.
    """

    name: str
    classes: tuple[str, ...]
    labels: np.ndarray
    names: tuple[str, ...]
    hashes: tuple[str, ...]
    groups: tuple[str, ...] | None
    splits: np.ndarray
    sizes: np.ndarray
    channels: int
    source: dict[str, Any]
    unreadable: tuple[Unreadable, ...]
    notes: tuple[str, ...]
    pictures: Sequence[Path] | np.ndarray
    _thumbnails: np.ndarray | None = None

    @classmethod
    def scan(
        cls,
        found: Found,
        *,
        source: Mapping[str, Any],
        seed: int,
        allow_unreadable: bool = False,
        progress: Progress | None = None,
    ) -> Dataset:
        """Read every picture that a source found, leave out those that cannot be read, and decide the splits.

        Args:
            found: the pictures and what the source says of them.
            source: what `load_data` needs to open the same images again.
            seed: decides the splits, together with each image's content or group.
            allow_unreadable: go on however many images cannot be read.
            progress: told what is done, how many images are done, and how many there are.

        Raises:
            OpsinError: more than 1 % and more than five images cannot be read, a class is left without any, fewer than
                two classes, or a label that is not among the classes.
        """
        seen = scan(found.pictures, progress)
        lost = tuple(Unreadable(found.names[at], reason) for at, reason in seen.reasons.items())
        unreadable = (*found.unreadable, *lost)
        _check_unreadable(found, unreadable, allow_unreadable)
        classes = found.classes or tuple(sorted(set(found.labels), key=natural_key))
        kept = [int(at) for at in seen.readable]
        labels = _numbers([found.labels[at] for at in kept], classes, found.name)
        _check_classes(found, classes, labels, lost)
        groups = None if found.groups is None else tuple(found.groups[at] or "" for at in kept)
        given = None if found.splits is None else [found.splits[at] for at in kept]
        splits, split_notes = decide_splits(seen.hashes, groups, given, seed)
        return cls(
            name=found.name,
            classes=classes,
            labels=labels,
            names=tuple(found.names[at] for at in kept),
            hashes=seen.hashes,
            groups=groups,
            splits=splits,
            sizes=seen.sizes,
            channels=3 if seen.colour.any() else 1,
            source=dict(source),
            unreadable=unreadable,
            notes=(
                *found.notes,
                *_unreadable_notes(unreadable),
                *split_notes,
                *class_notes(labels, classes, splits),
                *_group_notes(groups),
            ),
            pictures=_chosen(found.pictures, seen),
            _thumbnails=seen.thumbnails,
        )

    @classmethod
    def from_arrays(
        cls,
        images: Any,
        labels: Iterable[Any],
        classes: Sequence[str] | None = None,
        *,
        name: str = "arrays",
        seed: int = 0,
        splits: Sequence[str | None] | None = None,
        groups: Sequence[Any] | None = None,
    ) -> Dataset:
        """Images that are in memory already; they are not copied, so do not change them afterwards.

        Args:
            images: uint8 (uint16, bool) `(n, h, w)` or `(n, h, w, c)`, c = 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
            labels: one per image: a class name, or a position in `classes`; without `classes` any value is a name.
            classes: class names, in the order of the network's outputs; by default the labels, naturally sorted.
            name: what a run on these images is called by default.
            seed: decides the splits, together with each image's content or group.
            splits: `train`, `validation`, `test` or None per image.
            groups: per image, what must not be divided between splits, such as the patient; None for one on its own.

        Raises:
            OpsinError: another shape or type, numbers that differ, missing labels, or fewer than two classes.
        """
        pictures = _array(images)
        found = Found(
            name=name,
            pictures=pictures,
            labels=_label_names(labels, classes),
            names=[str(at) for at in range(len(pictures))],
            splits=splits,
            groups=None if groups is None else [label_text(group) for group in groups],
            classes=None if classes is None else tuple(classes),
        )
        return cls.scan(found, source={}, seed=seed)

    def __len__(self) -> int:
        return len(self.hashes)

    def __repr__(self) -> str:
        counts = Counter(self.splits.tolist())
        low, high = self.sizes.min(axis=0), self.sizes.max(axis=0)
        size = " x ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(low, high, strict=True))
        parts = ", ".join(f"{name} {counts[name]:,}" for name in SPLITS if counts[name])
        some = ", ".join(self.classes[:5]) + (", ..." if len(self.classes) > 5 else "")
        return (
            f"<Dataset {self.name}: {len(self):,} {'grey' if self.channels == 1 else 'colour'} images of {size} px, "
            f"{len(self.classes)} classes ({some}), {parts}>"
        )

    @property
    def train(self) -> Split:
        """What the network learns from."""
        return Split("train", self)

    @property
    def validation(self) -> Split:
        """What settings, stopping and thresholds are chosen on."""
        return Split("validation", self)

    @property
    def test(self) -> Split:
        """What measures the result, and selects nothing."""
        return Split("test", self)

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits of everything that decides a training: contents, labels, class order, splits."""
        state = hashlib.blake2b(digest_size=16)
        for values in (self.hashes, map(str, self.labels.tolist()), self.classes, self.splits.tolist()):
            for value in values:
                content = value.encode()
                state.update(len(content).to_bytes(8, "big") + content)
            state.update(b"end")
        return state.hexdigest()

    @cached_property
    def duplicates(self) -> list[Duplicate]:
        """Images of validation and test with a copy in an earlier split, found on first use; at most `LISTED`, the
        closest first. A note then says how many there are."""
        small = thumbnails(self.pictures) if isinstance(self.pictures, np.ndarray) else self._thumbnails
        assert small is not None
        found = find_duplicates(self.hashes, self.names, self.splits, small)
        self.notes += _duplicate_notes(found, self.hashes, self.splits)
        return found[:LISTED]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many images of each class there are in each split."""
        of_split = {name: np.bincount(self.labels[self.splits == name], minlength=len(self.classes)) for name in SPLITS}
        return {name: dict(zip(self.classes, counts.tolist(), strict=True)) for name, counts in of_split.items()}

    def pixels(
        self,
        preprocess: Preprocess,
        progress: Callable[[int, int], None] | None = None,
        say: Callable[[str], None] | None = None,
    ) -> np.ndarray:
        """uint8 `(n, h, w, c)`, read-only: every image as the network sees it, before normalising.

        Images in memory that `preprocess` does not change are returned as they are; others are decoded once into the
        cache folder and mapped into memory.

        Args:
            preprocess: decides mode and size.
            progress: told how many images are done, and how many there are.
            say: told what will be written, where and how much, before it is.

        Raises:
            OpsinError: an image has changed since it was loaded, or the cache folder cannot hold the pixels.
        """
        plain = as_they_are(self.pictures, preprocess)
        if plain is not None:
            return plain
        return decoded_pixels(self.pictures, self.hashes, preprocess, name=self.name, progress=progress, say=say)

    def picture(self, index: int) -> Decoded:
        """The original of one image, at its full size.

        Raises:
            UnreadableImage: the file is gone or damaged by now.
        """
        original = self.pictures[index]
        mode = "L" if self.channels == 1 else "RGB"
        return from_array(original, mode) if isinstance(original, np.ndarray) else decode(original, mode)

    def write_splits(self, path: str | Path) -> None:
        """Write which image is where: Parquet with the text columns name, hash, label (its class), group and split.

        Raises:
            OpsinError: the file cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {
            "name": self.names,
            "hash": self.hashes,
            "label": [self.classes[label] for label in self.labels.tolist()],
            "group": self.groups or [None] * len(self),
            "split": self.splits.tolist(),
        }
        table = pa.table({name: pa.array(list(values), pa.string()) for name, values in columns.items()})
        with replacing(path) as temporary:
            pq.write_table(table, temporary)


class Split:
    """The images of one split, or some of them.

    Args:
        indices: int64 `(m,)` positions in the Dataset; None: the whole split.

    Attributes:
        name: `train`, `validation` or `test`.
        dataset: the Dataset that it is a part of.
        indices: int64 `(m,)` positions in the Dataset.
    """

    def __init__(self, name: str, dataset: Dataset, indices: np.ndarray | None = None) -> None:
        self.name = name
        self.dataset = dataset
        self.indices = np.flatnonzero(dataset.splits == name) if indices is None else indices

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return f"<{self.name} of {self.dataset.name}: {len(self):,} images>"

    @property
    def labels(self) -> np.ndarray:
        """int64 `(m,)`, as the Dataset has them at the moment."""
        return self.dataset.labels[self.indices]

    @cached_property
    def hashes(self) -> tuple[str, ...]:
        """Content hashes."""
        return tuple(self.dataset.hashes[at] for at in self.indices.tolist())

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The path below the source, or the index, of each image."""
        return tuple(self.dataset.names[at] for at in self.indices.tolist())

    def pixels(self, preprocess: Preprocess) -> np.ndarray:
        """uint8 `(m, h, w, c)`, a copy; see `Dataset.pixels`."""
        return np.asarray(self.dataset.pixels(preprocess)[self.indices])


def _chosen(pictures: Sequence[Path] | np.ndarray, seen: Scan) -> Sequence[Path] | np.ndarray:
    if isinstance(pictures, np.ndarray):
        return pictures  # all of them: an array is never unreadable
    return [Path(pictures[at]) for at in seen.readable.tolist()]


def _numbers(labels: Sequence[str], classes: Sequence[str], name: str) -> np.ndarray:
    position = {label: at for at, label in enumerate(classes)}
    if len(position) < len(classes):
        twice = next(label for label, count in Counter(classes).items() if count > 1)
        raise OpsinError(f"the classes of {name} hold {twice!r} twice; expected different names")
    try:
        return np.array([position[label] for label in labels], np.int64)
    except KeyError as error:
        raise OpsinError(f"{name} has the label {error.args[0]!r}, which is not among its classes") from None


def _check_unreadable(found: Found, unreadable: Sequence[Unreadable], allowed: bool) -> None:
    count, total = len(unreadable), len(found) + len(found.unreadable)
    if not total:
        raise OpsinError(f"{found.name} holds no images")
    first = f"{unreadable[0].path}: {unreadable[0].reason}" if unreadable else ""
    if count == total:
        raise OpsinError(f"none of the {total:,} images of {found.name} can be read; the first, {first}")
    if count > FEW_UNREADABLE and count > SHARE_UNREADABLE * total and not allowed:
        raise OpsinError(
            f"{count:,} of {total:,} images of {found.name} cannot be read, the first being {first}; repair or remove "
            "them, or go on without them by allow_unreadable=True (--allow-unreadable)"
        )


def _check_classes(found: Found, classes: Sequence[str], labels: np.ndarray, lost: Sequence[Unreadable]) -> None:
    left = np.bincount(labels, minlength=len(classes))
    had = Counter(found.labels)
    reasons = {item.path: item.reason for item in lost}
    for label, count in zip(classes, left.tolist(), strict=True):
        if not count and had[label]:
            name = next(name for name, its in zip(found.names, found.labels, strict=True) if its == label)
            raise OpsinError(
                f"class {label} of {found.name} is left with none of its {had[label]:,} images, as none can be read "
                f"({name}: {reasons[name]}); repair them, or remove the class"
            )
    if (left > 0).sum() < 2:
        only = classes[int(left.argmax())]
        raise OpsinError(
            f"{found.name} has images of one class only, {only} ({left.max():,} images); expected at least two classes"
        )


def _unreadable_notes(unreadable: Sequence[Unreadable]) -> list[str]:
    if not unreadable:
        return []
    first = unreadable[0]
    what = "1 image was" if len(unreadable) == 1 else f"{len(unreadable):,} images were"
    return [f"{what} left out as unreadable, the first being {first.path}: {first.reason}"]


def _group_notes(groups: Sequence[str] | None) -> list[str]:
    if groups is not None and any(groups):
        return []
    return [
        "no groups are known: pictures of one patient, plant or series may stand in several splits, and what is "
        "measured is then too good"
    ]


def _duplicate_notes(found: Sequence[Duplicate], hashes: Sequence[str], splits: np.ndarray) -> tuple[str, ...]:
    notes = []
    if found:
        kinds = Counter(pair.kind for pair in found)
        listed = f"; the first {LISTED} are listed" if len(found) > LISTED else ""
        notes.append(
            f"{len(found):,} images of validation or test have a copy in another split ({kinds['exact']:,} exact, "
            f"{kinds['near']:,} near), so that what is measured is too good{listed}"
        )
    inside = len(hashes) - len(set(zip(hashes, splits.tolist(), strict=True)))
    if inside:
        notes.append(f"{inside:,} images are exact copies of another one in the same split")
    return tuple(notes)


def _array(images: Any) -> np.ndarray:
    try:
        pictures = np.asarray(images)
    except (TypeError, ValueError) as error:
        raise OpsinError(f"images cannot be made into one array ({error}); expected uint8 of equal sizes") from None
    if pictures.dtype == bool:
        pictures = pictures.astype(np.uint8) * 255
    check_array(pictures)
    return pictures


def _label_names(labels: Iterable[Any], classes: Sequence[str] | None) -> list[str]:
    values = [label.item() if isinstance(label, np.generic) else label for label in labels]
    texts = [label_text(value).strip() for value in values]
    missing = [at for at, text in enumerate(texts) if not text]
    if missing:
        raise OpsinError(f"{len(missing):,} of {len(texts):,} labels are missing, the first at {missing[0]}")
    names = class_names(texts if classes is None else classes, "the labels")
    if classes is None:
        return [names[text] for text in texts]
    return [
        _class_at(classes, value) if isinstance(value, int) else text for value, text in zip(values, texts, strict=True)
    ]


def _class_at(classes: Sequence[str], position: int) -> str:
    if not 0 <= position < len(classes):
        raise OpsinError(f"the label {position} was given; expected a position in the {len(classes)} classes, from 0")
    return classes[position]
