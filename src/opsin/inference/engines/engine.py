"""Choosing how a Classifier is run for many passes over inputs of one shape."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from opsin.errors import OpsinError, did_you_mean, first_line
from opsin.inference.engines import fused, onnx_runtime
from opsin.inference.memory import keep_freed_memory
from opsin.models.black_box import BlackBox
from opsin.models.classifier import Classifier
from opsin.models.weights import bare

AUTO = "auto"
EAGER = "eager"
AGREE = 1e-4  # of the largest logit, within which an engine's logits must be eager's
# Values of one pass's inputs: a CPU is fastest where a layer's outputs stay in its cache (ResNet-18 at 224 px takes
# 38 ms an image in passes of 8, and 58 ms in passes of 32), a GPU where it is full.
PASS_VALUES = 2**20
PASS_VALUES_ON_GPU = 2**25
PASS = 256  # inputs of one pass at most
TIMED = 4  # images that are measured
REPEATS = 2
EXPORT_PAYS = 20.0  # seconds of eager work from which on an export, which takes some seconds itself, is worth trying

Runner = Callable[[Tensor], object]
"""What a built engine does: `(n, c, h, w)` to whatever the network answers. Holds a copy, never the network itself."""

ENGINES: dict[str, Callable[[Classifier, Tensor], Runner]] = {
    "fused": fused.build,
    "onnxruntime": onnx_runtime.build,
}
DIFFERENTIABLE = ("fused",)


@dataclass(frozen=True)
class Engine:
    """A way to run a Classifier, and how far its answers are from eager's.

    Attributes:
        name: `eager`, `fused` or `onnxruntime`.
        model: the Classifier.
        logits: float32 `(n, classes)`: its answers on the images that it was opened with.
        difference: largest difference from eager on these images, as a share of the largest logit; 0 for eager.
        refused: the engines that were tried and are not used, with the reasons.
    """

    name: str
    model: Classifier
    runner: Runner = field(repr=False)
    logits: Tensor = field(repr=False)
    difference: float = 0.0
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def network(self) -> Classifier:
        """A Classifier that runs as the engine does and can be differentiated; only of DIFFERENTIABLE engines."""
        if not isinstance(self.runner, fused.Folded):
            return self.model
        return Classifier(self.runner.network, classes=self.model.classes, preprocess=self.model.preprocess)

    @property
    def used(self) -> dict[str, object]:
        """The engine, its difference from eager, and why others are not used, for the record."""
        refused = [f"{name}: {reason}" for name, reason in self.refused.items()]
        found: dict[str, object] = {"engine": self.name, "engine_difference": self.difference}
        return {**found, "engine_refused": "; ".join(refused)} if refused else found

    def scores(self, inputs: Tensor) -> Tensor:
        """float32 logits `(n, classes)` of preprocessed inputs `(n, c, h, w)` of any number, on the inputs' device."""
        return _answers(self.model, self.runner, inputs)


def open_engine(
    model: Classifier, inputs: Tensor, name: str = AUTO, evaluations: float = 1.0, among: Sequence[str] = tuple(ENGINES)
) -> Engine:
    """Open the engine that answers fastest, or the one of a name, once it was seen to agree with eager.

    Every call runs eager and the engine on `inputs` and compares them, so that a copy that no longer fits the network
    is noticed. Which engine is fastest is measured once per network and input shape and remembered as long as the
    network lives and keeps its weights. The network itself is never changed: engines work on copies.

    Args:
        model: the Classifier.
        inputs: preprocessed images `(n, c, h, w)`, n at least 1, of the shape that will be run.
        name: `auto`, `eager`, `fused` (convolutions with their batch normalisation folded in, channels-last) or
            `onnxruntime` (on the CPU).
        evaluations: how many passes will follow per image; `auto` tries an export only where it can pay.
        among: the engines beside eager that will do, such as DIFFERENTIABLE.

    Raises:
        OpsinError: there is no such engine, or the one that was named cannot run this network or disagrees with eager.
    """
    known = [AUTO, EAGER, *among]
    if name not in known:
        if name in ENGINES:
            raise OpsinError(f"the engine {name} gives no gradients; give one of {', '.join(known)}")
        raise OpsinError(f"there is no engine {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}")
    run = _eager(model)
    expected = _answers(model, run, inputs)
    eager = Engine(EAGER, model, run, expected)
    if name == EAGER or (name == AUTO and isinstance(model, BlackBox)):
        return eager
    keep_freed_memory()
    memory = _remember(bare(model.module))
    if name != AUTO:
        opened = _open(eager, memory, name, inputs)
        if isinstance(opened, str):
            raise OpsinError(f"the engine {name} is not used for {model.label}: {opened}; give engine='eager'")
        return opened
    refused = {}
    for candidate in _by_speed(eager, memory, inputs, evaluations, among):
        opened = eager if candidate == EAGER else _open(eager, memory, candidate, inputs)
        if isinstance(opened, Engine):
            return Engine(opened.name, model, opened.runner, opened.logits, opened.difference, refused)
        refused[candidate] = opened
    return eager


def pass_size(inputs: Tensor) -> int:
    """How many inputs of such a shape go through at a time, so that memory stays bounded."""
    values = PASS_VALUES_ON_GPU if inputs.is_cuda else PASS_VALUES
    return max(1, min(PASS, values // max(inputs[:1].numel(), 1)))


@dataclass
class _Memory:
    """What is known about a network, as long as it keeps its weights."""

    state: tuple[object, ...]
    built: dict[tuple[object, ...], Runner | str] = field(default_factory=dict)
    seconds: dict[tuple[object, ...], float] = field(default_factory=dict)


_KNOWN: weakref.WeakKeyDictionary[nn.Module, _Memory] = weakref.WeakKeyDictionary()


def _remember(module: nn.Module) -> _Memory:
    state = _state(module)
    memory = _KNOWN.get(module)
    if memory is None or memory.state != state:
        memory = _KNOWN[module] = _Memory(state)
    return memory


def _state(module: nn.Module) -> tuple[object, ...]:
    """Changes whenever a tensor is replaced, moved or written to, or a part is exchanged."""
    tensors = (*module.parameters(), *module.buffers())
    versions = [
        (item.data_ptr(), 0 if item.is_inference() else item._version, item.dtype, item.device) for item in tensors
    ]
    return (*versions, *(type(part) for part in module.modules()))


def _key(name: str, inputs: Tensor) -> tuple[object, ...]:
    return (name, *inputs.shape[1:], torch.get_num_threads())


def _copy_key(name: str, inputs: Tensor) -> tuple[object, ...]:
    """A folded copy takes inputs of any size, an exported graph those of one."""
    return (name, inputs.ndim) if name == "fused" else _key(name, inputs)


def _open(eager: Engine, memory: _Memory, name: str, inputs: Tensor) -> Engine | str:
    """The engine, or why it is not used."""
    model = eager.model
    runner = _built(model, memory, name, inputs)
    if isinstance(runner, str):
        return runner
    try:
        logits = _answers(model, runner, inputs)
    except Exception as error:  # a copy may fail in any way, and eager did not
        return first_line(error)
    difference = _difference(logits, eager.logits)
    if not difference <= AGREE:
        return f"its scores differ from eager's by {difference:.2g} of the largest score, more than {AGREE:g}"
    return Engine(name, model, runner, logits, difference)


def _built(model: Classifier, memory: _Memory, name: str, inputs: Tensor) -> Runner | str:
    reason = _why_not(model, name, inputs)
    if reason:
        return reason
    key = _copy_key(name, inputs)
    if key not in memory.built:
        try:
            memory.built[key] = ENGINES[name](model, inputs)
        except Exception as error:  # exporters and copies fail in many ways; each means that eager is used
            memory.built[key] = first_line(error)
    return memory.built[key]


def _why_not(model: Classifier, name: str, inputs: Tensor) -> str:
    module = bare(model.module)
    if isinstance(model, BlackBox):
        return "only its scores are known, not its layers"
    if inputs.dtype != torch.float32:
        return f"it computes in {str(inputs.dtype).removeprefix('torch.')}, and engines in float32"
    if name == "onnxruntime" and inputs.device.type != "cpu":
        return f"it lies on {inputs.device}, and the engine runs on the CPU"
    if any(part._forward_hooks or part._forward_pre_hooks for part in module.modules()):
        return "hooks sit on it, which only eager runs"
    return ""


def _by_speed(eager: Engine, memory: _Memory, inputs: Tensor, evaluations: float, among: Sequence[str]) -> list[str]:
    """Engines, the fastest first; before it those that cannot run, so that their reasons are kept."""
    model = eager.model
    possible = [name for name in among if not _why_not(model, name, inputs)]
    if not possible:
        return [*among, EAGER]
    some = inputs[torch.arange(TIMED) % len(inputs)]
    speeds = {EAGER: _seconds(memory, EAGER, model, eager.runner, some)}
    work = speeds[EAGER] / TIMED * evaluations * len(inputs)
    for name in possible:
        if name == "onnxruntime" and _copy_key(name, inputs) not in memory.built and work < EXPORT_PAYS:
            continue
        runner = _built(model, memory, name, inputs)
        speeds[name] = 0.0 if isinstance(runner, str) else _seconds(memory, name, model, runner, some)
    return sorted(speeds, key=lambda name: speeds[name])


def _seconds(memory: _Memory, name: str, model: Classifier, runner: Runner, inputs: Tensor) -> float:
    key = _key(name, inputs)
    if key not in memory.seconds:
        try:
            memory.seconds[key] = _measure(model, runner, inputs)
        except Exception:
            if name == EAGER:
                raise
            memory.seconds[key] = 0.0  # so that it is opened first, where its reason is kept
    return memory.seconds[key]


def _measure(model: Classifier, runner: Runner, inputs: Tensor) -> float:
    _answers(model, runner, inputs)
    times = []
    for _ in range(REPEATS):
        _wait(inputs)
        began = time.perf_counter()
        _answers(model, runner, inputs)
        _wait(inputs)
        times.append(time.perf_counter() - began)
    return min(times)


def _wait(inputs: Tensor) -> None:
    if inputs.is_cuda:
        torch.cuda.synchronize(inputs.device)


def _eager(model: Classifier) -> Runner:
    return lambda batch: model.logits(batch, batch_size=len(batch))


def _answers(model: Classifier, runner: Runner, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        parts = [
            model.read_output(runner(batch), len(batch)).detach().float().to(inputs.device)
            for batch in inputs.split(pass_size(inputs))
        ]
    return torch.cat(parts)


def _difference(logits: Tensor, expected: Tensor) -> float:
    if not bool(torch.isfinite(expected).all()):
        return float("nan")
    scale = float(expected.abs().max())
    return float((logits - expected).abs().max()) / scale if scale else float(logits.abs().max())
