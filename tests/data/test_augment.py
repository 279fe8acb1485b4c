"""Augmentation as a whole: what is built, that draws are per image and follow from the generator alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opsin.data.augment import GEOMETRY, SINGLE, Augmentation, build_augmentation
from opsin.errors import OpsinError
from opsin.training.recipe import AUGMENTATIONS, Recipe

EACH: dict[str, dict[str, Any]] = {
    "flip": {"flip": True},
    "vertical_flip": {"vertical_flip": True},
    "crop": {"crop": 2},
    "resized_crop": {"resized_crop": 0.3},
    "rotate": {"rotate": 30.0},
    "translate": {"translate": 0.2},
    "scale": {"scale": 0.3},
    "shear": {"shear": 20.0},
    "colour_jitter": {"colour_jitter": 0.5},
    "cutout": {"cutout": 4},
    "randaugment": {"randaugment": 15},
}


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def build(settings: dict[str, Any], **more: Any) -> Augmentation:
    made = build_augmentation(settings, **more)
    assert made is not None
    return made


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_setting_of_a_recipe_is_known() -> None:
    assert {*GEOMETRY, *SINGLE, "transform"} == set(AUGMENTATIONS)
    assert set(EACH) == set(AUGMENTATIONS) - {"transform"}
    defaults = Recipe()
    assert build_augmentation({name: getattr(defaults, name) for name in EACH}) is None


def test_nothing_asked_is_none_and_the_unknown_is_refused() -> None:
    assert build_augmentation({}) is None
    with pytest.raises(OpsinError, match="unknown augmentation 'mirror'; expected one of flip, vertical_flip"):
        build_augmentation({"mirror": True})


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("setting", EACH.values(), ids=EACH)
def test_draws_are_per_image_and_follow_from_the_generator(setting: dict[str, Any], channels: int) -> None:
    augment = build(setting)
    image = noise(1, 12, 16, channels)
    batch = image.expand(32, -1, -1, -1).contiguous()
    before = batch.clone()
    torch.manual_seed(1)
    found = augment(batch, generator(5))
    assert (found.shape, found.dtype) == (batch.shape, torch.uint8)
    assert found.is_contiguous()
    assert len(found.reshape(32, -1).unique(dim=0)) > 1, "one draw for the whole batch"
    assert torch.equal(batch, before), "the input was changed"
    torch.manual_seed(2)
    assert torch.equal(augment(batch, generator(5)), found)
    assert not torch.equal(augment(batch, generator(6)), found)


@pytest.mark.parametrize("setting", EACH.values(), ids=EACH)
def test_pytorchs_own_random_numbers_are_left_alone(setting: dict[str, Any]) -> None:
    augment, batch = build(setting), noise(4, 12, 16, 3)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    augment(batch, generator())
    assert torch.equal(torch.rand(2), expected)


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 30), st.integers(1, 30), st.integers(1, 4)),
    st.lists(st.sampled_from(sorted(EACH)), unique=True, max_size=11),
    st.integers(0, 2**31),
)
def test_any_size_and_any_settings_together(shape: tuple[int, ...], names: list[str], seed: int) -> None:
    wanted: dict[str, Any] = {}
    for name in names:
        wanted |= EACH[name]
    shortest, longest = min(shape[1:3]), max(shape[1:3])
    wanted["crop"] = min(wanted.get("crop", 0), shortest - 1)
    wanted["cutout"] = min(wanted.get("cutout", 0), longest)
    augment = build_augmentation(wanted)
    if augment is None:
        assert not any(wanted.values())
        return
    found = augment(noise(*shape, seed=seed), generator(seed))
    assert tuple(found.shape) == shape
    assert found.dtype == torch.uint8


def test_the_transform_comes_before_cutout_and_after_the_rest() -> None:
    def blank(images: torch.Tensor) -> torch.Tensor:
        return torch.full_like(images, 7)

    assert build({"rotate": 9.0, "colour_jitter": 0.5}, transform=blank)(noise(2, 8, 8, 1), generator()).unique() == 7
    names = [
        type(stage).__name__ for stage in build({"cutout": 3, "crop": 1, "randaugment": 3}, transform=blank).stages
    ]
    assert names == ["Geometry", "RandAugment", "Own", "Cutout"]
    assert [type(stage).__name__ for stage in build({}, transform=blank).stages] == ["Own"]


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 3, 1), torch.zeros(3, 3, 1, dtype=torch.uint8)])
def test_other_pixels_are_refused(wrong: torch.Tensor) -> None:
    with pytest.raises(OpsinError, match=r"expected uint8 \(n, h, w, c\)"):
        build({"flip": True})(wrong, generator())
