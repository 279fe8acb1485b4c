"""Brightness, contrast, saturation against torchvision; cutout against the paper."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as TF

from opsin.data.augmentations.colour import ColourJitter, Cutout, jitter
from opsin.errors import OpsinError


def noise(*shape: int, low: int = 0, high: int = 256) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(low, high, shape, dtype=np.uint8))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("brightness", "contrast", "saturation"), [(1.2, 1, 1), (1, 0.6, 1), (1, 1, 1.4), (0.8, 1.2, 0.7), (1, 1, 1)]
)
def test_jitter_is_torchvisions(channels: int, brightness: float, contrast: float, saturation: float) -> None:
    pixels = noise(4, 9, 7, channels, low=90, high=160)  # nothing is cut, so that the order of cutting does not matter
    theirs = pixels.permute(0, 3, 1, 2).float() / 255
    theirs = TF.adjust_contrast(TF.adjust_brightness(theirs, brightness), contrast)
    theirs = (TF.adjust_saturation(theirs, saturation) * 255).permute(0, 2, 3, 1)
    found = jitter(pixels, *(torch.full((4,), float(value)) for value in (brightness, contrast, saturation)))
    assert (found.float() - theirs).abs().max() < 0.6


def test_what_leaves_the_range_is_cut() -> None:
    one = torch.ones(1)
    found = jitter(torch.tensor([[[[200, 10, 100]]]], dtype=torch.uint8), 2 * one, one, one)
    assert found.flatten().tolist() == [255, 20, 200]
    found = jitter(torch.tensor([[[[200], [0]]]], dtype=torch.uint8), one, 2 * one, one)
    assert found.flatten().tolist() == [255, 0]


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_not_touched(channels: int) -> None:
    pixels = noise(8, 6, 6, channels)
    found = ColourJitter(1.0)(pixels, torch.Generator().manual_seed(0))
    assert torch.equal(found[..., -1], pixels[..., -1])
    assert not torch.equal(found[..., 0], pixels[..., 0])


def test_strengths_fill_their_range() -> None:
    pixels = torch.full((500, 1, 1, 1), 100, dtype=torch.uint8)  # flat and grey: brightness alone changes it
    found = ColourJitter(0.4)(pixels, torch.Generator().manual_seed(0)).float() / 100
    assert 0.6 <= found.min() < 0.63
    assert 1.37 < found.max() <= 1.4


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("side", [1, 3, 4])
def test_cutout_blanks_one_square_with_the_images_mean(channels: int, side: int) -> None:
    pixels = noise(1500, 8, 10, channels, low=0, high=100)
    pixels[:, 0, 0] = 255  # so that the mean is no value of the noise around it by rule
    found = Cutout(side)(pixels, torch.Generator().manual_seed(0))
    mean = pixels.float().mean(dim=(1, 2), keepdim=True).round().byte()
    reached = torch.zeros(8, 10, dtype=torch.bool)
    full = 0
    for before, after, own in zip(pixels, found, mean, strict=True):
        changed = (before != after).any(dim=2)
        rows, columns = changed.any(dim=1).nonzero(), changed.any(dim=0).nonzero()
        if not len(rows):
            continue  # the noise was the mean already
        box = after[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (box == own).all()
        assert max(box.shape[:2]) <= side
        full += box.shape[0] == box.shape[1] == side
        reached |= changed
    assert full > 500
    assert reached.all(), "squares never reach some pixels"


def test_a_square_larger_than_the_picture_is_refused() -> None:
    with pytest.raises(OpsinError, match=r"cutout=11 blanks squares larger than the images of 8 x 10.*at most 10"):
        Cutout(11)(noise(1, 8, 10, 1), torch.Generator())
