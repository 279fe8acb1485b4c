"""Real digits with a small trained network and the run folder that it left behind."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from opsin.data.dataset import Dataset
from opsin.data.preprocess import Preprocess
from opsin.files import write_json
from opsin.inference.answers import answer
from opsin.models.classifier import Classifier
from opsin.training.results import write_predictions


def small_digits(count=1797, **settings) -> Dataset:
    """Real digits of 8 x 8 pixels, from scikit-learn; "zero" ... "nine" in that order."""
    from sklearn.datasets import load_digits

    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    data = load_digits()
    pixels = np.round(data.images[:count] * 255 / 16).astype(np.uint8)
    return Dataset.from_arrays(pixels, data.target[:count], classes=names, name="digits", **settings)


def fitted(data: Dataset, steps: int = 60) -> Classifier:
    """A linear network, fitted to the training images for a moment."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, len(data.classes)))
    model = Classifier(network, data.classes, Preprocess.simple(1, 8))
    inputs = model.preprocess.normalise(data.train.pixels(model.preprocess))
    targets = torch.from_numpy(data.train.labels)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(inputs), targets).backward()
        optimiser.step()
    return model


def _write_run(model: Classifier, data: Dataset, out: Path) -> Path:
    """The files of a run that say what was trained on, and what was answered on validation."""
    assert model.preprocess is not None
    write_json(
        out / "run.json",
        {
            "classes": list(model.classes or ()),
            "preprocess": model.preprocess.model_dump(mode="json"),
            "model": model.architecture(),
        },
    )
    data.write_splits(out / "splits.parquet")
    for name in ("best", "last"):
        model.save(out / "weights" / f"{name}.safetensors")
    answers = {split.name: answer(model, data, split.indices) for split in (data.validation, data.test)}
    write_predictions(data, answers, out / "predictions.parquet")
    return out


@pytest.fixture(scope="session")
def write_run():
    """Writes a run folder: `write_run(model, data, out)`."""
    return _write_run


@pytest.fixture(scope="module")
def data() -> Dataset:
    return small_digits()


@pytest.fixture(scope="module")
def finished(data, write_run, tmp_path_factory) -> tuple[Classifier, Path]:
    trained = fitted(data)
    return trained, write_run(trained, data, tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture
def unknown(finished) -> Classifier:
    """A trained model of which nothing more is known."""
    return copy.deepcopy(finished[0])


@pytest.fixture
def model(finished, tmp_path) -> Classifier:
    """The same model with its run."""
    trained = copy.deepcopy(finished[0])
    trained.origin = Path(shutil.copytree(finished[1], tmp_path / "run"))
    return trained
