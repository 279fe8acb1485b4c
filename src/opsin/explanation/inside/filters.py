"""`opsin.inside.filters`: the kernels of a convolution, and how many of the first ones look like Gabor functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from opsin.errors import OpsinError
from opsin.explanation.explain import as_classifier
from opsin.explanation.inside.gabor import Fit, fit_gabor, random_kernels
from opsin.explanation.inside.parts import require_layers, require_module
from opsin.models.classifier import Classifier
from opsin.models.weights import bare
from opsin.records import Filters

DEAD_BELOW = 1e-3  # of the median norm
FLAT_BELOW = 0.05  # of the norm: what a kernel varies over its places
PARAMETERS = 8
VALUES_PER_PARAMETER = 3  # that a kernel must have, or else a Gabor function fits whatever it is
PIXEL_CHANNELS = 4  # a filter with more inputs does not look at pixels


def filters(
    model: Classifier | str | Path | nn.Module,
    layer: str | None = None,
    *,
    threshold: float = 0.8,
    most: int = 256,
    controls: int = 64,
    seed: int = 0,
) -> Filters:
    """The kernels of one convolution, and for filters that look at pixels the share that is Gabor-like.

    Simple cells of the visual cortex, and the first filters of networks trained on photographs, are close to Gabor
    functions: a wave under a Gaussian envelope. Each filter's first principal component over its input channels (what
    its colours have in common) is fitted, and counts if the fit explains `threshold` of its variance and a Gaussian
    without a wave does not do about as well. Beside the share stands the same figure for random kernels that have the
    bank's mean power spectrum and are thus as smooth. A kernel with fewer than three values per parameter of the
    function (below 5 x 5) is fitted by it whatever it looks like: then no share is given, and a note says so.

    Takes about 0.02 s per filter and per random kernel on one core.

    Args:
        model: a Classifier, what `load_model` takes, or a module.
        layer: a convolution by its name in `named_modules()`, plain, grouped, depthwise or transposed; None: the first
            one in the order of `named_modules()`.
        threshold: share of the variance that a fit must explain, 0..1.
        most: filters that are fitted: of a larger bank an even selection, of which the share is then.
        controls: random kernels.
        seed: of them.

    Raises:
        OpsinError: the network has no convolution over pictures, the layer is none or does not exist, its weights are
            not initialised or not finite, or an argument is out of range.
    """
    if not 0 < threshold < 1 or min(most, controls) < 1:
        raise OpsinError(
            f"threshold={threshold}, most={most} and controls={controls} were given; expected a threshold between 0 "
            "and 1, and at least 1 of the others"
        )
    classifier = require_module(as_classifier(model), "filters")
    name, part = _convolution(classifier, layer)
    weights = _weights(name, part)
    norms = np.sqrt((weights.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))
    dead = norms <= DEAD_BELOW * np.median(norms)
    spread = weights - weights.mean(axis=(2, 3), keepdims=True)
    varies = np.sqrt((spread.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))
    flat = ~dead & (varies < FLAT_BELOW * norms) & (weights[0, 0].size > 1)
    luminance, colours, explained = _components(weights)
    return Filters(
        layer=name,
        kind=_kind(part),
        weights=weights,
        groups=part.groups,
        norms=norms.astype(np.float32),
        dead=dead,
        flat=flat,
        luminance=luminance,
        colours=colours,
        explained=explained,
        seed=seed,
        threshold=threshold,
        **_gabor_part(luminance, ~dead & ~flat, weights.shape[1], threshold, most, controls, seed),
    )


def _gabor_part(
    kernels: np.ndarray, alive: np.ndarray, inputs: int, threshold: float, most: int, controls: int, seed: int
) -> dict[str, Any]:
    count, height, width = kernels.shape
    if height * width < PARAMETERS * VALUES_PER_PARAMETER or min(height, width) < 3:
        note = (
            f"a {height} x {width} kernel has {height * width} values and a Gabor function {PARAMETERS} parameters: it "
            "fits whatever the kernel looks like, and a share of Gabor-like filters would say nothing (it takes "
            "kernels of 5 x 5 and more)"
        )
        return {"notes": (note,)}
    if inputs > PIXEL_CHANNELS:
        note = (
            f"the filters look at {inputs} channels of a layer and not at pixels, so that no Gabor function was fitted"
        )
        return {"notes": (note,)}
    chosen = np.flatnonzero(alive)
    if not len(chosen):
        return {"notes": ("every filter is dead or all but constant, so that no Gabor function was fitted",)}
    notes: tuple[str, ...] = ()
    if len(chosen) > most:
        chosen = chosen[np.linspace(0, len(chosen) - 1, most).round().astype(int)]
        notes = (f"{most} of {int(alive.sum())} filters were fitted, evenly spaced; the others have an r2 of NaN",)
    fits = [fit_gabor(kernels[at]) for at in chosen]
    draws = np.random.default_rng(seed)
    noise = [fit_gabor(kernel) for kernel in random_kernels(kernels[chosen].astype(np.float64), controls, draws)]
    r2 = np.where(alive, np.nan, 0.0).astype(np.float32)
    blob, parameters = np.zeros(count, bool), np.full((count, PARAMETERS), np.nan)
    for at, fit in zip(chosen, fits, strict=True):
        r2[at], parameters[at], blob[at] = fit.r2, fit.parameters, _is_blob(fit, threshold)
    return {
        "r2": r2,
        "gabor": parameters,
        "blob": blob,
        "gabor_share": float(np.mean([_counts(fit, threshold) for fit in fits])),
        "control_share": float(np.mean([_counts(fit, threshold) for fit in noise])),
        "controls": controls,
        "notes": notes,
    }


def _counts(fit: Fit, threshold: float) -> bool:
    return fit.r2 >= threshold and not _is_blob(fit, threshold)


def _is_blob(fit: Fit, threshold: float) -> bool:
    """Whether a Gaussian without a wave does: it reaches the threshold and leaves less than twice as much."""
    return fit.blob_r2 >= threshold and 1 - fit.blob_r2 < 2 * (1 - fit.r2) + 1e-6


def _convolution(model: Classifier, layer: str | None) -> tuple[str, nn.Conv2d | nn.ConvTranspose2d]:
    module = bare(model.module)
    if layer is None:
        for name, part in module.named_modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                return name, part
        raise OpsinError(f"{model.label} has no convolution over pictures, so that it has no filters to look at")
    (name,) = require_layers(module, [layer])
    part = module.get_submodule(name)
    if not isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
        inside = [
            f"{name}.{below}"
            for below, other in part.named_modules()
            if below and isinstance(other, nn.Conv2d | nn.ConvTranspose2d)
        ]
        hint = f"name one inside it: {', '.join(inside[:3])}" if inside else "name a convolution"
        raise OpsinError(f"{name} is a {type(part).__name__} and no 2-d convolution; {hint}")
    return name, part


def _weights(name: str, part: nn.Conv2d | nn.ConvTranspose2d) -> np.ndarray:
    """float32 `(out, in of one group, kh, kw)`."""
    weight = part.weight
    if is_lazy(weight):
        raise OpsinError(f"the weights of {name} are not initialised yet; run the network once")
    weight = weight.detach().float().cpu()
    if isinstance(part, nn.ConvTranspose2d):
        # stored as (in, out of one group, kh, kw): the groups are blocks of the inputs
        groups, inputs = part.groups, weight.shape[0] // part.groups
        blocks = weight.reshape(groups, inputs, *weight.shape[1:]).transpose(1, 2)
        weight = blocks.reshape(groups * weight.shape[1], inputs, *weight.shape[2:])
    if not bool(torch.isfinite(weight).all()):
        raise OpsinError(f"the weights of {name} hold NaN or infinite values; load or train the network anew")
    return weight.contiguous().numpy().copy()


def _kind(part: nn.Conv2d | nn.ConvTranspose2d) -> str:
    if isinstance(part, nn.ConvTranspose2d):
        return "transposed"
    if part.groups == 1:
        return "convolution"
    return "depthwise" if part.groups == part.in_channels else "grouped"


def _components(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each filter the first principal component over its inputs: its plane, its direction, its share of energy.

    The direction's sign is such that its entries sum to at least 0: a bright bar stays bright.
    """
    count, inputs, height, width = weights.shape
    flat = weights.reshape(count, inputs, height * width).astype(np.float64)
    left, strengths, right = np.linalg.svd(flat, full_matrices=False)
    sign = np.where(left[:, :, 0].sum(axis=1) < 0, -1.0, 1.0)
    planes = (strengths[:, 0] * sign)[:, None] * right[:, 0]
    energy = (strengths**2).sum(axis=1)
    share = np.divide(strengths[:, 0] ** 2, energy, out=np.zeros(count), where=energy > 0)
    return (
        planes.reshape(count, height, width).astype(np.float32),
        (left[:, :, 0] * sign[:, None]).astype(np.float32),
        share.astype(np.float32),
    )
