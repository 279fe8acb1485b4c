"""Where pixels go: exact copies for flips and crops, torchvision's own numbers for affine maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as TF

from opsin.data.augmentations import geometry
from opsin.data.augmentations.geometry import Geometry, inverse_affine, warp
from opsin.errors import OpsinError


def noise(*shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))


def run(pixels: torch.Tensor, seed: int = 0, **settings) -> torch.Tensor:
    return Geometry(**settings)(pixels, torch.Generator().manual_seed(seed))


def candidates(image: np.ndarray, pad: int, flip: bool, vertical_flip: bool) -> dict[bytes, tuple]:
    """Every picture that flips and a padded crop can give, from slices written out."""
    height, width, _ = image.shape
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    found = {}
    for down in range(2 * pad + 1):
        for right in range(2 * pad + 1):
            part = padded[down : down + height, right : right + width]
            for mirrored in {False, flip}:
                for overturned in {False, vertical_flip}:
                    seen = part[:, ::-1] if mirrored else part
                    seen = seen[::-1] if overturned else seen
                    found[seen.tobytes()] = (down, right, mirrored, overturned)
    return found


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("pad", "flip", "vertical_flip"), [(0, True, False), (0, False, True), (2, False, False), (2, True, True)]
)
def test_flips_and_crops_copy_pixels(channels: int, pad: int, flip: bool, vertical_flip: bool) -> None:
    image = noise(1, 5, 7, channels)
    expected = candidates(image[0].numpy(), pad, flip, vertical_flip)
    found = run(image.expand(800, -1, -1, -1).contiguous(), crop=pad, flip=flip, vertical_flip=vertical_flip)
    drawn = [expected[one.tobytes()] for one in found.numpy()]  # a KeyError is a picture that cannot be
    assert len(set(drawn)) == len(expected), "some are never drawn"
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert counts.max() < 5 * 800 / len(expected)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_keep_their_own_place(channels: int) -> None:
    batch = noise(20, 6, 9, channels)
    for settings in ({"crop": 1, "flip": True}, {"rotate": 1e-6, "flip": True, "crop": 1}):
        for image, found in zip(batch.numpy(), run(batch, **settings).numpy(), strict=True):
            assert found.tobytes() in candidates(image, 1, True, False)


def test_resampling_by_whole_pixels_is_the_exact_copy() -> None:
    """The same draws, once as copies and once through the affine map."""
    batch = noise(64, 11, 8, 3)
    plain = run(batch, seed=4, crop=3, flip=True, vertical_flip=True)
    warped = run(batch, seed=4, crop=3, flip=True, vertical_flip=True, rotate=1e-9)
    padded = [candidates(image, 3, True, True) for image in batch.numpy()]
    assert all(one.tobytes() in known for one, known in zip(warped.numpy(), padded, strict=True))
    assert plain.shape == warped.shape


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("angle", "slant", "factor", "moved"),
    [(17, 0, 1, (0, 0)), (0, 25, 1, (0, 0)), (0, 0, 1.3, (0, 0)), (0, 0, 1, (3, -2)), (-40, 12, 0.8, (-2, 4))],
)
def test_affine_maps_are_torchvisions(channels: int, angle: float, slant: float, factor: float, moved: tuple) -> None:
    batch = noise(3, 13, 18, channels)
    theirs = TF.affine(
        batch.permute(0, 3, 1, 2), angle, list(moved), factor, [slant, 0.0], interpolation=InterpolationMode.BILINEAR
    ).permute(0, 2, 3, 1)
    matrix = inverse_affine(*(np.full(3, value, np.float64) for value in (angle, slant, factor)))
    offset = -(matrix @ np.array(moved, np.float64)[:, None])[:, :, 0]
    found = warp(batch, matrix, offset)
    difference = (found.int() - theirs.int()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() < 0.01  # values half way between two


def slow_warp(image: np.ndarray, matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
    height, width, _ = image.shape
    out = np.zeros(image.shape)
    for row in range(height):
        for column in range(width):
            u = np.array([column - (width - 1) / 2, row - (height - 1) / 2])
            x, y = matrix @ u + offset + [(width - 1) / 2, (height - 1) / 2]
            for j in (int(np.floor(y)), int(np.floor(y)) + 1):
                for i in (int(np.floor(x)), int(np.floor(x)) + 1):
                    if 0 <= i < width and 0 <= j < height:
                        out[row, column] += image[j, i] * (1 - abs(x - i)) * (1 - abs(y - j))
    return out


@pytest.mark.parametrize("limit", [1, 2**18])
def test_warp_by_the_formula_and_in_parts(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(geometry, "WARP_VALUES", limit)  # 1: one image at a time
    batch = noise(5, 6, 9, 3)
    draw = np.random.default_rng(1)
    matrix, offset = np.eye(2) + draw.normal(0, 0.2, (5, 2, 2)), draw.normal(0, 1.5, (5, 2))
    found = warp(batch, matrix, offset).numpy()
    for image, one, own_matrix, own_offset in zip(batch.numpy(), found, matrix, offset, strict=True):
        assert np.abs(one - slow_warp(image, own_matrix, own_offset)).max() < 0.51


def spot(places: torch.Tensor) -> torch.Tensor:
    """(x, y) of the middle of what is bright, in pixels from the picture's middle."""
    weights = places[..., 0].float()
    height, width = weights.shape[1:]
    x = (weights.sum(1) * (torch.arange(width) - (width - 1) / 2)).sum(1)
    y = (weights.sum(2) * (torch.arange(height) - (height - 1) / 2)).sum(1)
    return torch.stack([x, y], dim=1) / weights.sum((1, 2))[:, None]


def beacon(count: int, row: int, column: int) -> torch.Tensor:
    """A bright 3 x 3 square on black, 41 x 61."""
    image = torch.zeros(count, 41, 61, 1, dtype=torch.uint8)
    image[:, row - 1 : row + 2, column - 1 : column + 2] = 255
    return image


def test_rotations_fill_their_range() -> None:
    found = spot(run(beacon(400, 20, 45), rotate=30.0))  # 15 pixels right of the middle
    angles = torch.rad2deg(torch.atan2(found[:, 1], found[:, 0]))
    assert angles.abs().max() < 30.5
    assert angles.min() < -27
    assert angles.max() > 27
    assert angles.mean().abs() < 3
    assert torch.allclose(found.norm(dim=1), torch.tensor(15.0), atol=0.3)


def test_shifts_and_scales_fill_their_range() -> None:
    found = spot(run(beacon(400, 20, 30), translate=0.25))
    assert (found.abs().max(dim=0).values < torch.tensor([61 / 4 + 0.1, 41 / 4 + 0.1])).all()
    assert (found.abs().max(dim=0).values > torch.tensor([14.0, 9.5])).all()
    factors = spot(run(beacon(400, 20, 45), scale=0.3))[:, 0] / 15
    assert 0.69 < factors.min() < 0.73
    assert 1.27 < factors.max() < 1.31
    slants = spot(run(beacon(400, 30, 30), shear=20.0))  # 10 pixels below the middle
    assert torch.allclose(slants[:, 1], torch.tensor(10.0), atol=0.1)
    assert slants[:, 0].abs().max() < 10 * np.tan(np.deg2rad(20)) + 0.1
    assert slants[:, 0].abs().max() > 3.3


def test_resized_crops_stay_inside_and_keep_their_share() -> None:
    white = torch.full((300, 20, 30, 1), 255, dtype=torch.uint8)
    assert (run(white, resized_crop=0.1)[:, 1:-1, 1:-1] == 255).all()
    shares, middles = geometry._crops(0.25, torch.rand(4, 2000, generator=torch.Generator().manual_seed(0)).numpy())
    area = shares.prod(axis=1)
    assert area.min() >= 0.24
    assert area.max() <= 1
    assert 0.55 < area.mean() < 0.65
    assert (np.abs(middles) + shares / 2 <= 0.5 + 1e-9).all()
    uncut = (shares < 1).all(axis=1)
    ratio = shares[uncut, 0] / shares[uncut, 1]
    assert 3 / 4 - 1e-6 <= ratio.min() < 0.8
    assert 1.25 < ratio.max() <= 4 / 3 + 1e-6
    same, middle = geometry._crops(1.0, np.full((4, 3), 0.5))
    assert np.array_equal(same, np.ones((3, 2)))
    assert not middle.any()


def test_outside_is_black_and_transparent() -> None:
    white = torch.full((50, 10, 10, 2), 255, dtype=torch.uint8)
    found = run(white, translate=0.5)
    assert found.min() == 0
    assert torch.equal(found[..., 0], found[..., 1])


def test_a_crop_of_nothing_but_padding_is_refused() -> None:
    with pytest.raises(OpsinError, match=r"crop=5 pads images of 5 x 9 pixels.*give less than 5"):
        run(noise(1, 5, 9, 1), crop=5)
