"""The features of images at layers: one vector per image, of maps, tokens and vectors alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from opsin.errors import CheckFailed, OpsinError
from opsin.explanation.grids import find_grid, prefix_tokens
from opsin.explanation.inside.parts import PASSED_OVER
from opsin.explanation.known import in_faster_layout
from opsin.explanation.split import first_tensor, normal_mode, run_module
from opsin.models.classifier import Classifier, evaluating
from opsin.models.weights import bare

PIXELS = "pixels"
"""The name of the network's input, the layer of depth 0."""
INPUT_OF = "input of "
MOST_LISTED, FEWEST_LISTED = 12, 8

Read = Callable[[str, Tensor], Any]


def read_layers(model: Classifier, inputs: Tensor, layers: Sequence[str], read: Read) -> dict[str, Any]:
    """What `read(name, output)` makes of the output of each layer, in one pass; of `pixels` and `input of X` too.

    An output is read before anything that follows can change it in place. A layer that runs several times is read at
    its last run. Nothing is left in the network.

    Raises:
        OpsinError: a layer did not run, or gives no tensor.
    """
    module = bare(model.module)
    found: dict[str, Any] = {}
    handles = []

    def after(name: str) -> Any:
        return lambda _module, _inputs, output: note(name, output)

    def before(name: str) -> Any:
        return lambda _module, given: note(name, given[0] if given else None)

    def note(name: str, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor is None or len(tensor) != len(inputs):
            raise OpsinError(f"{name} gives a {type(output).__name__}, no tensor per image; choose a layer inside it")
        found[name] = read(name, tensor.detach())

    try:
        for name in layers:
            if name == PIXELS:
                note(name, inputs)
            elif name.startswith(INPUT_OF):
                part = module.get_submodule(name.removeprefix(INPUT_OF))
                handles.append(part.register_forward_pre_hook(before(name)))
            else:
                handles.append(module.get_submodule(name).register_forward_hook(after(name)))
        with evaluating(module), normal_mode(), torch.no_grad():
            run_module(model, module, in_faster_layout(model, inputs))
    finally:
        for handle in handles:
            handle.remove()
    missing = [name for name in layers if name not in found]
    if missing:
        raise OpsinError(f"layer {missing[0]} did not run for this input; choose a layer that forward uses")
    return found


class Pooling:
    """Turns the output of a layer into one vector per image, the same way for every batch.

    Args:
        model: whose layers they are.
        size: height and width of the input in pixels.
        regions: None: one mean over all places of maps, and the class token of tokens; a number: means over the finest
            grid of equal regions that has at most so many values, the class token beside them.
    """

    def __init__(self, model: Classifier, size: tuple[int, int], regions: int | None = None) -> None:
        self.size, self.regions = size, regions
        self.prefix = prefix_tokens(bare(model.module))
        self.how: dict[str, str] = {}

    def __call__(self, name: str, output: Tensor) -> Tensor:
        """float32 `(n, f)`.

        Raises:
            OpsinError: the output is neither maps nor tokens nor a vector.
            CheckFailed: it is not finite.
        """
        vectors, self.how[name] = self._pooled(name, output.float())
        if not bool(torch.isfinite(vectors).all()):
            raise CheckFailed(f"{name} gives values that are not finite; the weights are damaged, or training diverged")
        return vectors

    def _pooled(self, name: str, output: Tensor) -> tuple[Tensor, str]:
        if output.ndim == 2:
            return output, "as it is"
        grid = find_grid(output, self.size, self.prefix)
        if grid is not None and grid.kind == "tokens" and self.prefix:
            first = output[:, 0]
            if self.regions is None:
                return first, "class token"
            others, how = self._regions(grid.maps(output), max(self.regions - first.shape[1], 1))
            return torch.cat([first, others], dim=1), f"class token and {how}"
        if grid is not None:
            return self._regions(grid.maps(output), self.regions)
        if output.ndim == 3:
            return output.mean(dim=1), f"mean over {output.shape[1]} tokens"
        if output.ndim == 4 and output.shape[2] * output.shape[3] == 1:
            return output.flatten(1), "as it is"
        raise OpsinError(
            f"{name} gives a tensor of shape {tuple(output.shape)}; expected maps (n, c, h, w), tokens or a vector "
            "(n, f) per image: choose another layer"
        )

    @staticmethod
    def _regions(maps: Tensor, most: int | None) -> tuple[Tensor, str]:
        channels, height, width = maps.shape[1:]
        side = 1 if most is None else max(1, int((most / channels) ** 0.5))
        if side == 1:
            return maps.mean(dim=(2, 3)), f"mean over {height} x {width} places"
        if side >= max(height, width):
            return maps.flatten(1), f"all {height} x {width} places"
        rows, columns = min(side, height), min(side, width)
        return F.adaptive_avg_pool2d(maps, (rows, columns)).flatten(1), f"means over {rows} x {columns} regions"


def penultimate(model: Classifier, inputs: Tensor) -> str:
    """What the last linear layer, which gives the logits, is given: the name of the layer that made it, or `input of
    X`.

    Raises:
        OpsinError: the logits do not come from a linear layer.
    """
    module = bare(model.module)
    made: list[tuple[str, Tensor]] = []
    linear: list[tuple[str, Tensor, Tensor]] = []
    handles = []

    def look(name: str, part: nn.Module) -> Any:
        def hook(_module: nn.Module, given: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is None:
                return
            if isinstance(part, nn.Linear) and isinstance(given[0], Tensor):
                linear.append((name, given[0], tensor))
            if not isinstance(part, PASSED_OVER):
                made.append((name, tensor))

        return hook

    one = inputs[:1]
    try:
        for name, part in module.named_modules():
            if name:
                handles.append(part.register_forward_hook(look(name, part)))
        with evaluating(module), normal_mode(), torch.no_grad():
            logits = model.read_output(run_module(model, module, one), 1)
    finally:
        for handle in handles:
            handle.remove()
    for name, given, output in reversed(linear):
        if output.shape == logits.shape and output.data_ptr() == logits.data_ptr():
            makers = [maker for maker, tensor in made if _same(tensor, given)]
            return makers[-1] if makers else f"{INPUT_OF}{name}"
    raise OpsinError(f"the logits of {model.label} do not come from a linear layer; name the layer to look at: layer=")


def list_layers(model: Classifier, inputs: Tensor) -> list[str]:
    """Up to 12 layers in the order of computation, for a look at the whole network: the modules of the deepest level of
    nesting that has no more; where those are few, the next level thinned evenly."""
    module = bare(model.module)
    ended: list[tuple[str, Tensor]] = []
    handles = []
    pooling = Pooling(model, (inputs.shape[-2], inputs.shape[-1]))

    def look(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = first_tensor(output)
            if tensor is not None and len(tensor) == 1:
                ended.append((name, tensor))

        return hook

    try:
        for name, part in module.named_modules():
            if name and not isinstance(part, PASSED_OVER):
                handles.append(part.register_forward_hook(look(name)))
        with evaluating(module), normal_mode(), torch.no_grad():
            run_module(model, module, inputs[:1])
    finally:
        for handle in handles:
            handle.remove()
    usable = [name for name, tensor in dict(ended).items() if _usable(pooling, name, tensor)]
    if not usable:
        raise OpsinError(f"{model.label} has no layer with maps, tokens or vectors; name the layers to look at")
    levels = [_level(usable, depth) for depth in sorted({name.count(".") for name in usable})]
    fitting = [level for level in levels if len(level) <= MOST_LISTED]
    chosen = fitting[-1] if fitting else levels[0]
    if len(chosen) < FEWEST_LISTED and len(levels) > len(fitting):
        chosen = levels[len(fitting)]
    even = np.linspace(0, len(chosen) - 1, min(MOST_LISTED, len(chosen))).round().astype(int)
    return [chosen[at] for at in even]


def _level(usable: Sequence[str], depth: int) -> list[str]:
    """The modules at a level of nesting, and those above it without parts down to there."""
    down = [name for name in usable if name.count(".") <= depth]
    return [
        name for name in down if name.count(".") == depth or not any(other.startswith(f"{name}.") for other in down)
    ]


def _usable(pooling: Pooling, name: str, tensor: Tensor) -> bool:
    try:
        return pooling(name, tensor).shape[1] > 0
    except (OpsinError, RuntimeError):
        return False


def _same(one: Tensor, other: Tensor) -> bool:
    return one.data_ptr() == other.data_ptr() and one.numel() == other.numel()
