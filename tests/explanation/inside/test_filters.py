"""Filters: the kernels as they act, and a share of Gabor-like ones that a control keeps honest."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import opsin
from opsin.explanation.inside.gabor import fit_gabor, gabor, random_kernels
from opsin.records import Filters


def bank(size: int, count: int = 8) -> np.ndarray:
    """Gabor kernels in several directions and phases, with about one and a half waves under the envelope."""
    draws = np.random.default_rng(size)
    kernels = [
        gabor(
            np.array([
                1.0, *draws.uniform(-0.4, 0.4, 2), draws.uniform(0, np.pi), size / 5, size / 4, 1.6 / size,
                draws.uniform(-np.pi, np.pi),
            ]),
            (size, size),
        )
        for _ in range(count)
    ]  # fmt: skip
    return np.stack(kernels)


def network(kernels: np.ndarray) -> nn.Module:
    """A network whose first convolution has these kernels `(out, in, kh, kw)`."""
    out, inputs, height, width = kernels.shape
    conv = nn.Conv2d(inputs, out, (height, width))
    with torch.no_grad():
        conv.weight.copy_(torch.from_numpy(kernels))
    return nn.Sequential(conv, nn.Flatten())


def by_hand(parameters, size):
    """The function written place by place, straight from Jones and Palmer (1987)."""
    amplitude, row, column, angle, along, across, frequency, phase = parameters
    out = np.zeros((size, size))
    for y in range(size):
        for x in range(size):
            right, down = x - (size - 1) / 2 - column, y - (size - 1) / 2 - row
            u = right * np.cos(angle) + down * np.sin(angle)
            v = -right * np.sin(angle) + down * np.cos(angle)
            envelope = np.exp(-(u**2) / (2 * along**2) - v**2 / (2 * across**2))
            out[y, x] = amplitude * envelope * np.cos(2 * np.pi * frequency * u + phase)
    return out


def test_the_function_is_the_papers():
    parameters = np.array([2.0, 0.3, -0.7, 0.8, 1.5, 2.5, 0.2, 0.6])
    assert np.allclose(gabor(parameters, (7, 7)), by_hand(parameters, 7))


@pytest.mark.parametrize("size", [5, 7, 9])
def test_every_gabor_kernel_is_found_to_be_one(size):
    kernels = bank(size)
    for kernel in kernels:
        fit = fit_gabor(kernel)
        assert fit.r2 > 0.99
        assert 0 <= fit.parameters[3] < np.pi
        rebuilt = gabor(fit.parameters, kernel.shape)  # the parameters are those of the kernel that was fitted
        assert 1 - ((rebuilt - kernel) ** 2).sum() / ((kernel - kernel.mean()) ** 2).sum() == pytest.approx(fit.r2)


def test_a_bank_of_gabors_has_a_share_of_one_and_random_kernels_of_the_same_spectrum_almost_none():
    found = opsin.inside.filters(network(bank(7)[:, None]))
    assert found.gabor_share == 1.0
    assert found.control_share < 0.15
    assert found.controls == 64
    assert found.gabor_like.all()
    assert "100% are Gabor-like" in found.text()
    noise = random_kernels(bank(7), 12, np.random.default_rng(3))
    assert opsin.inside.filters(network(noise[:, None]), controls=1).gabor_share < 0.2
    white = np.random.default_rng(0).standard_normal((12, 1, 7, 7))
    assert opsin.inside.filters(network(white), controls=1).gabor_share == 0.0


def test_random_kernels_have_the_banks_spectrum():
    kernels = bank(7)
    scaled = kernels / np.sqrt((kernels**2).sum(axis=(1, 2), keepdims=True))
    drawn = random_kernels(kernels, 4000, np.random.default_rng(0))
    power = (np.abs(np.fft.fft2(drawn)) ** 2).mean(axis=0) / 49
    assert np.allclose(power, (np.abs(np.fft.fft2(scaled)) ** 2).mean(axis=0), rtol=0.15)


def test_a_colour_kernel_is_fitted_in_what_its_colours_share():
    colour = np.array([0.8, -0.6, 0.1])
    kernels = bank(7, 3)[:, None] * colour[None, :, None, None]
    found = opsin.inside.filters(network(kernels), controls=2)
    assert found.gabor_share == 1.0
    assert np.allclose(found.explained, 1, atol=1e-5)
    direction = colour / np.linalg.norm(colour)
    assert np.allclose(found.colours, direction, atol=1e-5)  # signed so that the entries sum to at least 0
    assert np.allclose(found.luminance[:, None] * direction[None, :, None, None], kernels, atol=1e-5)


def test_a_blob_is_no_gabor_and_neither_is_a_flat_or_dead_kernel():
    rows, columns = np.mgrid[:7, :7] - 3.0
    blob = np.exp(-(rows**2 + columns**2) / 4)
    kernels = np.stack([*bank(7, 3), blob, np.ones((7, 7)), np.zeros((7, 7))])[:, None]
    found = opsin.inside.filters(network(kernels), controls=2)
    assert found.gabor_like.tolist() == [True, True, True, False, False, False]
    assert found.blob.tolist() == [False, False, False, True, False, False]
    assert found.flat.tolist() == [False] * 4 + [True, False]
    assert found.dead.tolist() == [False] * 5 + [True]
    assert found.gabor_share == pytest.approx(3 / 4)  # of those that are neither dead nor flat


@pytest.mark.parametrize("size", [1, 3, 4])
def test_a_small_kernel_gets_no_share_but_a_reason(size):
    found = opsin.inside.filters(network(np.random.default_rng(0).standard_normal((5, 3, size, size))))
    assert found.gabor_share is None
    assert found.r2 is None
    assert not found.gabor_like.any()
    assert f"has {size * size} values and a Gabor function 8 parameters" in found.notes[0]


def test_the_reason_holds_a_3_x_3_kernel_of_noise_is_fitted_and_a_7_x_7_one_is_not():
    draws = np.random.default_rng(0)
    small = [fit_gabor(draws.standard_normal((3, 3))).r2 for _ in range(10)]
    large = [fit_gabor(draws.standard_normal((7, 7))).r2 for _ in range(10)]
    assert np.median(small) > 0.8
    assert np.median(large) < 0.5


def test_filters_of_a_deeper_layer_are_shown_and_not_fitted():
    module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 5))
    found = opsin.inside.filters(module, "2")
    assert found.weights.shape == (4, 8, 5, 5)
    assert found.gabor_share is None
    assert "8 channels of a layer" in found.notes[0]


@pytest.mark.parametrize(
    ("part", "kind", "shape"),
    [
        (nn.Conv2d(4, 8, 3, groups=2), "grouped", (8, 2, 3, 3)),
        (nn.Conv2d(4, 4, 3, groups=4), "depthwise", (4, 1, 3, 3)),
        (nn.ConvTranspose2d(4, 6, 3, groups=2), "transposed", (6, 2, 3, 3)),
    ],
)
def test_kernels_are_those_that_each_output_uses(part, kind, shape):
    found = opsin.inside.filters(nn.Sequential(part))
    assert (found.kind, found.weights.shape, found.weights.dtype) == (kind, shape, np.float32)
    # a single bright value of input channel i of a group paints the kernel (mirrored, but in a transposed convolution)
    groups, inputs = part.groups, shape[1]
    for channel in range(4):
        image = torch.zeros(1, 4, 7, 7)
        image[0, channel, 3, 3] = 1
        with torch.no_grad():
            painted = part(image)[0] - part.bias.view(-1, 1, 1)
        if kind != "transposed":
            painted = painted.flip(1, 2)
        middle = (painted.shape[1] - 3) // 2
        painted = painted[:, middle : middle + 3, middle : middle + 3].numpy()
        per_group = shape[0] // groups
        group, at = divmod(channel, inputs)
        outputs = slice(group * per_group, (group + 1) * per_group)
        assert np.allclose(painted[outputs], found.weights[outputs, at], atol=1e-6)
        rest = np.delete(painted, np.arange(shape[0])[outputs], axis=0)
        assert not rest.any()
    assert np.allclose(found.norms, np.sqrt((found.weights**2).sum(axis=(1, 2, 3))), rtol=1e-5)


def test_half_precision_and_parametrised_weights_are_read_as_they_act():
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 3, 3))
    assert np.allclose(opsin.inside.filters(nn.Sequential(conv)).weights, conv.weight.detach())
    half = nn.Sequential(nn.Conv2d(1, 3, 3)).to(torch.bfloat16)
    assert opsin.inside.filters(half).weights.dtype == np.float32


def test_real_weights_of_3_x_3_say_that_a_share_would_say_nothing(lite0):
    found = opsin.inside.filters(lite0)
    assert found.layer == "conv_stem"
    assert found.weights.shape == (32, 3, 3, 3)
    assert found.gabor_share is None
    # four filters of the published weights are of no size at all
    assert found.dead.sum() == 4
    pixels = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        out = lite0.module.conv_stem(pixels)
        same = F.conv2d(F.pad(pixels, (0, 1, 0, 1)), torch.from_numpy(found.weights), stride=2)
    assert torch.allclose(out, same, atol=1e-4)


def test_what_has_no_filters_is_refused():
    with pytest.raises(opsin.OpsinError, match="has no convolution over pictures"):
        opsin.inside.filters(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)))
    module = nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 3)), nn.ReLU())
    with pytest.raises(opsin.OpsinError, match=r"0 is a Sequential .* name one inside it: 0\.0"):
        opsin.inside.filters(module, "0")
    with pytest.raises(opsin.OpsinError, match="there is no layer 'conv'"):
        opsin.inside.filters(module, "conv")
    with pytest.raises(opsin.OpsinError, match="not initialised yet"):
        opsin.inside.filters(nn.Sequential(nn.LazyConv2d(2, 3)))
    with torch.no_grad():
        module[0][0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(opsin.OpsinError, match="NaN"):
        opsin.inside.filters(module)
    with pytest.raises(opsin.OpsinError, match="threshold=2"):
        opsin.inside.filters(module, threshold=2)


def test_large_banks_are_fitted_in_part_and_the_record_survives_a_file(tmp_path):
    found = opsin.inside.filters(network(bank(5, 6)[:, None]), most=3, controls=2)
    assert np.isfinite(found.r2).sum() == 3
    assert "3 of 6 filters were fitted" in found.notes[0]
    found.save(tmp_path / "filters.safetensors")
    again = Filters.load(tmp_path / "filters.safetensors")
    assert again.as_dict() == found.as_dict()
    assert np.array_equal(again.weights, found.weights)
