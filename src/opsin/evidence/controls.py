"""Maps that know nothing of the network, and what an explanation is worth beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from opsin.inference.answers import batch_size
from opsin.inference.intervals import bootstrap_mean
from opsin.records import Control, Explanation, Interval, Measure

LEVEL = 0.05  # of the test against random maps
RANDOM_MAPS = 3
PERMUTATIONS = 10_000


def random_maps_for(images: int) -> int:
    """How many random maps per image let the test against them reach its level: with one image 19, with many 3."""
    count = RANDOM_MAPS
    while (count + 1) ** images * LEVEL < 1:
        count += 1
    return count


def stream(seed: int, purpose: str) -> torch.Generator:
    """Draws of their own for each purpose: what a measure gives does not depend on which others are made."""
    state = np.random.SeedSequence([seed, *purpose.encode()]).generate_state(1)
    return torch.Generator().manual_seed(int(state[0]))


def control_maps(explanation: Explanation, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two float32 `(n, h, w)` for showing: the first random map of each image and the edges, as `check` with that seed
    drew them; n is at most the number of images of its first batch."""
    images = min(len(explanation), batch_size(explanation.inputs[0].size))
    maps, inputs = (torch.from_numpy(values[:images]) for values in (explanation.maps, explanation.inputs))
    stack = stack_maps(maps, inputs, random_maps_for(len(explanation)), stream(seed, "maps")).numpy()
    return stack[1], stack[-1]


def stack_maps(maps: Tensor, inputs: Tensor, randoms: int, generator: torch.Generator) -> Tensor:
    """float `(1 + randoms + 1, n, h, w)`: the explanation's maps, random ones, and the edges of the inputs."""
    drawn = random_maps(maps, randoms, generator)
    return torch.cat([maps[None], drawn, edges(inputs)[None].to(maps)])


def random_maps(maps: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """float `(count, n, h, w)`: random maps with the values of `maps` `(n, h, w)` and about their smoothness.

    The map's Fourier amplitudes get the phases of white noise, then the values are put in that order (amplitude
    adjusted surrogates: Theiler et al. 1992, Testing for nonlinearity in time series). White noise itself would be no
    fair control: deletion and ROAD judge a fine-grained map by other standards than a smooth one.
    """
    shape = (count, *maps.shape)
    noise = torch.fft.rfft2(torch.randn(shape, generator=generator).to(maps))
    phases = noise / noise.abs().clamp(min=torch.finfo(maps.dtype).tiny)
    amplitudes = torch.fft.rfft2(maps).abs()
    # the grain orders the places where the map has no structure at all, such as a flat one
    grain = 1e-6 * torch.randn(shape, generator=generator).to(maps)
    surrogate = torch.fft.irfft2(amplitudes * phases, s=maps.shape[-2:]) + grain
    values = maps.flatten(-2).sort(dim=-1).values.expand(count, -1, -1)
    places = surrogate.flatten(-2).argsort(dim=-1)
    return torch.empty_like(values).scatter_(-1, places, values).reshape(shape)


def edges(inputs: Tensor) -> Tensor:
    """float32 `(n, h, w)`: Sobel's gradient magnitude of the mean over channels of `(n, c, h, w)`."""
    grey = F.pad(inputs.float().mean(dim=1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = grey.new_tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]) / 4
    kernels = torch.stack([across, across.T])[:, None]
    return F.conv2d(grey, kernels).square().sum(dim=1).sqrt()


def measure(
    values: np.ndarray, better: str, protocol: dict[str, Any], seed: int, *, curve: np.ndarray | None = None,
    columns: tuple[str, ...] = (),
) -> Measure:  # fmt: skip
    """A Measure of `(m, n)` values: of the explanation, of m - 2 random maps, of the edges; or of `(n,)`, no controls.

    A curve `(points, columns)` is kept as it is.
    """
    own, controls = values, {}
    if values.ndim == 2:
        own, randoms, edge = values[0], values[1:-1], values[-1]
        p_value = permutation_test(oriented(values[:-1], better), seed)
        controls = {
            "random": _control(own, randoms.mean(axis=0), better, seed, p_value),
            "edge": _control(own, edge, better, seed),
        }
    mean, interval = mean_interval(own, seed)
    return Measure(own, mean, interval, better, {**protocol, "seed": seed}, controls, curve, columns)


def oriented(values: np.ndarray, better: str) -> np.ndarray:
    """The values with a sign such that higher is better."""
    return values if better == "higher" else -values


def mean_interval(values: np.ndarray, seed: int) -> tuple[float, Interval]:
    """The mean over images and its 95 % bootstrap interval."""
    return float(values.mean()), bootstrap_mean(values, seed=seed)


def permutation_test(values: np.ndarray, seed: int) -> float:
    """One-sided p-value of `values` `(1 + r, n)`, row 0 the explanation's and the others random maps', higher better.

    Were the explanation one more random map, each of an image's 1 + r values could as well be its own: the p-value is
    the share of such choices whose mean is at least as high. All are looked at where there are few; else PERMUTATIONS
    drawn ones, the observed one among them (Phipson and Smyth 2010, Permutation p-values should never be zero).
    """
    kinds, images = values.shape
    observed = values[0].sum() - 1e-9 * np.abs(values).max(initial=0.0) * images
    if kinds**images <= PERMUTATIONS:
        choices = np.indices((kinds,) * images).reshape(images, -1).T
        return float((values[choices, np.arange(images)].sum(axis=1) >= observed).mean())
    rng = np.random.default_rng(seed)
    step, reached = max(1, 2_000_000 // images), 0
    for start in range(0, PERMUTATIONS, step):
        choices = rng.integers(0, kinds, (min(step, PERMUTATIONS - start), images))
        reached += int((values[choices, np.arange(images)].sum(axis=1) >= observed).sum())
    return (1 + reached) / (1 + PERMUTATIONS)


def _control(own: np.ndarray, values: np.ndarray, better: str, seed: int, p_value: float | None = None) -> Control:
    mean, interval = mean_interval(values, seed)
    advantage, advantage_interval = mean_interval(oriented(own - values, better), seed)
    return Control(values, mean, interval, advantage, advantage_interval, p_value)
