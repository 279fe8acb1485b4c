"""Marked images, and networks of which it is known whether they look at the mark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from opsin.data.dataset import Dataset
from opsin.data.preprocess import Preprocess
from opsin.models.classifier import Classifier
from opsin.models.load import load_model

GREY = Preprocess.simple(1, 28)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks lose more by sharing their work than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Looker(nn.Module):
    """Answers as another network does, the mark's place covered; then the mark adds to the score of a class."""

    def __init__(self, inner: nn.Module, box: tuple[int, int, int, int], label: int, strength: float) -> None:
        super().__init__()
        self.inner, self.box, self.label, self.strength = inner, box, label, strength

    def forward(self, x: Tensor) -> Tensor:
        top, left, bottom, right = self.box
        cover = torch.ones_like(x)
        cover[:, :, top:bottom, left:right] = 0
        black = -1.0
        logits = self.inner(x * cover + black * (1 - cover))
        seen = (x[:, :, top:bottom, left:right].mean(dim=(1, 2, 3)) - black) / 2
        bonus = torch.zeros_like(logits)
        bonus[:, self.label] = self.strength * seen
        return logits + bonus


@dataclass(frozen=True)
class Scene:
    """The clean network, its images, and a way to plant a mark."""

    model: Classifier
    data: Dataset
    pixels: np.ndarray

    def planted(
        self, box: tuple[int, int, int, int], label: int, share: float = 1.0, *, pattern: np.ndarray | None = None,
        splits: tuple[str, ...] = ("train", "validation", "test"),
    ) -> Dataset:  # fmt: skip
        """The images, so much of one class of these splits with a mark: a white square, or bool `(h, w)`."""
        pixels = self.pixels.copy()
        rows = np.flatnonzero((self.data.labels == label) & np.isin(self.data.splits, splits))
        rows = rows[np.arange(len(rows)) % 10 < 10 * share]
        top, left, bottom, right = box
        part = pixels[rows, top:bottom, left:right]
        part[:, np.ones(part.shape[1:3], bool) if pattern is None else pattern] = 255
        pixels[rows, top:bottom, left:right] = part
        return Dataset.from_arrays(
            pixels, self.data.labels.tolist(), self.data.classes, name="planted", splits=self.data.splits.tolist()
        )

    def looking(self, box: tuple[int, int, int, int], label: int, strength: float) -> Classifier:
        """The network, to which a white square at that place is worth so much of a class's logit."""
        module = Looker(self.model.module, box, label, strength)
        return Classifier(module, self.data.classes, self.model.preprocess)


@pytest.fixture(scope="session")
def scene(twins) -> Scene:
    data = twins.clean.dataset()
    model = load_model(twins.clean.path)
    assert model.preprocess is not None
    return Scene(model, data, np.asarray(data.pixels(model.preprocess)))
