"""RandAugment: each change at each magnitude is torchvision's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode, v2

from opsin.data.augmentations.randaugment import CHOICES, RandAugment, changed

THEIRS = {
    "identity": "Identity", "shear_x": "ShearX", "shear_y": "ShearY", "translate_x": "TranslateX",
    "translate_y": "TranslateY", "rotate": "Rotate", "brightness": "Brightness", "colour": "Color",
    "contrast": "Contrast", "sharpness": "Sharpness", "posterize": "Posterize", "solarize": "Solarize",
    "autocontrast": "AutoContrast", "equalize": "Equalize",
}  # fmt: skip


def images(channels: int, count: int = 6) -> torch.Tensor:
    """Smooth pictures with some noise, `(n, c, h, w)`: all changes show on them."""
    draw = np.random.default_rng(0)
    ramp = np.add.outer(np.linspace(20, 120, 14), np.linspace(0, 90, 17))
    noisy = ramp + draw.normal(0, 12, (count, channels, 14, 17))
    return torch.from_numpy(noisy.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("magnitude", [1, 9, 30])
@pytest.mark.parametrize("name", CHOICES)
def test_each_change_is_torchvisions(name: str, magnitude: int, channels: int) -> None:
    theirs = v2.RandAugment(interpolation=InterpolationMode.BILINEAR)
    batch = images(channels)
    space, signed = v2.RandAugment._AUGMENTATION_SPACE[THEIRS[name]]
    strengths = space(31, 14, 17)
    strength = 0.0 if strengths is None else float(strengths[magnitude])
    assert CHOICES[name].signed == signed
    for negative in (False, True):
        for image, found in zip(batch, changed(batch, name, magnitude, negative), strict=True):
            expected = theirs._apply_image_or_video_transform(
                image, THEIRS[name], -strength if signed and negative else strength,
                interpolation=InterpolationMode.BILINEAR, fill={},
            )  # fmt: skip
            # a value half way between two may round either way in a batch
            difference = (found.int() - expected.int()).abs()
            assert difference.max() <= 1
            assert (difference > 0).float().mean() < 0.05


def test_the_names_are_all_of_torchvisions() -> None:
    assert set(THEIRS) == set(CHOICES)
    assert set(THEIRS.values()) == set(v2.RandAugment._AUGMENTATION_SPACE)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_moves_with_the_picture_but_keeps_its_values(channels: int) -> None:
    batch = images(channels)
    for name, change in CHOICES.items():
        found = changed(batch, name, 20, False)
        assert torch.equal(found[:, -1], batch[:, -1]) != (change.place and name != "identity"), name


def test_two_changes_each_per_image() -> None:
    batch = images(3, 1).permute(0, 2, 3, 1).expand(400, -1, -1, -1).contiguous()
    found = RandAugment(12)(batch, torch.Generator().manual_seed(0))
    kinds = len(found.reshape(400, -1).unique(dim=0))
    single = {tuple(changed(images(3, 1), name, 12, sign)[0].flatten().tolist()) for name in CHOICES for sign in (0, 1)}
    assert kinds > 3 * len(single)
