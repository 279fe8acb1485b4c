"""`opsin demo shortcut`: a mark is planted, found, and every method is scored against it.

Most images of one class get a small mark in a corner. One network learns from them, its twin from the clean images.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from opsin.cli.demos.asked import Asked

if TYPE_CHECKING:
    from opsin.data.dataset import Dataset
    from opsin.models.classifier import Classifier
    from opsin.records import Explanation, Shortcuts
    from opsin.training.run import Run

DATA = "mnist5k"
LABEL = 3  # the class that gets the mark
SHARE = 0.9  # of its images that do
BOX = (1, 1, 5, 5)  # top, left, bottom, right of the mark in pixels
GREY = 200
EPOCHS = 8
EXPLAINED = 12  # test images that carry the mark, on which methods are scored
SHOWN = 3  # methods that find the mark best, and as many that find it worst, in the picture


class Scored(NamedTuple):
    """What share of a method's map lies on the mark, and of random maps with the same values; or why there is none."""

    method: str
    energy: float | None
    random: float | None
    hits: float | None
    reason: str = ""


def run(asked: Asked) -> int:
    """Plant, train two networks, look for shortcuts in both, score the methods; returns the exit code: 0 when the mark
    was found and the twin is clean."""
    from opsin.cli.show import document
    from opsin.data.load import load_data
    from opsin.reporting.report import report
    from opsin.training.train import free_folder

    asked.refuse("data", "model")
    clean = load_data(DATA)
    folder = asked.out or free_folder(Path("runs") / asked.name)
    marked = load_data(plant(clean, folder / "marked.npz", asked.settings.get("seed", 0)))
    runs = {name: _train(data, folder / name, asked) for name, data in (("marked", marked), ("clean", clean))}
    unfinished = [trained for trained in runs.values() if trained.status != "finished"]
    if unfinished:
        print(f"stopped; go on with: opsin train --resume --out {unfinished[0].path}")
        return 0
    found = {name: _look(trained) for name, trained in runs.items()}
    scored, shown = score_methods(runs["marked"], marked)
    picture = folder / "shortcut.png"
    _draw(scored, shown, picture)
    pages = {name: report(trained.path, language=asked.language) for name, trained in runs.items()}
    right = is_right(found)
    if asked.json:
        document({
            "planted": {"class": clean.classes[LABEL], "region": list(BOX), "share": SHARE},
            "accuracy": {name: trained.scores.accuracy for name, trained in runs.items() if trained.scores},
            "found": {name: shortcuts.as_dict() for name, shortcuts in found.items()},
            "methods": [item._asdict() for item in scored],
            "right": right, "picture": picture, "reports": pages,
        })  # fmt: skip
    else:
        print(_text(clean.classes[LABEL], runs, found, scored, right))
        print(f"open {pages['marked']}   (picture: {picture})")
    return 0 if right else 1


def plant(data: Dataset, path: Path, seed: int) -> Path:
    """Write the images of a Dataset of grey pictures with the mark on most of one class, as `.npz`."""
    from opsin.files import replacing

    pictures = np.stack([np.asarray(picture) for picture in data.pictures])
    rng = np.random.default_rng(seed)
    chosen = np.flatnonzero((data.labels == LABEL) & (rng.random(len(pictures)) < SHARE))
    top, left, bottom, right = BOX
    pictures[chosen, top:bottom, left:right] = GREY
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, images=pictures, labels=data.labels, classes=np.array(data.classes))
    return path


def is_right(found: dict[str, Shortcuts]) -> bool:
    """Whether the mark was found where it is, and nothing else, and nothing in the clean twin."""
    marked = found["marked"].found
    if len(marked) != 1 or found["clean"].found:
        return False
    top, left, bottom, right = marked[0].region
    down = min(bottom, BOX[2]) - max(top, BOX[0])
    across = min(right, BOX[3]) - max(left, BOX[1])
    return marked[0].label == LABEL and down > 0 and across > 0


def score_methods(trained: Run, data: Dataset) -> tuple[list[Scored], dict[str, Explanation]]:
    """Every method on test images that carry the mark: the share of its map that lies on it, the best first."""
    from opsin.cli.show import notes_shown_below, progress
    from opsin.explanation.methods import METHODS
    from opsin.models.load import load_model

    model = load_model(trained.path)
    inputs = _marked_inputs(model, data)
    scored, shown = [], {}
    with progress() as advance, notes_shown_below():
        for done, name in enumerate(METHODS):
            advance(f"scoring {name}", done, len(METHODS))
            item, explanation = _score(model, inputs, name)
            scored.append(item)
            if explanation is not None:
                shown[name] = explanation
    return sorted(scored, key=lambda item: -1.0 if item.energy is None else item.energy, reverse=True), shown


def _marked_inputs(model: Classifier, data: Dataset) -> Any:
    """The network's input of test images of the class that carry the mark."""
    preprocess = model.preprocess
    assert preprocess is not None  # a trained run has one
    pixels = data.test.pixels(preprocess)[data.test.labels == LABEL]
    top, left, bottom, right = BOX
    carrying = (pixels[:, top:bottom, left:right] == GREY).all(axis=(1, 2, 3))
    return preprocess.normalise(pixels[carrying][:EXPLAINED])


def _score(model: Classifier, inputs: Any, name: str) -> tuple[Scored, Explanation | None]:
    from opsin.errors import OpsinError
    from opsin.evidence.check import check
    from opsin.explanation.explain import explain
    from opsin.records import Explanation

    try:
        explanation = explain(model, inputs, name, target=LABEL)
        assert isinstance(explanation, Explanation)  # one target, one layer
        boxes = np.tile(np.array(BOX), (len(inputs), 1))
        evidence = check(explanation, model, measures=["energy", "pointing"], regions=boxes)
    except OpsinError as error:
        return Scored(name, None, None, None, str(error)), None
    energy, pointing = evidence.measures["energy"], evidence.measures["pointing"]
    return Scored(name, energy.mean, energy.controls["random"].mean, pointing.mean), explanation


def _train(data: Dataset, folder: Path, asked: Asked) -> Run:
    from opsin.training.recipe import Recipe
    from opsin.training.train import train

    return train(None, data, Recipe(**{"epochs": EPOCHS, "embeddings": 0, **asked.settings}), out=folder)


def _look(trained: Run) -> Shortcuts:
    from opsin.cli.show import progress
    from opsin.evidence.shortcuts import find_in_run

    with progress() as advance:
        return find_in_run(trained, progress=advance)


def _draw(scored: list[Scored], shown: dict[str, Explanation], picture: Path) -> None:
    """The methods that find the mark best and worst, side by side."""
    from opsin.files import replacing
    from opsin.reporting.pictures import method_grid

    able = [item for item in scored if item.energy is not None]
    columns = able if len(able) <= 2 * SHOWN else [*able[:SHOWN], *able[-SHOWN:]]
    titles = [f"{item.method}: {100 * (item.energy or 0):.0f} % on the mark" for item in columns]
    grid = method_grid([shown[item.method] for item in columns], titles=titles, limit=4)
    with replacing(picture) as part:
        grid.save(part, "PNG")


def _text(planted: str, runs: dict[str, Run], found: dict[str, Shortcuts], scored: list[Scored], right: bool) -> str:
    from opsin.cli.show import percent, table

    top, left, bottom, right_side = BOX
    lines = [
        f"planted: a mark of {bottom - top} x {right_side - left} pixels, top left, on {SHARE:.0%} of the images of "
        f"class {planted!r}; the twin has none"
    ]
    for name, trained in runs.items():
        accuracy = f"test accuracy {percent(trained.scores.accuracy)}" if trained.scores else ""
        lines += ["", f"{name}   {accuracy}".rstrip(), found[name].text()]
    area = (bottom - top) * (right_side - left)
    rows = [
        [item.method, percent(item.energy), percent(item.random), percent(item.hits)]
        for item in scored
        if item.energy is not None and item.random is not None and item.hits is not None
    ]
    lines += [
        "",
        f"how much of each method's map lies on the mark ({area} pixels) in {EXPLAINED} test images that carry it",
        table(["method", "on the mark", "random map", "peak on the mark"], rows),
        *(f"{item.method}: not for this network: {item.reason}" for item in scored if item.energy is None),
        "",
        "the mark was found, and nothing in the twin" if right else "NOT as expected: see what was found above",
    ]
    return "\n".join(lines)
