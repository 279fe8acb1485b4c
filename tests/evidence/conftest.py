"""Networks whose right explanation is known, and one that has learnt to see where a bright square lies."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from opsin.models.classifier import Classifier
from opsin.records import Explanation

SIZE = 16
QUARTERS = ("top left", "top right", "bottom left", "bottom right")


class Region(nn.Module):
    """The logit of class `there` is the sum of the top left quarter, that of `elsewhere` is 0."""

    def forward(self, x: Tensor) -> Tensor:
        inside = x[:, :, : SIZE // 2, : SIZE // 2].sum(dim=(1, 2, 3))
        return torch.stack([inside, torch.zeros_like(inside)], dim=1)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Tiny networks lose more by sharing their work than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def region_model() -> Classifier:
    return Classifier(Region(), ("there", "elsewhere"))


@pytest.fixture
def region_map() -> np.ndarray:
    """float32 `(h, w)`: 1 in the quarter, 0 elsewhere."""
    inside = np.zeros((SIZE, SIZE), np.float32)
    inside[: SIZE // 2, : SIZE // 2] = 1
    return inside


@pytest.fixture
def explained():
    """Makes an Explanation of maps and inputs, for class 0 unless targets are given."""

    def make(maps, inputs, classes=("there", "elsewhere"), targets=None, **others) -> Explanation:
        images = len(inputs)
        return Explanation(
            maps=np.ascontiguousarray(maps, np.float32),
            inputs=np.ascontiguousarray(inputs, np.float32),
            method=others.pop("method", "drawn"),
            options={},
            layer=others.pop("layer", ""),
            targets=np.zeros(images, np.int64) if targets is None else np.asarray(targets),
            classes=classes,
            names=tuple(f"image {i}" for i in range(images)),
            **others,
        )

    return make


def squares(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Noise with a bright square of 5 x 5 pixels: `(n, 1, 16, 16)`, the quarter it lies in, and boxes `(n, 4)`."""
    generator = torch.Generator().manual_seed(seed)
    x = 0.3 * torch.randn(count, 1, SIZE, SIZE, generator=generator)
    labels = torch.arange(count) % 4
    place = torch.randint(0, 4, (2, count), generator=generator)
    top, left = place[0] + labels // 2 * 8, place[1] + labels % 2 * 8
    for i in range(count):
        x[i, 0, top[i] : top[i] + 5, left[i] : left[i] + 5] += 1.5
    return x, labels, torch.stack([top, left, top + 5, left + 5], dim=1)


class Quarters(nn.Module):
    """Convolutions, then a linear head on 4 x 4 places, so that places matter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(6, 12, 3, padding=1)
        self.conv3 = nn.Conv2d(12, 12, 3, stride=2, padding=1)
        self.fc = nn.Linear(192, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        return self.fc(torch.relu(self.conv3(x)).flatten(1))


@pytest.fixture(scope="session")
def square_model() -> Classifier:
    """A network that tells in which quarter the bright square lies."""
    torch.manual_seed(0)
    module = Quarters()
    inputs, labels, _ = squares(128, seed=1)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(inputs), labels).backward()
        optimiser.step()
    module.zero_grad()
    return Classifier(module.eval(), QUARTERS)


@pytest.fixture(scope="session")
def square_images() -> tuple[Tensor, Tensor, Tensor]:
    return squares(24, seed=2)
