"""What a network costs: parameters, multiply-accumulates per layer, and the time that one answer takes here."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from opsin.errors import OpsinError, first_line
from opsin.models.classifier import evaluating
from opsin.models.weights import bare


@dataclass(frozen=True)
class LayerCost:
    """The cost of one layer by itself, without the layers inside it.

    Attributes:
        name: its name in `named_modules()`, empty for the network itself.
        type: its class.
        output: the shape of its output for one input, or None where that is not a tensor.
        parameters: its own trainable and frozen numbers.
        macs: its own multiply-accumulates.
    """

    name: str
    type: str
    output: tuple[int, ...] | None
    parameters: int
    macs: int


@dataclass(frozen=True)
class Cost:
    """Parameters and multiply-accumulates (MACs) for one input.

    MACs are those of convolutions, linear layers and matrix products (attention included); biases,
    normalisation, activations and poolings are not counted, as is usual. One MAC is two floating-point
    operations.

    Attributes:
        layers: in the order in which they ran; layers without parameters and MACs are left out.
    """

    parameters: int
    macs: int
    layers: tuple[LayerCost, ...]


@dataclass(frozen=True)
class Latency:
    """Measured seconds per call.

    Attributes:
        median, fastest, slowest: seconds, over `repeats` calls after the warm-up.
        batch: inputs per call.
        threads: PyTorch's threads during the measurement (CPU).
        device: where it ran.
    """

    median: float
    fastest: float
    slowest: float
    repeats: int
    batch: int
    threads: int
    device: str


def cost(module: nn.Module, input_shape: tuple[int, ...]) -> Cost:
    """Count the parameters and the MACs of one input. The module's mode is restored and no hook stays.

    Args:
        module: any network.
        input_shape: shape of one input without the batch axis, such as `(3, 224, 224)`.

    Raises:
        OpsinError: the network cannot take the shape.
    """
    module = bare(module)
    counter = FlopCounterMode(display=False)
    ledger = _Ledger(counter)
    with evaluating(module), torch.no_grad(), ledger.watching(module), _plain_attention(), counter:
        _run(module, _zeros(module, (1, *input_shape)))
    shared = {id(parameter): parameter.numel() for parameter in module.parameters()}
    return Cost(sum(shared.values()), counter.get_total_flops() // 2, ledger.layers(module))


def latency(
    module: nn.Module,
    input_shape: tuple[int, ...],
    *,
    batch: int = 1,
    repeats: int = 10,
    warmup: int = 3,
    threads: int | None = None,
) -> Latency:
    """Measure how long one call takes on this machine, on the module's device, in evaluation mode and without
    gradients.

    Args:
        module: any network.
        input_shape: shape of one input without the batch axis.
        batch: inputs per call.
        repeats: measured calls; the median is what to quote.
        warmup: calls before the measurement.
        threads: PyTorch's CPU threads for the measurement, None for those in use; restored afterwards.

    Raises:
        OpsinError: the network cannot take the shape, or a number is smaller than 1.
    """
    if min(batch, repeats, threads or 1) < 1 or warmup < 0:
        raise OpsinError(f"batch={batch}, repeats={repeats}, threads={threads}: expected at least 1 of each")
    inputs = _zeros(module, (batch, *input_shape))
    before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        with evaluating(module), torch.no_grad():
            for _ in range(warmup):
                _run(module, inputs)
            seconds = [_timed(module, inputs) for _ in range(repeats)]
        used = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    return Latency(statistics.median(seconds), min(seconds), max(seconds), repeats, batch, used, str(inputs.device))


def _timed(module: nn.Module, inputs: Tensor) -> float:
    _wait(inputs.device)
    start = time.perf_counter()
    _run(module, inputs)
    _wait(inputs.device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    """Accelerators answer before they have finished; the CPU does not."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _zeros(module: nn.Module, shape: tuple[int, ...]) -> Tensor:
    anchor = next((item for item in module.parameters() if item.is_floating_point()), torch.empty(0))
    return torch.zeros(shape, device=anchor.device, dtype=anchor.dtype)


def _run(module: nn.Module, inputs: Tensor) -> None:
    try:
        module(inputs)
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        reason = first_line(error)
        raise OpsinError(
            f"{type(module).__name__} cannot take an input of shape {tuple(inputs.shape)}: {reason}; give "
            "the shape that it was built for"
        ) from error


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention written out in matrix products: no counter can look into the fused kernels."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _Ledger:
    """Books the operations that were counted while a module ran to that module, less those of the modules inside it."""

    def __init__(self, counter: FlopCounterMode) -> None:
        self.counter = counter
        self.open: list[list[int]] = []  # of each running module: count at its start, count of its inner modules
        self.own: dict[nn.Module, int] = {}
        self.outputs: dict[nn.Module, tuple[int, ...] | None] = {}

    @contextmanager
    def watching(self, module: nn.Module) -> Iterator[None]:
        handles = []
        for part in module.modules():
            handles.append(part.register_forward_pre_hook(self._enter))
            handles.append(part.register_forward_hook(self._leave))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, inputs: object) -> None:  # noqa: ARG002
        self.own.setdefault(module, 0)
        self.open.append([self.counter.get_total_flops(), 0])

    def _leave(self, module: nn.Module, inputs: object, output: object) -> None:  # noqa: ARG002
        start, inner = self.open.pop()
        total = self.counter.get_total_flops() - start
        self.own[module] += total - inner
        self.outputs[module] = tuple(output.shape) if isinstance(output, Tensor) else None
        if self.open:
            self.open[-1][1] += total

    def layers(self, module: nn.Module) -> tuple[LayerCost, ...]:
        names = {part: name for name, part in module.named_modules()}
        # Layers with parameters that were passed over (read directly by the layer around them) come last.
        order = [*self.own, *(part for part in names if part not in self.own)]
        costs = (
            LayerCost(
                name=names[part],
                type=type(part).__name__,
                output=self.outputs.get(part),
                parameters=sum(item.numel() for item in part.parameters(recurse=False)),
                macs=self.own.get(part, 0) // 2,
            )
            for part in order
            if part in names
        )
        return tuple(item for item in costs if item.parameters or item.macs)
