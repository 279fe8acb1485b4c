"""A person's own transform: three forms, random numbers that can be repeated, and clear refusals."""

from __future__ import annotations

import functools
import random

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from opsin.data.augmentations.own import Own
from opsin.errors import OpsinError

BATCH = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 5, 7, 3), dtype=np.uint8))


def run(transform, batch: torch.Tensor = BATCH, seed: int = 0) -> torch.Tensor:
    return Own(transform)(batch, torch.Generator().manual_seed(seed))


class Albumentations:
    """Calls as albumentations 1 and 2 take them: keywords only, a mapping back, generators of its own."""

    def __init__(self) -> None:
        self.draw = np.random.default_rng()

    def set_random_seed(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)

    def __call__(self, *args, force_apply: bool = False, **data):  # noqa: ARG002
        if args:
            raise KeyError("You have to pass data to augmentations as named arguments")
        image = data["image"]
        assert isinstance(image, np.ndarray)
        return {"image": image[:, ::-1] if self.draw.random() < 0.5 else image}


def keyword_only(*, image):
    return {"image": 255 - image}


def named_image(image):
    image += 1  # in place: the data set must not see it
    return image


def whole_batch(images):
    assert images.ndim == 4
    return images.flip(0)


class Module(nn.Module):
    def forward(self, batch):
        return batch.roll(1, dims=3)


def test_albumentations() -> None:
    found = run(Albumentations())
    same = [torch.equal(a, b) for a, b in zip(found, BATCH, strict=True)]
    turned = [torch.equal(a, b.flip(1)) for a, b in zip(found, BATCH, strict=True)]
    assert all(a != b for a, b in zip(same, turned, strict=True))
    assert len(set(same)) == 2
    assert torch.equal(run(Albumentations()), found)


def test_the_other_forms() -> None:
    before = BATCH.clone()
    assert torch.equal(run(keyword_only), 255 - BATCH)
    assert torch.equal(run(named_image), BATCH + 1)
    assert torch.equal(BATCH, before)
    assert torch.equal(run(whole_batch), BATCH.flip(0))
    assert torch.equal(run(Module()), BATCH.roll(1, dims=2))
    assert torch.equal(run(lambda x: x.flip(-1)), BATCH.flip(2))
    assert torch.equal(
        run(functools.partial(torch.bitwise_xor, other=torch.tensor(255, dtype=torch.uint8))), 255 - BATCH
    )


def test_torchvision_draws_per_image_and_repeats_itself() -> None:
    transform = v2.Compose([v2.RandomHorizontalFlip(), v2.RandomCrop((5, 7), padding=1)])
    batch = BATCH[:1].expand(40, -1, -1, -1).contiguous()
    found = run(transform, batch)
    assert len(found.reshape(40, -1).unique(dim=0)) > 5
    assert torch.equal(run(transform, batch), found)
    assert not torch.equal(run(transform, batch, seed=1), found)


def test_all_usual_random_numbers_can_be_repeated_and_the_callers_stay() -> None:
    def noisy(image):
        offset = random.randrange(50) + np.random.randint(50) + int(torch.randint(50, (1,)))  # noqa: NPY002
        return (image // 2 + offset).astype(np.uint8)

    first, second = run(noisy), run(noisy)
    assert torch.equal(first, second)
    assert not torch.equal(run(noisy, seed=1), first)
    states = []
    for used in (False, True):
        random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
        if used:
            run(noisy)
        states.append((random.random(), np.random.random(), float(torch.rand(1))))  # noqa: NPY002
    assert states[0] == states[1]


def nothing(x):
    """A forgotten return."""


def fails(x):
    raise ValueError("two\nlines")


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (
            lambda x: x.float(),
            r"returned torch.float32 of shape \(3, 5, 7\); expected a tensor.*type uint8.*Preprocess",
        ),
        (lambda x: x[:, :4], r"returned torch.uint8 of shape \(3, 4, 7\); expected.*\(3, 5, 7\)"),
        (nothing, "returned NoneType"),
        (lambda image: {"image": image.astype(np.float32)}, r"returned float32 of shape \(5, 7, 3\)"),
        (lambda image: {"mask": image}, "returned dict"),
        (lambda images: images[:2], r"shape \(2, 3, 5, 7\)"),
        (fails, "transform fails failed with ValueError: two lines.*name its first parameter images"),
        (v2.ToDtype(torch.float32, scale=True), "transform ToDtype returned torch.float32"),
        (7, "int is not"),
    ],
)
def test_what_cannot_be_used_is_said(transform, message: str) -> None:
    with pytest.raises(OpsinError, match=message) as error:
        run(transform)
    assert "\n" not in str(error.value)


def test_the_callers_random_state_stays_after_a_failure() -> None:
    random.seed(1)
    expected = random.random()
    random.seed(1)
    with pytest.raises(OpsinError):
        run(fails)
    assert random.random() == expected
