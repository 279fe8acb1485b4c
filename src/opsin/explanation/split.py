"""One forward pass that is differentiable only from the score back to the layer that is looked at.

Everything before the layer runs without a graph, and nothing is differentiated with respect to weights, so that a
gradient explanation costs about one forward pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from opsin.errors import OpsinError, first_line
from opsin.explanation.targets import Targets
from opsin.models.classifier import Classifier, evaluating
from opsin.models.weights import bare


@dataclass(frozen=True)
class Split:
    """What one pass left: the layers' outputs, and logits that are differentiable with respect to them.

    Attributes:
        outputs: per layer name, what the module gave, `(n, ...)`.
        logits: `(n, classes)`.
    """

    outputs: dict[str, Tensor]
    logits: Tensor
    _found: dict[tuple[Any, ...], list[Tensor]] = field(default_factory=dict, repr=False)

    def gradients(self, layer: str, targets: Targets) -> list[Tensor]:
        """`(n, ...)` for each of the t targets: the gradient of its score with respect to the layer's output;
        differentiated once however often it is asked for.

        Images do not mix in evaluation mode, so that the sum over images has each image's own gradient.

        Raises:
            OpsinError: the score does not depend on the layer, or the network cannot be differentiated.
        """
        if not self.logits.requires_grad:
            raise OpsinError(
                f"the scores have no gradient with respect to {layer}: the network switches gradients off inside "
                "forward or computes on without PyTorch; use a perturbation method such as rise or occlusion"
            )
        key = (layer, *targets.key)
        if key not in self._found:
            with normal_mode(), torch.enable_grad():
                scores = targets.scores(self.logits)
                self._found[key] = [self._differentiate(layer, wanted) for wanted in scores.sum(dim=0)]
        return self._found[key]

    def _differentiate(self, layer: str, wanted: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(wanted, self.outputs[layer], retain_graph=True, allow_unused=True)
        if gradient is None:
            raise OpsinError(
                f"the scores do not depend on the output of {layer}; choose a layer that they pass through"
            )
        return gradient


def split_pass(model: Classifier, inputs: Tensor, layers: Sequence[str]) -> Split:
    """Run the network on `(n, c, h, w)` and cut the graph at the first of the layers that runs.

    No hook stays, the mode of every submodule and the caller's gradient mode are restored, also after an error. An
    in-place operation behind a layer works on a copy. A module that runs several times is taken at its last run.

    Raises:
        OpsinError: a layer did not run or gives no tensor, or the network cannot take the input.
    """
    split = _run(model, inputs, layers, torch.no_grad())
    if not split.logits.requires_grad:
        # a forward that switches gradients off and on by itself leaves them off behind it; with all of them on it
        # restores what it found
        split = _run(model, inputs, layers, torch.enable_grad())
    return split


def _run(model: Classifier, inputs: Tensor, layers: Sequence[str], mode: Any) -> Split:
    module = bare(model.module)
    with evaluating(module), normal_mode(), mode, _cut_at(module, layers) as outputs:
        logits = model.read_output(run_module(model, module, inputs), len(inputs))
    missing = [name for name in layers if name not in outputs]
    if missing:
        raise OpsinError(f"layer {missing[0]} did not run for this input; choose a layer that forward uses")
    return Split(outputs, logits)


@contextlib.contextmanager
def normal_mode() -> Iterator[None]:
    """Leave `torch.inference_mode`, in which nothing can be differentiated, for the block."""
    with torch.inference_mode(False):
        yield


@contextlib.contextmanager
def _cut_at(module: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    outputs: dict[str, Tensor] = {}

    def cut(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            found = first_tensor(output)
            if found is None:
                raise OpsinError(f"layer {name} gives a {type(output).__name__}, no tensor; choose a layer inside it")
            # inside no_grad this lasts until that block ends: from here on the graph is built
            torch.set_grad_enabled(True)
            kept = found if found.requires_grad else found.detach().requires_grad_(True)
            outputs[name] = kept
            return with_tensor(output, kept.clone())  # an in-place operation behind the layer changes the copy

        return hook

    handles = [module.get_submodule(name).register_forward_hook(cut(name)) for name in layers]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def first_tensor(output: Any) -> Tensor | None:
    """The tensor that a module gave, or the first of the tuple or list that it gave."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, tuple | list) and output and isinstance(output[0], Tensor):
        return output[0]
    return None


def with_tensor(output: Any, tensor: Tensor) -> Any:
    """What a module gave, with `tensor` in the place of its first tensor."""
    if isinstance(output, Tensor):
        return tensor
    return type(output)([tensor, *output[1:]])


def run_module(model: Classifier, module: nn.Module, inputs: Tensor) -> Any:
    """What the module answers; an input that it cannot take is an OpsinError."""
    try:
        return module(inputs)
    except OpsinError:
        raise
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        raise OpsinError(model.why_unfit(inputs, first_line(error))) from error
