"""Model parameter randomisation: a map of a network must change when the network forgets what it learnt (Adebayo et al.
2018, Sanity checks for saliency maps)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from opsin.evidence.agreement import similarity, spearman
from opsin.models.classifier import Classifier, evaluating
from opsin.models.weights import bare

STAGES = 8
ALIKE = 0.5  # mean likeness over the cascade, from which on the check is failed


@dataclass(frozen=True)
class Cascade:
    """Maps of ever more randomised networks beside the original ones.

    Attributes:
        layers: per stage the layers that were randomised in it, from the top down.
        shares: per stage the share of all parameters that are random by then.
        rank: float64 `(stages, n)`: Spearman correlation with the original map.
        structure: float64 `(stages, n)`: structural similarity with it, both scaled to 0..1.
    """

    layers: tuple[tuple[str, ...], ...]
    shares: np.ndarray
    rank: np.ndarray
    structure: np.ndarray

    @property
    def alike(self) -> np.ndarray:
        """float64 `(n,)`: mean over the stages of the smaller of the two. Where the input alone decides which places
        can count (strokes on black), ranks stay alike whatever the network is; structure tells."""
        return np.minimum(self.rank, self.structure).mean(axis=0)


def cascade(
    model: Classifier,
    inputs: torch.Tensor,
    maps: np.ndarray,
    explain_again: Callable[[Classifier], np.ndarray],
    seed: int,
) -> Cascade:
    """Randomise a copy of the network from the layer next to the score down to the first, and draw the maps again after
    each of up to STAGES stages.

    Every parameter is drawn from a normal distribution with its own mean and standard deviation, so that activations
    keep about their size: what is destroyed is what was learnt. The model itself is not touched.

    Args:
        model: the network, with parameters.
        inputs: float `(n, c, h, w)`, to find the order in which layers run.
        maps: float32 `(n, h, w)` of the network as it is.
        explain_again: draws the maps of another network for the same images and targets.
        seed: of the draws.
    """
    changed = copy.copy(model)
    changed.module = copy.deepcopy(bare(model.module))
    order = layers_by_depth(changed, inputs)
    groups = [part.tolist() for part in np.array_split(np.array(order, dtype=object), min(STAGES, len(order)))]
    named = dict(changed.module.named_modules())
    generator = torch.Generator().manual_seed(seed)
    total = sum(parameter.numel() for parameter in changed.module.parameters())
    done, shares, rank, structure = 0, [], [], []
    for group in groups:
        done += sum(randomise(named[name], generator) for name in group)
        found = explain_again(changed)
        shares.append(done / total)
        rank.append(spearman(maps, found))
        structure.append(similarity(maps, found))
    return Cascade(tuple(map(tuple, groups)), np.array(shares), np.array(rank), np.array(structure))


def layers_by_depth(model: Classifier, inputs: torch.Tensor) -> list[str]:
    """Names of the modules with parameters of their own, the one that runs last first; at the end what does not run."""
    module = bare(model.module)
    own = {
        name: part for name, part in module.named_modules() if next(part.parameters(recurse=False), None) is not None
    }
    ran: dict[str, None] = {}

    def note(name: str) -> Any:
        def hook(*_: object) -> None:
            ran.pop(name, None)
            ran[name] = None

        return hook

    handles = [part.register_forward_hook(note(name)) for name, part in own.items()]
    try:
        with evaluating(module), torch.no_grad():
            module(inputs[:1])
    finally:
        for handle in handles:
            handle.remove()
    return [*reversed(ran), *(name for name in own if name not in ran)]


def randomise(module: nn.Module, generator: torch.Generator) -> int:
    """Draw the module's own parameters anew, each from a normal distribution with its mean and standard deviation; how
    many numbers that were."""
    count = 0
    with torch.no_grad():
        for parameter in module.parameters(recurse=False):
            values = parameter.double()
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(values.device)
            parameter.copy_(values.mean() + drawn * values.std(correction=0))
            count += parameter.numel()
    return count


def protocol(found: Cascade) -> dict[str, Any]:
    """What the check depends on, and its stages."""
    return {
        "source": "Adebayo et al. 2018",
        "randomisation": "cascading from the score down; normal with each parameter's own mean and deviation",
        "compared": "the smaller of Spearman and SSIM, mean over the stages",
        "fails_from": ALIKE,
        "stages": [list(names) for names in found.layers],
        "images": found.rank.shape[1],
    }
