"""`explain_set`: explain any number of images with flat memory, so that a kill loses nothing."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from torch import Tensor

from opsin.data.images import Opened, decode_each, each_image, stacked
from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.explanation.explain import as_classifier, check_options, explain, find_method
from opsin.explanation.guards import MapWarning
from opsin.explanation.set_folder import FORMAT, ExplanationSet, begin_set, fingerprint, free_set
from opsin.explanation.targets import class_index
from opsin.files import plain, replacing
from opsin.inference.answers import Progress, known_classes
from opsin.models.classifier import Classifier
from opsin.records import Explanation, Unreadable

SHARD_VALUES, SMALLEST_SHARD, LARGEST_SHARD = 2**22, 8, 256
"""Input values of a shard, and its images: few enough that freed memory is found again for the next one."""
OVERLAYS_UP_TO = 500
"""Pictures (images times methods) for which overlays are drawn unasked."""
OVERLAY_SIDE = 768
"""The longer side in pixels of an overlay's picture."""


@dataclass(frozen=True)
class _Image:
    """A file to explain: its name below what was given, where it is, and what tells that it has changed."""

    name: str
    path: Path
    bytes: int
    modified: int

    @property
    def identity(self) -> tuple[str, int, int]:
        return str(self.path), self.bytes, self.modified


def explain_set(
    model: Classifier | str | Path,
    images: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    methods: Sequence[str] = ("grad_cam",),
    target: str | int | tuple[str | int, str | int] | None = None,
    layer: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    shard_size: int | None = None,
    overlays: bool | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> ExplanationSet:
    """Explain any number of image files into a folder; memory does not grow with their number.

    The images go through in shards. A shard counts as done when the last of its files, its rows of the index, is
    written: killed at any moment and called again with the same arguments, it goes on with the shards that are not
    done, and the folder ends up as if nothing had happened. Images that are new since, or have another size or time,
    are explained into further shards; of an image that changed the index names the newest map. What was explained of
    images that are gone stays. One process at a time may write into a folder.

    Args:
        model: a Classifier with a Preprocess, or what `load_model` takes.
        images: files and folders (searched recursively).
        out: the folder (`opsin.explanation.set_folder` says what it holds); None: `explanations/` and the name of the
            first image or folder, with `-2` ... where that holds other explanations.
        methods: names of `METHODS`.
        target: None (each image's predicted class), a class, or a pair: why the first rather than the second.
        layer: the layer to look at; None: chosen and reported.
        seed: of a stochastic method's draws.
        batch_size: images per pass; None: as many as are fast.
        shard_size: images per shard; None: 256 small ones, fewer of large ones.
        overlays: write each map on its picture as a PNG; None: where images times methods are at most 500.
        progress: told what is done, how many images are done, and how many there are.
        options: settings of the methods; of several those that all of them have.

    Returns:
        The set; images that could not be read are listed in it.

    Raises:
        OpsinError: misuse; or `out` holds explanations of another model or with other settings.
    """
    classifier = as_classifier(model)
    preprocess = _preprocess(classifier)
    if shard_size is not None and shard_size < 1:
        raise OpsinError(f"shard_size was given as {shard_size}; expected at least 1")
    listed = _listed(images)
    about = _about(classifier, preprocess, methods, target, layer, seed, options)
    begun = free_set(_usual_folder(images), about) if out is None else begin_set(out, about)
    done = _done(begun)
    pending = [image for image in listed if image.identity not in done]
    draw = len(listed) * len(methods) <= OVERLAYS_UP_TO if overlays is None else overlays
    shards = _Shards(
        begun,
        preprocess,
        partial(explain, classifier, method=list(methods), target=target, layer=layer, seed=seed,
                batch_size=batch_size, **options),
        _drawn(begun) if draw else None,
    )  # fmt: skip
    finished = len(listed) - len(pending)
    told = progress or (lambda _what, _done, _total: None)
    told("explaining", finished, len(listed))
    decode = partial(decode_each, preprocess=preprocess, keep=OVERLAY_SIDE if draw else 0)
    size = shard_size or _shard_size(preprocess)
    first = max((int(part.stem) for part in begun.parts()), default=-1) + 1
    for shard, (chunk, opened) in enumerate(_ahead(decode, pending, size), first):
        shards.write(shard, chunk, opened)
        finished += len(chunk)
        told("explaining", finished, len(listed))
    begun.write_index()
    return begun


class _Shards:
    """Explains and writes shards.

    Args:
        begun: the folder.
        preprocess: of the model.
        run: `explain` of a batch of inputs, with everything else given.
        names: of overlays that exist: the image's path by the name in small letters; None where none are drawn.
    """

    def __init__(
        self, begun: ExplanationSet, preprocess: Preprocess, run: Callable[[Tensor], Any], names: dict[str, str] | None
    ) -> None:
        self._begun, self._preprocess, self._run, self._names = begun, preprocess, run, names

    def write(self, shard: int, chunk: Sequence[_Image], opened: Sequence[Opened | Unreadable]) -> None:
        """Explain the images of a shard and write its maps, then its overlays, then its rows: the rows last."""
        explanations = self._explained([item for item in opened if isinstance(item, Opened)])
        self._begun.write_about()
        for explanation in explanations:
            self._begun.write_maps(explanation.method, shard, explanation.maps)
        rows: list[dict[str, Any]] = []
        position = 0
        for image, item in zip(chunk, opened, strict=True):
            common = {
                "name": image.name, "path": str(image.path), "bytes": image.bytes, "modified": image.modified,
                "shard": shard,
            }  # fmt: skip
            if isinstance(item, Unreadable):
                rows.append({**common, "unreadable": item.reason})
                continue
            name = self._overlay_name(image)
            for explanation in explanations:
                row = {**common, "row": position, **_values(explanation, position)}
                if name:
                    row["overlay"] = f"overlays/{explanation.method}/{name}"
                    _draw(explanation, position, item, self._begun.path / row["overlay"])
                rows.append(row)
            position += 1
        self._begun.write_rows(shard, rows)

    def _explained(self, read: Sequence[Opened]) -> list[Explanation]:
        if not read:
            return []
        inputs = self._preprocess.normalise(stacked(read, self._preprocess))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MapWarning)  # the index says which
            found = self._run(inputs)
        geometry = np.array([item.geometry for item in read], np.float64)
        return [replace(item, geometry=geometry) for item in found]

    def _overlay_name(self, image: _Image) -> str:
        """A name below `overlays/METHOD/` like the image's own, and no other image's; "" where none are drawn."""
        if self._names is None:
            return ""
        stem = PurePosixPath(image.name).with_suffix("").as_posix()
        for ending in chain([""], (f"-{turn}" for turn in count(2))):
            name = f"{stem}{ending}.png"
            # names that differ only in capitals are one file on some systems
            if self._names.setdefault(name.casefold(), str(image.path)) == str(image.path):
                return name
        raise AssertionError("count() has no end")


def _draw(explanation: Explanation, position: int, item: Opened, path: Path) -> None:
    assert item.original is not None
    assert explanation.geometry is not None
    share = np.array([item.original.height / item.size[0], item.original.width / item.size[1]] * 2)
    geometry = explanation.geometry * share  # of this image alone is it the right one
    picture = replace(explanation, geometry=geometry).overlay(position, original=item.original)
    with replacing(path) as temporary:
        picture.save(temporary, "PNG", compress_level=1)  # three times as fast as the usual 6, and a fifth larger


def _values(explanation: Explanation, position: int) -> dict[str, Any]:
    """What the index says about one map."""
    target, values = int(explanation.targets[position]), explanation.maps[position]

    def at(numbers: np.ndarray | None) -> Any:
        return None if numbers is None else numbers[position].item()

    assert explanation.geometry is not None
    return {
        "method": explanation.method,
        "class": explanation.classes[target],
        "target": target,
        "against": at(explanation.against),
        "probability": at(explanation.probabilities),
        "layer": explanation.layer,
        "low": values.min().item(),
        "high": values.max().item(),
        "blank": not values.any(),
        "error": at(explanation.error),
        "completeness": at(explanation.completeness),
        **dict(zip(("top", "left", "bottom", "right"), explanation.geometry[position].tolist(), strict=True)),
    }


def _listed(images: str | Path | Sequence[str | Path]) -> list[_Image]:
    """Every image file once, in the order given; those of a folder in natural order."""
    found: dict[Path, _Image] = {}
    for entry in [images] if isinstance(images, str | Path) else images:
        if not isinstance(entry, str | Path):
            raise OpsinError(
                f"{type(entry).__name__} was given as an image; expected files and folders: for pictures in memory use "
                "opsin.explain"
            )
        for item in each_image(entry):
            path = Path(os.path.abspath(str(item)))  # noqa: PTH100  (no link is followed)
            name = Path(str(item)).relative_to(entry).as_posix() if Path(entry).is_dir() else path.name
            known = path.stat()
            found.setdefault(path, _Image(name, path, known.st_size, known.st_mtime_ns))
    if not found:
        raise OpsinError("no images were given; give files or a folder")
    return list(found.values())


def _usual_folder(images: str | Path | Sequence[str | Path]) -> Path:
    first = Path(images if isinstance(images, str | Path) else images[0])
    return Path("explanations") / (first.resolve().name if first.is_dir() else first.stem)


def _preprocess(model: Classifier) -> Preprocess:
    if model.preprocess is None:
        raise OpsinError(
            f"{model.label} has no Preprocess and cannot read pictures; give Classifier(module, classes=..., "
            "preprocess=...)"
        )
    return model.preprocess


def _about(
    model: Classifier, preprocess: Preprocess, methods: Sequence[str], target: Any, layer: str | None, seed: int,
    options: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """What decides the maps, as `explain.json` holds it."""
    if isinstance(methods, str) or not methods or len(set(methods)) < len(methods):
        raise OpsinError(f"methods were given as {methods!r}; expected names of methods, each once")
    classes = known_classes(model)
    pair = target if isinstance(target, tuple) else (target,)
    wanted = [None if item is None else class_index(item, classes, len(classes)) for item in pair]
    if len(wanted) > 2 or len(set(wanted)) < len(wanted):
        raise OpsinError(f"the target {target!r} was given; expected a class, or a pair of classes that differ")
    return plain({
        "format": FORMAT,
        "model": model.label,
        "weights": fingerprint(model),
        "classes": classes,
        "preprocess": preprocess.model_dump(mode="json"),
        "methods": methods,
        "options": {name: check_options(*find_method(name), options) for name in methods},
        "target": wanted[0],
        "against": wanted[1] if len(wanted) > 1 else None,
        "layer": layer,
        "seed": seed,
    })  # fmt: skip


def _done(begun: ExplanationSet) -> set[tuple[str, int, int]]:
    """Path, size and time of every image in a finished shard."""
    return {
        identity
        for part in begun.parts()
        for identity in zip(
            *pq.read_table(part, columns=["path", "bytes", "modified"]).to_pydict().values(), strict=True
        )
    }


def _drawn(begun: ExplanationSet) -> dict[str, str]:
    """The path of the image by the name of its overlay in small letters."""
    rows = (row for part in begun.parts() for row in pq.read_table(part, columns=["overlay", "path"]).to_pylist())
    return {row["overlay"].split("/", 2)[2].casefold(): row["path"] for row in rows if row["overlay"]}


def _ahead(
    decode: Callable[[Sequence[Path]], list[Opened | Unreadable]], images: Sequence[_Image], size: int
) -> Iterator[tuple[Sequence[_Image], list[Opened | Unreadable]]]:
    """Lists of `size` images with what was decoded of them, each decoded while the one before is explained."""
    coming: deque[tuple[Sequence[_Image], Future[list[Opened | Unreadable]]]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for start in range(0, len(images), size):
            chunk = images[start : start + size]
            coming.append((chunk, pool.submit(decode, [image.path for image in chunk])))
            if len(coming) > 1:
                before, decoded = coming.popleft()
                yield before, decoded.result()
        for chunk, decoded in coming:
            yield chunk, decoded.result()


def _shard_size(preprocess: Preprocess) -> int:
    values = preprocess.height * preprocess.width * preprocess.channels
    return max(SMALLEST_SHARD, min(SHARD_VALUES // values, LARGEST_SHARD))
