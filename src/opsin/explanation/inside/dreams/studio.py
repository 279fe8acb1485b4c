"""Making pictures step by step: from coefficients to the network's input, and back along the gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.explanation.inside.dreams.aims import Aims, listed
from opsin.explanation.inside.dreams.colours import Colours
from opsin.explanation.inside.dreams.rules import RedirectedRules
from opsin.explanation.inside.dreams.spectrum import Spectrum
from opsin.explanation.inside.dreams.views import Views
from opsin.explanation.known import in_faster_layout
from opsin.models.classifier import Classifier

NOISE = 16  # random pictures that a dream is compared with
SPREADS = (0.05, 0.5, 1.0)  # of the coefficients of the first picture; the next one is tried where nothing excites
LAST_RATE = 0.05  # the share of the step size that is left at the end


@dataclass(frozen=True)
class Studio:
    """Everything between coefficients and the network's input."""

    model: Classifier
    spectrum: Spectrum
    colours: Colours
    views: Views

    def canvas(self, coefficients: Tensor) -> Tensor:
        """`(n, c, h, w)` in 0..1, larger than the picture by the margin."""
        return self.colours.pictures(self.spectrum.planes(coefficients))

    def picture(self, coefficients: Tensor) -> Tensor:
        """`(n, c, h, w)` in 0..1: the middle of the canvas."""
        return self.views.middle(self.canvas(coefficients))

    def inputs(self, pictures: Tensor) -> Tensor:
        """What the network gets: normalised, in its type and its faster layout."""
        preprocess = self.model.preprocess
        if preprocess is not None:
            mean, std = (
                torch.tensor(part).view(1, -1, 1, 1).to(pictures) for part in (preprocess.mean, preprocess.std)
            )
            pictures = (pictures - mean) / std
        return in_faster_layout(self.model, pictures.to(dtype_of(self.model)))

    def blank(self, channels: int) -> Tensor:
        """One input of the mean colour."""
        mean = self.colours.mean.view(1, -1, 1, 1).expand(1, channels, *self.views.size)
        return self.inputs(mean.to(self.model.device))

    def noise(self, channels: int, seed: int) -> Tensor:
        """Random pictures `(NOISE, c, h, w)` with the same colours, contrast and spectrum."""
        draws = torch.Generator().manual_seed(seed + 1)
        drawn = torch.cat([self.spectrum.coefficients(channels, draws) for _ in range(NOISE)])
        return self.picture(drawn.to(self.model.device))


@dataclass(frozen=True)
class Ascent:
    """How pictures are made: steps of the optimiser, views per step, its step size, frames that are kept, seed."""

    steps: int
    views: int
    rate: float
    frames: int
    seed: int

    def rate_at(self, step: int) -> float:
        """The step size, which falls along half a cosine."""
        return self.rate * (LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * step / self.steps)) / 2)

    def kept(self) -> np.ndarray:
        """int64 `(f,)`: after how many steps a frame is kept; closer together at first, when most is happening."""
        shares = np.linspace(0, 1, min(self.frames, self.steps + 1)) ** 2
        return np.unique((shares * self.steps).round().astype(np.int64))


@dataclass(frozen=True)
class Made:
    """Pictures and how they came about; the fields of a Dream that belong to some of its pictures.

    `stuck` holds the labels of those that nothing could raise any more at the last step.
    """

    pictures: np.ndarray
    frames: np.ndarray
    steps: np.ndarray
    activations: np.ndarray
    final: np.ndarray
    stuck: tuple[str, ...]


def make(studio: Studio, aims: Aims, ascent: Ascent, told: Callable[[int, int], None] | None = None) -> Made:
    """One picture per aim, all in one batch. `told` hears the number of pictures and of steps that are done."""
    coefficients = _start(studio, aims, ascent.seed)
    draws = torch.Generator().manual_seed(ascent.seed)
    kept = ascent.kept()
    shown, activations, moved = [], [], []
    optimiser = torch.optim.Adam([coefficients], lr=ascent.rate)
    for step in range(ascent.steps):
        if step in kept:
            shown.append(_pixels(studio, coefficients))
        optimiser.param_groups[0]["lr"] = ascent.rate_at(step)
        reached, gradient = _ascend(studio, aims, coefficients, ascent.views, draws)
        moved = gradient.flatten(1).any(dim=1).tolist()
        coefficients.grad = gradient
        activations.append(reached.cpu().numpy())
        optimiser.step()
        if told is not None:
            told(len(aims.labels), step + 1)
    with torch.no_grad():
        pictures = studio.picture(coefficients)
        final = _own(aims.measure(studio.model, studio.inputs(pictures)), 1)[0]
    shown.append(_pixels(studio, coefficients))
    return Made(
        np.ascontiguousarray(pictures.movedim(1, -1).cpu().numpy()),
        np.stack(shown, axis=1),
        kept,
        np.stack(activations, axis=1),
        final.cpu().numpy(),
        tuple(label for label, alive in zip(aims.labels, moved, strict=True) if not alive),
    )


def _ascend(
    studio: Studio, aims: Aims, coefficients: Tensor, views: int, draws: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`(t,)` activations, averaged over views, and the gradient of their negative."""
    with torch.enable_grad(), RedirectedRules():
        pictures = studio.views.draw(studio.canvas(coefficients), views, draws)
        reached = _own(aims.measure(studio.model, studio.inputs(pictures)), views).mean(dim=0)
        if not reached.requires_grad:
            raise OpsinError(
                f"{listed(aims.labels)} has no gradient with respect to the picture: {studio.model.label} switches "
                "gradients off inside forward or computes on without PyTorch, so that nothing can be dreamt of"
            )
        (gradient,) = torch.autograd.grad(-reached.sum(), coefficients, allow_unused=True)
    if gradient is None:
        raise OpsinError(f"{listed(aims.labels)} does not depend on the picture; choose what the picture reaches")
    if not bool(torch.isfinite(gradient).all()):
        raise OpsinError(
            f"the gradient of {listed(aims.labels)} is not finite; check the network's weights, or give a lower rate"
        )
    return reached.detach(), gradient


def _start(studio: Studio, aims: Aims, seed: int) -> Tensor:
    """The first coefficients `(t, ...)`: a picture close to the mean colour, or a more contrasted one for those that
    do not answer to it."""
    count = len(aims.labels)
    answered = torch.zeros(count, dtype=torch.bool, device=studio.model.device)
    chosen = torch.zeros(0)
    for spread in SPREADS:
        draws = torch.Generator().manual_seed(seed)
        drawn = studio.spectrum.coefficients(len(studio.colours.mean), draws).to(studio.model.device) * spread
        drawn = drawn.expand(count, *drawn.shape[1:]).clone().requires_grad_(True)
        _, gradient = _ascend(studio, aims, drawn, 1, draws)
        kept = answered.view(-1, *[1] * (drawn.ndim - 1))
        chosen = torch.where(kept, chosen, drawn.detach()) if bool(answered.any()) else drawn.detach()
        answered = answered | gradient.flatten(1).any(dim=1)
        if bool(answered.all()):
            return chosen.requires_grad_(True)
    dead = [label for label, alive in zip(aims.labels, answered.tolist(), strict=True) if not alive]
    raise OpsinError(
        f"{listed(dead)} cannot be dreamt of: its gradient is zero for {len(SPREADS)} random pictures, also past "
        "ReLUs; choose another, or the layer before"
    )


def _own(table: Tensor, views: int) -> Tensor:
    """`(views, t)` of `(views * t, t)`: what each picture excites of its own aim."""
    count = table.shape[1]
    return table.view(views, count, count).diagonal(dim1=1, dim2=2)


def _pixels(studio: Studio, coefficients: Tensor) -> np.ndarray:
    with torch.no_grad():
        values = studio.picture(coefficients).movedim(1, -1) * 255
    return values.round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def dtype_of(model: Classifier) -> torch.dtype:
    floating = (item.dtype for item in model.module.parameters() if item.is_floating_point())
    return next(floating, torch.float32)
