"""Fourier coefficients as a picture: unit variance, the stated spectrum, and exact gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opsin.explanation.inside.dreams.spectrum import Spectrum


@given(st.integers(5, 24), st.integers(5, 24), st.sampled_from([0.0, 1.0, 1.5]))
@settings(max_examples=20, deadline=None)
def test_independent_coefficients_give_planes_of_variance_one(height, width, decay):
    """Each coefficient adds the power of its own waves, so that one after the other shows the variance of them all."""
    spectrum = Spectrum((height, width), decay)
    count = 2 * spectrum.scale.numel()
    each = torch.eye(count).view(count, 1, *spectrum.scale.shape, 2)
    assert float(spectrum.planes(each).square().mean(dim=(1, 2, 3)).sum()) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (6, 11)])
def test_a_picture_comes_back_from_its_own_coefficients(size):
    spectrum = Spectrum(size, 1.0)
    picture = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    coefficients = torch.view_as_real(torch.fft.rfft2(picture, norm="ortho") / spectrum.scale)
    assert torch.allclose(spectrum.planes(coefficients), picture, atol=1e-5)


def test_gradients_are_those_of_finite_differences():
    spectrum = Spectrum((6, 7), 1.0)
    spectrum.scale = spectrum.scale.double()
    coefficients = torch.randn(1, 2, 6, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(spectrum.planes, coefficients.requires_grad_(True))


def test_the_amplitude_of_a_wave_falls_with_the_power_of_its_frequency():
    draws = torch.Generator().manual_seed(0)
    spectrum = Spectrum((32, 32), 1.5)
    planes = spectrum.planes(torch.cat([spectrum.coefficients(1, draws) for _ in range(400)]))
    power = torch.fft.fft2(planes).abs().square().mean(dim=(0, 1))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32)))
    # neither the mean (its wave has no frequency) nor the fastest waves (which are their own mirror images)
    inner = (frequency > 0.05) & (frequency < 0.4)
    slope = np.polyfit(np.log(frequency[inner]), np.log(power.numpy()[inner]), 1)[0]
    assert slope == pytest.approx(-3.0, abs=0.1)


def test_a_picture_that_is_not_scaled_would_be_grainy():
    """The planted fault: without the decay fine waves have as much power as coarse ones."""
    draws = torch.Generator().manual_seed(0)
    for decay, grainy in ((0.0, True), (1.15, False)):
        planes = Spectrum((64, 64), decay).planes(Spectrum((64, 64), decay).coefficients(1, draws))
        neighbours = torch.corrcoef(torch.stack([planes[..., 1:].flatten(), planes[..., :-1].flatten()]))[0, 1]
        assert (float(neighbours) < 0.1) == grainy
