"""A network up to one layer, and how far NaN gets in it.

NaN is passed on by every operation that depends on it: NaN times a weight of zero is NaN, and so are the maximum and
the ReLU of NaN. So pixels are poisoned with NaN, and where NaN arrives is what depends on them. That holds through
branches, strides, dilation, dynamic padding and channel groups alike, without knowing any of them.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from opsin.errors import OpsinError
from opsin.explanation.explain import as_classifier
from opsin.explanation.gradient.guided import RELU_LIKE
from opsin.explanation.grids import Grid, find_grid, prefix_tokens
from opsin.explanation.inside.parts import require_layers, require_module
from opsin.explanation.split import first_tensor, normal_mode, run_module
from opsin.models.classifier import Classifier, evaluating
from opsin.models.weights import bare

Unit = tuple[int, ...]
_FOR_MAPS = (
    nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d, nn.MaxPool2d, nn.AvgPool2d,
    nn.LPPool2d, nn.FractionalMaxPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Upsample,
)  # fmt: skip
MOST_GUESSED = 16

# By name: a function has several homes (torch, Tensor, functional), and which of them is called differs by version.
_NORMS = {"group_norm", "instance_norm", "layer_norm"}
_COLLAPSING = {
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "max_pool2d", "lp_pool2d", "mean", "sum", "amax",
    "norm", "vector_norm", "std", "var",
}  # fmt: skip


class _Reached(BaseException):  # no `except Exception` of a network may catch it
    """The layer has run: the rest of the pass is not needed."""


@dataclass(frozen=True)
class Network:
    """A network up to one layer.

    Attributes:
        clean: float `(1, c, h, w)`: an input without NaN.
        runs: how often the layer runs in a pass; its last output counts.
        shape: of that output, `(1, ...)`.
        ignored: modules that rescale channels by a statistic of the picture before the layer.
    """

    module: nn.Module
    layer: str
    clean: Tensor
    runs: int
    shape: tuple[int, ...]
    prefix: int | None
    ignored: tuple[str, ...]

    @property
    def size(self) -> tuple[int, int]:
        return self.clean.shape[-2], self.clean.shape[-1]

    @property
    def grid(self) -> Grid | None:
        return self.grid_of(torch.empty(self.shape, device="meta"), self.size)

    def grid_of(self, output: Tensor, size: tuple[int, int]) -> Grid | None:
        """How the layer's output lies on an input of a size. What a layer for maps gives are maps, also where uneven
        strides make them look otherwise."""
        if output.ndim == 4 and isinstance(self.module.get_submodule(self.layer), _FOR_MAPS):
            return Grid("maps", output.shape[2], output.shape[3])
        return find_grid(output, size, self.prefix)

    def maps(self, inputs: Tensor, *, local: bool) -> Tensor:
        """The layer's output as `(n, c, h, w)`, or `(n, f)` where it has no places."""
        with _Local() if local else contextlib.nullcontext():
            output = _output(self.module, self.layer, inputs, self.runs)
        grid = self.grid_of(output, (inputs.shape[-2], inputs.shape[-1]))
        return output if grid is None else grid.maps(output)

    def reached(self, inputs: Tensor, *, local: bool) -> Tensor:
        """bool, in the shape of `maps`: where NaN arrives."""
        return self.maps(inputs, local=local).isnan()

    def guess(self, clean: Tensor, units: Sequence[Unit], *, local: bool) -> np.ndarray | None:
        """int64 `(units, 4)`: the boxes from which a gradient of NaN comes back, one pass for all of them; None where
        the network cannot be differentiated, a unit has no gradient, or there are too many of them."""
        if len(units) > MOST_GUESSED:
            return None
        with contextlib.suppress(RuntimeError), torch.enable_grad():
            leaf = clean.repeat(len(units), 1, 1, 1).requires_grad_()
            with _Smooth():
                maps = self.maps(leaf.clone(), local=local)
            seed = torch.zeros_like(maps)
            for at, unit in enumerate(units):
                seed[(at, *(unit if len(unit) != 2 else (slice(None), *unit)))] = torch.nan
            (gradient,) = torch.autograd.grad(maps, leaf, seed)
            return _extent(gradient.isnan().any(dim=1).cpu().numpy())
        return None


class _Local(TorchFunctionMode):
    """Inside the block statistics of the whole picture carry no NaN on: gates made from a global pool, and the mean and
    spread of normalisations over places. The names of the modules that made them are noted in `found`."""

    def __init__(self, running: Sequence[str] = ()) -> None:
        super().__init__()
        self.running = running
        self.found: dict[str, None] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        output = func(*args, **kwargs)
        values, name = _first(args, kwargs), getattr(func, "__name__", "")
        if values is None or values.ndim != 4:
            return output
        if name in _NORMS and _over_places(name, args, kwargs):
            self._note()
            finite = values.detach().nan_to_num()
            clean = func(finite, *args[1:], **{key: value for key, value in kwargs.items() if key != "input"})
            # NaN, and gradients, pass each place by itself
            return values + (clean - finite)
        if name in _COLLAPSING and _collapses(values, output):
            self._note()
            return output.detach().nan_to_num()
        return output

    def _note(self) -> None:
        if self.running:
            self.found[self.running[-1]] = None


class _Smooth(TorchFunctionMode):
    """Inside the block gradients pass everywhere that values can come from: ReLU-like functions let all through, and a
    maximum is a mean."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        values = _first(args, kwargs)
        if func in RELU_LIKE and values is not None:
            return values
        if getattr(func, "__name__", "") == "max_pool2d" and values is not None:
            names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
            given = {**dict(zip(names, args[1:], strict=False)), **kwargs}
            if given.get("dilation", 1) in (1, (1, 1), [1, 1]):
                kept = {name: given[name] for name in names if name in given and name != "dilation"}
                return F.avg_pool2d(values, **{**kept, "stride": kept.get("stride") or kept["kernel_size"]})
        return func(*args, **kwargs)


def _first(args: Sequence[Any], kwargs: dict[str, Any]) -> Tensor | None:
    values = args[0] if args else kwargs.get("input")
    return values if isinstance(values, Tensor) else None


def _over_places(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Layer normalisation over the last axis alone, the channels of each place, is no statistic of the picture."""
    if name != "layer_norm":
        return True
    shape = kwargs.get("normalized_shape", args[1] if len(args) > 1 else ())
    return not isinstance(shape, int) and len(shape) > 1


def _collapses(values: Tensor, output: Any) -> bool:
    """Whether maps `(n, c, h, w)` or `(n, h, w, c)` of more than one place became one number per channel."""
    if not isinstance(output, Tensor):
        return False
    images, first, second, third = values.shape
    maps = second * third > 1 and tuple(output.shape) in ((images, first), (images, first, 1, 1))
    last = first * second > 1 and tuple(output.shape) in ((images, third), (images, 1, 1, third))
    return maps or last


def open_network(model: Any, layer: str, size: int | tuple[int, int] | None) -> Network:
    classifier = require_module(as_classifier(model), "receptive_field")
    module = bare(classifier.module)
    require_layers(module, layer)
    height, width = _size(classifier, size)
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(1, _channels(classifier, module), height, width, generator=generator)
    anchor = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    clean = clean.to(anchor.device, anchor.dtype)
    runs, output, ignored = _look(classifier, module, layer, clean)
    if bool(output.isnan().any()):
        raise OpsinError(f"{layer} gives NaN for an input without any; repair the weights before asking what it sees")
    return Network(module, layer, clean, runs, tuple(output.shape), prefix_tokens(module), ignored)


def _size(model: Classifier, size: int | tuple[int, int] | None) -> tuple[int, int]:
    if size is None and model.size is None:
        raise OpsinError(f"{model.label} does not say how large its input is; give size=(height, width)")
    height, width = (size, size) if isinstance(size, int) else size or model.size or (0, 0)
    if min(height, width) < 1:
        raise OpsinError(f"size was given as {size}; expected a height and a width of at least 1 pixel")
    return int(height), int(width)


def _channels(model: Classifier, module: nn.Module) -> int:
    first = next((part for part in module.modules() if isinstance(part, nn.Conv2d)), None)
    return model.channels or (3 if first is None else first.in_channels)


def _look(
    model: Classifier, module: nn.Module, layer: str, clean: Tensor
) -> tuple[int, Tensor, tuple[str, ...]]:  # fmt: skip
    """How often the layer runs, its last output, and the modules that `_Local` would silence before it."""
    running: list[str] = []
    mode = _Local(running)
    outputs: list[tuple[Tensor, tuple[str, ...]]] = []

    def leave(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            running.pop()
            if name == layer:
                found = first_tensor(output)
                if found is None:
                    raise OpsinError(f"layer {layer} gives a {type(output).__name__}, no tensor; choose one inside it")
                outputs.append((found.clone(), tuple(mode.found)))

        return hook

    handles: list[Any] = []
    try:
        for name, part in module.named_modules():
            handles.append(part.register_forward_pre_hook(lambda _module, _inputs, name=name: running.append(name)))
            handles.append(part.register_forward_hook(leave(name)))
        with evaluating(module), normal_mode(), torch.no_grad(), mode:
            run_module(model, module, clean)
    finally:
        for handle in handles:
            handle.remove()
    if not outputs:
        raise OpsinError(f"layer {layer} did not run for this input; choose a layer that forward uses")
    return len(outputs), *outputs[-1]


def checked_unit(network: Network, unit: Sequence[int]) -> Unit:
    grid, given = network.grid, tuple(int(part) for part in unit)
    if grid is not None:
        whole = tuple(grid.maps(torch.empty(network.shape, device="meta")).shape[1:])
        expected = "(channel, row, column) or (row, column)"
    elif len(network.shape) == 2:
        whole, expected = network.shape[1:], "(feature,)"
    else:
        raise OpsinError(
            f"the output of {network.layer} has shape {network.shape} and no places of the picture; choose a layer "
            "with feature maps, tokens or plain features"
        )
    shape = whole[1:] if grid is not None and len(given) == 2 else whole
    fits = len(given) == len(shape) and all(0 <= part < most for part, most in zip(given, shape, strict=False))
    if not fits:
        raise OpsinError(f"unit was given as {tuple(unit)}; expected {expected} below {whole} in {network.layer}")
    return given


def _output(module: nn.Module, layer: str, inputs: Tensor, runs: int) -> Tensor:
    """What the layer gives at its last run; the pass ends there."""
    found: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        tensor = first_tensor(output)
        assert tensor is not None
        found.append(tensor)
        if len(found) == runs:
            raise _Reached

    handle = dict(module.named_modules())[layer].register_forward_hook(hook)
    try:
        with evaluating(module), contextlib.suppress(_Reached):
            module(inputs)
    finally:
        handle.remove()
    return found[-1]


@contextlib.contextmanager
def plain_kernels() -> Iterator[None]:
    """PyTorch's own convolutions only: those of libraries compute places together (Winograd, FFT, packed half
    precision), and carry NaN to neighbours."""
    stack = contextlib.ExitStack()
    try:
        with _quiet():
            stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            stack.enter_context(torch.backends.nnpack.flags(enabled=False))
        yield
    finally:
        with _quiet():
            stack.close()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without PyTorch's warnings of TF32 settings, which are not touched."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _extent(hit: np.ndarray) -> np.ndarray | None:
    """int64 `(units, 4)`: top, left, bottom, right of what is True in `(units, h, w)`; None where one has nothing."""
    lines = np.any(hit, axis=2), np.any(hit, axis=1)
    if not np.all(np.any(lines[0], axis=1)):
        return None
    first = [np.argmax(part, axis=1) for part in lines]
    last = [part.shape[1] - np.argmax(part[:, ::-1], axis=1) for part in lines]
    return np.stack([*first, *last], axis=1)
