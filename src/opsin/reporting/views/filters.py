"""The kernels of convolutions, at a step of the training or as they are now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import nn

from opsin.errors import OpsinError
from opsin.explanation.inside import filters as inside_filters
from opsin.explanation.inside.filters import PARAMETERS, PIXEL_CHANNELS, VALUES_PER_PARAMETER
from opsin.inference.answers import Progress
from opsin.models.weights import bare
from opsin.reporting.parts.film import in_order
from opsin.reporting.views.recorded import opened
from opsin.reporting.views.subject import Subject
from opsin.training.run import Run

MOST_VALUES = 65_536  # weights of one answer, as of a snapshot: the first convolution comes whole
Step = Annotated[int, Field(ge=0)] | None


@dataclass(frozen=True)
class Bank:
    """Kernels float32 `(kept, in, kh, kw)` of a convolution and which of its outputs they make."""

    weights: np.ndarray
    outputs: np.ndarray
    total: int


def filters(
    subject: Subject,
    *,
    progress: Progress,  # noqa: ARG001
    layer: str | None = None,
    step: Step = None,
) -> dict[str, Any]:
    """The kernels of one convolution.

    Args:
        layer: its name; None: the first.
        step: one that has a snapshot; None: the network's weights as they are now, or where there is no network the
            last snapshot.

    Returns:
        layers: names of all convolutions, the first one first; layer; first: whether it looks at pixels;
        step: of the snapshot, or None; weights: float32 `(kept, in, kh, kw)`; outputs: int32 `(kept,)`, which filters
        these are; total: how many the layer has; peak: the largest magnitude;
        fit: why no share of Gabor-like filters can be told (`kernel`: too few values to fit; `inputs`: they do not look
        at pixels), or None; needed: values that a kernel has to have.

    Raises:
        OpsinError: there are no weights, no such step, or no such convolution.
    """
    names, bank, name, found = _bank(subject, layer, step)
    _, inputs, height, width = bank.weights.shape
    needed = PARAMETERS * VALUES_PER_PARAMETER
    small = height * width < needed or min(height, width) < 3
    return {
        "layers": names,
        "layer": name,
        "first": name == names[0] and inputs <= PIXEL_CHANNELS,
        "step": found,
        "weights": bank.weights,
        "outputs": bank.outputs,
        "total": bank.total,
        "peak": float(np.abs(bank.weights).max(initial=0.0)),
        "fit": "kernel" if small else "inputs" if inputs > PIXEL_CHANNELS else None,
        "needed": needed,
    }


def gabor(subject: Subject, *, progress: Progress, layer: str | None = None, step: Step = None) -> dict[str, Any]:
    """How many filters that look at pixels are like Gabor functions (`opsin.inside.filters`); takes seconds.

    Returns:
        share: of the filters that are neither dead nor flat, or None; control_share: of random filters with the same
        spectrum; controls: how many of those; threshold: of r2; r2: float32 `(kept,)`; like, dead, flat: uint8
        `(kept,)`; outputs: int32 `(kept,)`, which filters these are.

    Raises:
        OpsinError: as of `filters`, or the weights hold NaN.
    """
    _, bank, _, _ = _bank(subject, layer, step)
    progress("Gabor functions", 0, 1)
    out, inputs, height, width = bank.weights.shape
    convolution = nn.Conv2d(inputs, out, (height, width), bias=False)
    convolution.weight = nn.Parameter(torch.from_numpy(bank.weights), requires_grad=False)
    found = inside_filters(nn.Sequential(convolution))
    return {
        "share": found.gabor_share,
        "control_share": found.control_share,
        "controls": found.controls,
        "threshold": found.threshold,
        "r2": None if found.r2 is None else found.r2,
        "like": found.gabor_like,
        "dead": found.dead,
        "flat": found.flat,
        "outputs": bank.outputs,
    }


def _bank(subject: Subject, layer: str | None, step: int | None) -> tuple[list[str], Bank, str, int | None]:
    """All convolutions, the kernels of one, its name, and the step that they are of (None: now)."""
    if step is None and subject.model_missing is None:
        return *_of_module(bare(subject.model.module), layer), None
    run = subject.need_run()
    if step is None and not run.snapshot_steps:
        raise OpsinError(f"{run.name} has no snapshots and no network that can be opened, so that there are no filters")
    shown = run.snapshot_steps[-1] if step is None else step
    return *_of_snapshot(run, layer, shown), shown


def _of_module(module: nn.Module, layer: str | None) -> tuple[list[str], Bank, str]:
    named = {name: part for name, part in module.named_modules() if isinstance(part, nn.Conv2d)}
    name = _chosen(list(named), layer)
    weight = named[name].weight.detach().float().cpu().numpy()
    each = int(np.prod(weight.shape[1:]))
    room = len(weight) if name == next(iter(named)) else max(1, min(len(weight), MOST_VALUES // each))
    rows = np.unique(np.linspace(0, len(weight) - 1, room).round().astype(np.int64))
    return list(named), Bank(weight[rows], rows.astype(np.int32), len(weight)), name


def _of_snapshot(run: Run, layer: str | None, step: int) -> tuple[list[str], Bank, str]:
    with opened(run, step) as part:
        names = in_order(part.group("filters"), run.info.get("layers", ()))
        name = _chosen(names, layer)
        outputs = part[f"filter_channels/{name}"]
        shape = next((entry["shape"] for entry in run.info.get("layers", ()) if entry["name"] == name), None)
        total = int(shape[0]) if shape else int(outputs.max()) + 1  # the last one is always kept
        return names, Bank(part[f"filters/{name}"].astype(np.float32), outputs.astype(np.int32), total), name


def _chosen(names: list[str], layer: str | None) -> str:
    if not names:
        raise OpsinError("the network has no convolution over pictures, so that it has no filters to look at")
    if layer is not None and layer not in names:
        raise OpsinError(f"{layer!r} is no convolution; choose one of {', '.join(names[:8])}")
    return layer or names[0]
