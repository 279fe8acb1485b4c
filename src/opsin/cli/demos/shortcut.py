"""`opsin demo shortcut`: does the network look at the object, or at the mark that was planted beside it?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsin.cli.demos.asked import Asked

if TYPE_CHECKING:
    import numpy as np

    from opsin.data.dataset import Dataset
    from opsin.models.classifier import Classifier
    from opsin.records import Evidence, Explanation, Scores, Shortcut, Shortcuts
    from opsin.training.run import Run

DATA = "mnist5k"
MODEL = "seed_cnn"
SETTINGS: Mapping[str, Any] = {"epochs": 3}
KEYS: Mapping[str, str] = {"train": "train", "validation": "val", "test": "test"}  # splits as .npz files name them
CLASS = 9  # position among the classes, counted around
MARKED = 0.9  # share of the class's images
SHOWN = 24  # marked images that every method explains
LARGEST = 256  # pixels of an image's side
# fewer passes where a method runs the network very often
FEWER: Mapping[str, Mapping[str, Any]] = {"rise": {"masks": 500}, "lime": {"samples": 300}}


@dataclass(frozen=True)
class Planted:
    """Images of which some carry a mark, sorted by split.

    Attributes:
        box: top, left, bottom, right of the mark.
        label: the class that carries it.
        rows: bool `(n,)`: which images do.
        pixels: uint8 `(n, h, w, c)`.
        labels, splits: of each image.
    """

    box: tuple[int, int, int, int]
    label: int
    rows: np.ndarray
    pixels: np.ndarray
    labels: np.ndarray
    splits: np.ndarray


def run(asked: Asked) -> int:
    """Plant, train, find, score the methods, write picture and report; returns 0 when the mark was found and the twin
    is clean, else 1."""
    from opsin.cli.show import document, progress
    from opsin.data.load import load_data
    from opsin.errors import CheckFailed
    from opsin.evidence.shortcuts import find_in_run
    from opsin.reporting.report import check_target, report
    from opsin.training.train import free_folder

    began = time.perf_counter()
    folder = asked.out or free_folder(Path("runs") / asked.name)
    check_target(folder / "marked" / "report.html", asked.language)
    with progress() as advance:
        images = load_data(asked.data or DATA, seed=asked.settings.get("seed", 0), progress=advance)
    planted = plant(images, asked.settings.get("seed", 0))
    twin = _train(images, folder / "clean", asked)
    marked = _train(_written(images, planted, folder / "marked.npz"), folder / "marked", asked)
    if any(trained.status != "finished" for trained in (twin, marked)):
        raise CheckFailed(f"stopped before both networks were trained; remove {folder} and start again")
    with progress() as advance:
        found, clean = (find_in_run(trained, progress=advance) for trained in (marked, twin))
    hit = next((item for item in found.found if item.label == planted.label and meets(item, planted)), None)
    scored, refused = score_methods(marked, planted)
    picture = folder / "shortcut.png"
    if hit is not None:
        _draw(hit, scored, picture)
    page = report(marked.path, language=asked.language)
    bare = _without_the_mark(marked, images)
    good = hit is not None and len(found.found) == 1 and not clean.found
    if asked.json:
        document(
            {
                "planted": _described(planted, images),
                "found": good,
                "marked": {
                    "run": marked.path,
                    "accuracy": _accuracy(marked),
                    "without_the_mark": {"accuracy": bare.accuracy, "recall": _recall(bare, planted)},
                    **found.as_dict(),
                },
                "clean": {"run": twin.path, "accuracy": _accuracy(twin), **clean.as_dict()},
                "methods": {item.method: _figures(evidence) for item, evidence in scored},
                "refused": refused,
                "picture": picture if hit is not None else None,
                "report": page,
                "seconds": time.perf_counter() - began,
            }
        )
        return 0 if good else 1
    print(_story(images, planted, bare, (marked, twin), (found, clean), good))
    print(_table(scored, refused, planted))
    print(f"open {page}" + (f"   (picture: {picture})" if hit is not None else ""))
    return 0 if good else 1


def plant(images: Dataset, seed: int) -> Planted:
    """A small bright square in the top left corner of most images of one class.

    Raises:
        OpsinError: the images differ in size, or are too small or too large.
    """
    import numpy as np

    from opsin.errors import OpsinError

    sizes = {tuple(size) for size in images.sizes.tolist()}
    side = min(min(size) for size in sizes)
    if len(sizes) > 1 or not 16 <= side <= LARGEST:
        raise OpsinError(
            f"the images of {images.name} have {len(sizes)} sizes, the smallest side being {side} px; expected images "
            f"of one size of 16 to {LARGEST} px, such as mnist5k, fashion-mnist or photos"
        )
    order = np.concatenate([np.flatnonzero(images.splits == split) for split in KEYS])
    pixels = np.stack([images.picture(at).pixels for at in order.tolist()])
    label = CLASS % len(images.classes)
    rng = np.random.default_rng(seed)
    rows = (images.labels[order] == label) & (rng.random(len(order)) < MARKED)
    margin, edge = max(1, side // 28), max(3, round(side / 6))
    box = (margin, margin, margin + edge, margin + edge)
    pixels[rows, box[0] : box[2], box[1] : box[3]] = 255
    return Planted(box, label, rows, pixels, images.labels[order], images.splits[order])


def meets(item: Shortcut, planted: Planted) -> bool:
    """Whether at least half of the smaller one of the found place and the mark lies in the other."""
    from opsin.evidence.shortcuts.boxes import area, overlap

    box = item.original or item.region
    whole = (round(box[0]), round(box[1]), round(box[2]), round(box[3]))
    return overlap(whole, planted.box) >= min(area(whole), area(planted.box)) / 2


def score_methods(marked: Run, planted: Planted) -> tuple[list[tuple[Explanation, Evidence]], dict[str, str]]:
    """Every method on images of the class that carry the mark: how much of its map lies in it, the best first; and by
    name why the others cannot be used here."""
    from opsin.cli.show import notes_shown_below
    from opsin.errors import OpsinError
    from opsin.evidence.check import check
    from opsin.explanation.explain import explain
    from opsin.explanation.methods import METHODS
    from opsin.models.load import load_model
    from opsin.records import Explanation

    model = load_model(marked.path)
    pictures, regions = _carriers(model, planted)
    scored, refused = [], {}
    for method in METHODS:
        try:
            with notes_shown_below():
                explanation = explain(model, pictures, method, target=planted.label, **FEWER.get(method, {}))
                assert isinstance(explanation, Explanation)  # one class, one layer
                evidence = check(explanation, model, measures=("energy", "pointing"), regions=regions)
        except OpsinError as error:
            refused[method] = str(error)
            continue
        scored.append((explanation, evidence))
    scored.sort(key=lambda pair: -pair[1].measures["energy"].mean)
    return scored, refused


def _carriers(model: Classifier, planted: Planted) -> tuple[list[np.ndarray], np.ndarray]:
    """Marked test images (training images where there are too few), and the mark's place in the network's input."""
    import numpy as np

    rows = np.flatnonzero(planted.rows)
    rows = rows[np.argsort(planted.splits[rows] != "test", kind="stable")][:SHOWN]
    assert model.preprocess is not None
    height, width = planted.pixels.shape[1:3]
    top, left, bottom, right = model.preprocess.geometry((height, width))
    down, across = model.preprocess.height / (bottom - top), model.preprocess.width / (right - left)
    box = [(planted.box[0] - top) * down, (planted.box[1] - left) * across,
           (planted.box[2] - top) * down, (planted.box[3] - left) * across]  # fmt: skip
    return [planted.pixels[at] for at in rows], np.repeat(np.round([box]).astype(int), len(rows), axis=0)


def _train(images: Dataset, folder: Path, asked: Asked) -> Run:
    from opsin.models.build import build_model
    from opsin.training.recipe import Recipe
    from opsin.training.train import train

    recipe = Recipe(**{**SETTINGS, **asked.settings})
    if asked.model is not None:
        return train(asked.model, images, recipe, out=folder)
    size = (int(images.sizes[0][0]), int(images.sizes[0][1]))
    model = build_model(MODEL, classes=images.classes, channels=images.channels, size=size, seed=recipe.seed)
    return train(model, images, recipe, out=folder)


def _written(images: Dataset, planted: Planted, path: Path) -> Dataset:
    """The marked images as a file, so that the run can open them again, with the splits of the original."""
    import numpy as np

    from opsin.data.load import load_data
    from opsin.files import replacing

    arrays: dict[str, np.ndarray] = {"classes": np.array(images.classes)}
    for split, key in KEYS.items():
        rows = planted.splits == split
        if rows.any():
            arrays |= {f"x_{key}": planted.pixels[rows], f"y_{key}": planted.labels[rows]}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    return load_data(path)


def _without_the_mark(marked: Run, images: Dataset) -> Scores:
    """The network that was trained on marked images, on the same test images as they were before."""
    from opsin.inference.evaluate import evaluate
    from opsin.models.load import load_model

    return evaluate(load_model(marked.path), images.test, baselines=False)


def _recall(scores: Scores, planted: Planted) -> float:
    return scores.per_class[planted.label].recall


def _accuracy(trained: Run) -> float | None:
    return None if trained.scores is None else trained.scores.accuracy


def _described(planted: Planted, images: Dataset) -> dict[str, Any]:
    return {
        "class": images.classes[planted.label],
        "region": planted.box,
        "images": int(planted.rows.sum()),
        "share": float(planted.rows.sum() / (planted.labels == planted.label).sum()),
    }


def _draw(hit: Shortcut, scored: list[tuple[Explanation, Evidence]], picture: Path) -> None:
    from opsin.files import replacing
    from opsin.reporting.pictures import shortcut_sheet

    captions = [f"{100 * evidence.measures['energy'].mean:.0f} % in the mark" for _, evidence in scored]
    with replacing(picture) as temporary:
        shortcut_sheet(hit, [explanation for explanation, _ in scored], captions).save(temporary, "PNG")


def _figures(evidence: Evidence) -> dict[str, Any]:
    """Per measure the mean with its interval, that of random maps, and the p-value beside them."""
    return {
        name: {
            "mean": measure.mean,
            "interval": measure.interval._asdict(),
            "random": measure.controls["random"].mean,
            "p_value": measure.controls["random"].p_value,
        }
        for name, measure in evidence.measures.items()
    }


def _story(
    images: Dataset, planted: Planted, bare: Scores, runs: tuple[Run, Run], found: tuple[Shortcuts, Shortcuts],
    good: bool,
) -> str:  # fmt: skip
    from opsin.cli.show import percent

    name = images.classes[planted.label]
    top, left, bottom, right = planted.box
    share = percent(_described(planted, images)["share"])
    marked, twin = (percent(accuracy) if (accuracy := _accuracy(one)) is not None else "-" for one in runs)
    lines = [
        f'planted   a bright square, rows {top}-{bottom - 1} and columns {left}-{right - 1}, on {share} of "{name}"',
        f"marked    accuracy {marked} on its own test images; without the mark {percent(bare.accuracy)}, "
        f'recall of "{name}" {percent(_recall(bare, planted))}',
        f"twin      accuracy {twin}, trained on the images as they are",
        "",
        "found in the marked network, which was not told:",
        *(f"  {line}" for line in found[0].text().splitlines()),
        "found in its twin:",
        *(f"  {line}" for line in found[1].text().splitlines()),
        "",
        "the mark was found; the twin raises no alarm" if good else "this is not what was planted: see both runs",
    ]
    return "\n".join(lines)


def _table(scored: list[tuple[Explanation, Evidence]], refused: Mapping[str, str], planted: Planted) -> str:
    """Which method's maps point at the mark: the truth is known here."""
    from opsin.cli.show import percent, table

    height, width = planted.pixels.shape[1:3]
    area = (planted.box[2] - planted.box[0]) * (planted.box[3] - planted.box[1]) / (height * width)
    rows = []
    for explanation, evidence in scored:
        energy, pointing = evidence.measures["energy"], evidence.measures["pointing"]
        beside = energy.controls["random"]
        rows.append([
            explanation.method, percent(energy.mean, energy.interval), percent(beside.mean), percent(pointing.mean),
            percent(pointing.controls["random"].mean), f"{beside.p_value:.2g}",
        ])  # fmt: skip
    count = len(scored[0][0]) if scored else 0
    lines = [
        "",
        f"where every method looks on {count} marked images; the mark is {percent(area)} of the picture",
        table(["method", "share of the map in the mark", "random", "peak in it", "random", "p"], rows),
        *(f"not usable here: {name}: {reason}" for name, reason in refused.items()),
    ]
    return "\n".join(lines)
