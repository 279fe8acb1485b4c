"""Shared by all tests: where missing components fail, caches, and models that are trained once."""

from __future__ import annotations

import os
from pathlib import Path

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
