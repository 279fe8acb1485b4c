"""Colours: the stated covariance, the photographs it is stated of, and a bounded contrast."""

import numpy as np
import pytest
import skimage
import torch

from opsin.explanation.inside.dreams.colours import PHOTO_COVARIANCE, PHOTOS, Colours, colours_of, usual_colours


def photograph(name: str) -> np.ndarray:
    found = getattr(skimage.data, name)()
    return (found[0] if isinstance(found, tuple) else found) / 255


def test_the_stated_covariance_is_that_of_the_photographs():
    """Written from its description: logits of the pixels, each photograph counting alike."""
    means, squares = [], []
    for name in PHOTOS:
        pixels = np.clip(photograph(name).reshape(-1, 3), 0.02, 0.98)
        logits = np.log(pixels / (1 - pixels))
        means.append(logits.mean(axis=0))
        squares.append(logits.T @ logits / len(logits))
    mean = np.mean(means, axis=0)
    assert np.allclose(np.mean(squares, axis=0) - np.outer(mean, mean), PHOTO_COVARIANCE, atol=2e-3)


def test_independent_planes_get_the_stated_covariance():
    colours = usual_colours(3, None, 1.0)
    assert torch.allclose(colours.matrix @ colours.matrix.T, torch.tensor(PHOTO_COVARIANCE), atol=1e-5)
    planes = torch.randn(1, 3, 300, 300, generator=torch.Generator().manual_seed(0))
    pictures = colours.pictures(planes)
    logits = torch.logit(pictures.double())[0].flatten(1)
    assert torch.allclose(torch.cov(logits).float(), torch.tensor(PHOTO_COVARIANCE), atol=0.05)


def test_a_matrix_that_is_not_a_root_of_the_covariance_shows():
    """The planted fault: the covariance itself in place of its root."""
    colours = usual_colours(3, None, 1.0)
    wrong = colours.covariance @ colours.covariance.T
    assert not torch.allclose(wrong, colours.covariance, atol=0.5)


def test_planes_of_zeros_are_the_mean_colour_and_the_contrast_is_bounded():
    mean = (0.2, 0.5, 0.7)
    colours = usual_colours(3, mean, 0.15)
    blank = colours.pictures(torch.zeros(2, 3, 4, 4))
    assert torch.allclose(blank, torch.tensor(mean).view(1, 3, 1, 1).expand(2, 3, 4, 4), atol=1e-6)
    planes = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [0.01, 0.1, 1.0, 30.0]
    ).view(-1, 1, 1, 1)
    pictures = colours.pictures(planes)
    contrast = (pictures - torch.tensor(mean).view(1, 3, 1, 1)).square().mean(dim=(1, 2, 3)).sqrt()
    assert float(contrast.max()) <= 0.15 + 1e-6
    assert contrast[:2].max() < 0.14  # what is below the bound is left as it is
    assert torch.allclose(contrast[2:], torch.tensor(0.15), atol=1e-5)
    assert pictures.min() >= 0
    assert pictures.max() <= 1


def test_colours_of_images_are_theirs():
    photo = photograph("coffee")[None, ::4, ::4]
    colours = colours_of(photo, None, "coffee")
    assert np.allclose(colours.mean, photo.mean(axis=(0, 1, 2)), atol=1e-6)
    expected = np.sqrt(((photo - photo.mean(axis=(0, 1, 2))) ** 2).mean())
    assert colours.contrast == pytest.approx(expected, rel=1e-5)
    assert colours_of(photo, 0.3, "coffee").contrast == 0.3
    logits = np.log(np.clip(photo, 0.02, 0.98) / (1 - np.clip(photo, 0.02, 0.98))).reshape(-1, 3)
    assert np.allclose(colours.covariance, np.cov(logits.T), rtol=0.02, atol=0.02)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_images_of_one_colour_leave_something_to_dream_in(channels):
    colours = colours_of(np.zeros((2, 4, 4, channels), np.float32), None, "black")
    assert isinstance(colours, Colours)
    pictures = colours.pictures(torch.randn(1, channels, 8, 8))
    assert torch.isfinite(pictures).all()
    assert float(pictures.std()) > 0
