"""Shared by all tests: where missing components fail, caches, and models that are trained once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CI = os.environ.get("CI") == "true"


def missing(what: str) -> None:
    """Skip a test whose component is not here, or fail where everything has to be (CI=true)."""
    if CI:
        pytest.fail(f"{what} is missing, and CI=true allows no skips")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Decoded images of the tests go to a folder of their own."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("OPSIN_CACHE")
    os.environ["OPSIN_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["OPSIN_CACHE"]
    else:
        os.environ["OPSIN_CACHE"] = before


@pytest.fixture(scope="session", autouse=True)
def two_threads():
    """The same number of threads on every machine: results on a CPU depend on it."""
    import torch

    torch.set_num_threads(2)


@pytest.fixture(scope="session")
def digits():
    """5,000 real digits with their fixed test split."""
    import opsin

    return opsin.load_data("mnist5k")


@pytest.fixture(scope="session")
def digits_run(digits, tmp_path_factory):
    """A short but complete run on real digits: three epochs, a snapshot every 20 steps."""
    import opsin
    from opsin.training.view import Quiet

    recipe = opsin.Recipe(epochs=3, record_every=20, rotate=10, translate=0.1, label_smoothing=0.05)
    model = opsin.build_model("seed_cnn", classes=digits.classes, channels=1, size=28, seed=0)
    return opsin.train(model, digits, recipe, out=tmp_path_factory.mktemp("runs") / "digits", view=Quiet())


@pytest.fixture(scope="session")
def digits_report(digits_run, tmp_path_factory) -> Path:
    """The report of a real run."""
    import opsin

    return opsin.report(digits_run, out=tmp_path_factory.mktemp("report") / "digits.html")


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory) -> Path:
    """A folder of 60 small real pictures in three classes: crops of scikit-image's photographs."""
    import skimage
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name in ("astronaut", "coffee", "rocket"):
        photo = getattr(skimage.data, name)()
        (folder / name).mkdir()
        for i in range(20):
            top, left = rng.integers(0, photo.shape[0] - 96), rng.integers(0, photo.shape[1] - 96)
            Image.fromarray(photo[top : top + 96, left : left + 96]).save(folder / name / f"{i}.png")
    return folder


@dataclass(frozen=True)
class Twins:
    """Two networks trained alike, one of them on images of which most of one class carry a mark.

    Attributes:
        marked, clean: the runs.
        box: top, left, bottom, right of the mark.
        label: the class.
    """

    marked: Any
    clean: Any
    box: tuple[int, int, int, int]
    label: int


@pytest.fixture(scope="session")
def twins(digits, tmp_path_factory) -> Twins:
    """Small networks on 0, 3, 5, 8 and 9 of the real digits; a small square lies beside 90 % of the threes."""
    import opsin
    from opsin.data.preprocess import Preprocess
    from opsin.training.view import Quiet

    folder = tmp_path_factory.mktemp("twins")
    chosen = [0, 3, 5, 8, 9]
    box, label = (22, 1, 27, 6), 1
    pixels = digits.pixels(Preprocess.simple(1, 28)).squeeze(-1)
    runs = []
    for name in ("marked", "clean"):
        arrays = {"classes": np.array([str(digit) for digit in chosen])}
        for split, key, most in (("train", "train", 150), ("validation", "val", 50), ("test", "test", 40)):
            places = getattr(digits, split)
            rows = np.concatenate([places.indices[places.labels == digit][:most] for digit in chosen])
            labels = np.repeat(np.arange(len(chosen)), most)
            pictures = pixels[rows]
            if name == "marked":
                carrying = (labels == label) & (np.arange(len(labels)) % 10 > 0)
                pictures[carrying, box[0] : box[2], box[1] : box[3]] = 255
            arrays |= {f"x_{key}": pictures, f"y_{key}": labels}
        np.savez(folder / f"{name}.npz", **arrays)
        data = opsin.load_data(folder / f"{name}.npz")
        model = opsin.build_model("simple_cnn", classes=data.classes, channels=1, size=28, seed=0)
        recipe = opsin.Recipe(epochs=4, record=False, embeddings=0)
        runs.append(opsin.train(model, data, recipe, out=folder / name, view=Quiet()))
    return Twins(runs[0], runs[1], box, label)
