"""What a method is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from opsin.explanation.layers import Layer
from opsin.explanation.split import Split, split_pass
from opsin.explanation.targets import Targets
from opsin.models.classifier import Classifier

Family = Literal["cam", "gradient", "perturbation", "attention"]


@dataclass(frozen=True)
class Job:
    """One batch of images to explain.

    Attributes:
        model: the Classifier.
        inputs: float `(n, c, h, w)` on the network's device, without a graph.
        resolve: turns the batch's logits into Targets (the predicted class is known only then).
        layers: the layers to look at; empty for a method that looks at none.
        seed: of a stochastic method's draws.
        inner: the method that this one wraps, where it wraps one.
    """

    model: Classifier
    inputs: Tensor
    resolve: Callable[[Tensor], Targets]
    layers: Sequence[Layer]
    seed: int = 0
    inner: Method | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input in pixels."""
        return self.inputs.shape[-2], self.inputs.shape[-1]

    @cached_property
    def split(self) -> Split:
        """One forward pass, differentiable back to the layers; methods that run on the same Job share it."""
        return split_pass(self.model, self.inputs, [layer.name for layer in self.layers])

    def draws(self) -> torch.Generator:
        """A generator on the CPU that begins anew at each call: every image gets the same draws, wherever in whichever
        batch it stands."""
        return torch.Generator().manual_seed(self.seed)


@dataclass(frozen=True)
class Answer:
    """A method's maps of one batch.

    Attributes:
        maps: per layer (one entry for a method without layers) float `(n, t, h, w)` at the input's size.
        targets: the scores that were explained, t per image.
        evaluations: forward passes per image, a pass back counted as one.
        error: per layer float `(n, t)`, standard error averaged over places, or None.
        completeness: per layer float `(n, t)`, or None.
        used: what settings became that were left to the method, such as the engine, for the record.
    """

    maps: list[Tensor]
    targets: Targets
    evaluations: int
    error: list[Tensor] | None = None
    completeness: list[Tensor] | None = None
    used: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A method and what a person has to know to choose it.

    Attributes:
        run: `run(job, **options) -> Answer`; its keyword arguments are the options, with their defaults.
        family: cam, gradient, perturbation or attention.
        title: its usual name and source.
        needs: what the network must have, in words.
        cost: what it costs, in forward passes.
        fails: where it is known to mislead.
        layer: whether it looks at a layer.
        class_specific: False where the map is the same for every class by nature.
        stochastic: whether it draws at random.
        black_box: whether it only needs scores, so that an ONNX file or a function can be explained.
        wraps: whether it runs another method, named by its option `of`, whose options it takes too.
    """

    run: Callable[..., Answer]
    family: Family
    title: str
    needs: str
    cost: str
    fails: str
    layer: bool = False
    class_specific: bool = True
    stochastic: bool = False
    black_box: bool = False
    wraps: bool = False


def enlarge(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """`(n, t, h, w)` resized to the input's size: bilinear, half-pixel centres."""
    return F.interpolate(maps.float(), size=size, mode="bilinear", align_corners=False)
