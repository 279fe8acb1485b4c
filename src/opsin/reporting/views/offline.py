"""What a report carries so that the browser alone can run the network: its graph, weights and Preprocess.

`web/src/evaluator` runs it. It knows the operations of SUPPORTED; a network that uses another is not live in a report,
and the reason names the operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.explanation.tracing.calls import Call, Ref, Weight
from opsin.reporting.views.images import Seen
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.traced import any_pass

if TYPE_CHECKING:
    from opsin.explanation.tracing.graph import Traced

MOST_PARAMETERS = 500_000
MOST_PICTURE_BYTES = 4 * 2**20

_ACTIVATIONS = {
    "relu": "", "relu6": "min_val max_val", "hardtanh": "min_val max_val", "leaky_relu": "negative_slope",
    "elu": "alpha scale input_scale", "celu": "alpha", "selu": "", "gelu": "approximate", "silu": "", "mish": "",
    "hardswish": "", "hardsigmoid": "", "sigmoid": "", "log_sigmoid": "", "tanh": "", "softplus": "beta threshold",
    "clamp": "min max", "exp": "", "log": "", "sqrt": "", "rsqrt": "", "abs": "", "neg": "", "square": "",
    "reciprocal": "",
}  # fmt: skip
SUPPORTED: Mapping[str, frozenset[str]] = {
    name: frozenset(roles.split())
    for name, roles in {
        **{name: f"self {roles}" for name, roles in _ACTIVATIONS.items()},
        "conv2d": "input weight bias stride padding dilation groups",
        "linear": "input weight bias",
        "matmul": "self other",
        "bmm": "self mat2",
        "attention_scores": "query key attn_mask scale is_causal",
        "scaled_dot_product_attention": "query key value attn_mask dropout_p is_causal scale enable_gqa",
        "batch_norm": "input weight bias running_mean running_var training momentum eps cudnn_enabled",
        "layer_norm": "input normalized_shape weight bias eps cudnn_enable",
        "group_norm": "input num_groups weight bias eps cudnn_enabled",
        "instance_norm": "input weight bias running_mean running_var use_input_stats momentum eps cudnn_enabled",
        "softmax": "self dim",
        "log_softmax": "self dim",
        "mean": "self dim keepdim",
        "sum": "self dim keepdim",
        "amax": "self dim keepdim",
        "max": "self dim keepdim",
        "max_pool2d": "self kernel_size stride padding dilation ceil_mode",
        "avg_pool2d": "self kernel_size stride padding ceil_mode count_include_pad divisor_override",
        "adaptive_avg_pool2d": "self output_size",
        "adaptive_max_pool2d": "self output_size",
        "add": "self other alpha",
        "sub": "self other alpha",
        "rsub": "self other alpha",
        "mul": "self other",
        "div": "self other",
        "maximum": "self other",
        "minimum": "self other",
        "pow": "self exponent",
        "prelu": "self weight",
        **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), "input p train"),
        "cat": "tensors dim",
        "stack": "tensors dim",
        "flatten": "self start_dim end_dim",
        "unflatten": "self dim sizes",
        "reshape": "self shape size",
        "permute": "self dims",
        "transpose": "self dim0 dim1",
        "expand": "self size implicit",
        "squeeze": "self dim",
        "unsqueeze": "self dim",
        "select": "self dim index",
        "slice": "self dim start end step split_size split_sizes chunks",
        "pad": "self pad mode value",
    }.items()
}
"""Operations that the evaluator knows -> the arguments that it takes; others have to be None."""
_TENSORS = frozenset({
    "self", "other", "input", "weight", "bias", "running_mean", "running_var", "query", "key", "value", "attn_mask",
    "mat2", "exponent", "tensors",
})  # fmt: skip
# the fewest that an operation's tensors may have
_AXES = {
    "conv2d": 4, "max_pool2d": 4, "avg_pool2d": 4, "adaptive_avg_pool2d": 4, "adaptive_max_pool2d": 4, "matmul": 2,
    "bmm": 2,
}  # fmt: skip


def offline(subject: Subject, images: Sequence[str] | None = None) -> dict[str, Any] | str:
    """What the browser needs to run a network by itself.

    Args:
        subject: what is looked at.
        images: ids of the pictures to take along; None: the probe of its run. As many as fit into 4 MiB.

    Returns:
        Why the network cannot be live in a report, in a short clause; or, ready for `wire.pack`:
        nodes: the input and what depends on it, in the order in which they run, each {name, module, operation, shape,
        opens, settings, arguments, item}: arguments by their names in PyTorch's schema, a tensor as {node: name} or
        {weight: name}; item: which of several outputs, or None;
        output: name of the node that is the answer;
        weights: {name: float32}, parameters and buffers by their names in the state dict; what the network's code holds
        as constant/1 ...; nodes that do not depend on the image ("constant") by their own;
        preprocess: the fields of Preprocess; classes;
        pictures: [{id, name, label, prepared, pixels: uint8 (h, w, c)}].
    """
    if subject.model_missing is not None:
        return subject.model_missing
    model = subject.model
    parameters = sum(item.numel() for item in model.module.parameters())
    if parameters >= MOST_PARAMETERS:
        return f"it has {parameters:,} weights; reports are live below {MOST_PARAMETERS:,}"
    if model.preprocess is None:
        return "it has no Preprocess, which says how a picture becomes its input"
    found = any_pass(subject, None)
    reason = why_not(found.traced, found.values)
    if reason is not None:
        return reason
    return {
        **program(found.traced, found.values),
        "preprocess": model.preprocess.model_dump(mode="json"),
        "classes": list(subject.classes),
        "pictures": _pictures(subject, images),
    }


def why_not(traced: Traced, values: Mapping[str, Tensor]) -> str | None:
    """Why the evaluator cannot run a network, in a short clause that names the operation; None where it can.

    Args:
        traced: the network.
        values: what every node gives for some image.
    """
    graph = traced.graph
    if graph.failed is not None:
        return f"it fails at {graph.failed.node}: {graph.failed.message}"
    if not graph.exported:
        return graph.note
    tensors = {**traced.state(), **values}
    for name in (node.name for node in graph.nodes if node.name in _running(traced)):
        call = traced.calls[name]
        reason = _unsupported(call) or _unsuited(call, tensors)
        if reason is not None:
            return f"{call.operation} (at {name}) {reason}"
    return None


def program(traced: Traced, values: Mapping[str, Tensor]) -> dict[str, Any]:
    """Nodes, output and weights of a network that the evaluator can run, as `offline` has them."""
    state, weights = traced.state(), {}
    running = _running(traced)
    constants: list[Tensor] = []

    def lowered(value: Any) -> Any:
        match value:
            case Ref():
                return {"node": value.source}
            case Weight():
                weights[value.name] = _array(state[value.name])
                return {"weight": value.name}
            case Tensor():
                constants.append(value)
                weights[f"constant/{len(constants)}"] = _array(value)
                return {"weight": f"constant/{len(constants)}"}
            case list() | tuple():
                return [lowered(item) for item in value]
        return value

    nodes = []
    for node in traced.graph.nodes:
        call = traced.calls.get(node.name) if node.name in running else None
        arguments = {} if call is None else {role: lowered(value) for role, value in _arguments(call).items()}
        item = None if call is None else call.item
        shown = ("name", "module", "operation", "shape", "settings", "opens")
        nodes.append({**{key: getattr(node, key) for key in shown}, "arguments": arguments, "item": item})
        if node.operation == "constant":
            weights[node.name] = _array(values[node.name])
    return {"nodes": nodes, "output": traced.graph.output, "weights": weights}


def _running(traced: Traced) -> set[str]:
    """The nodes that depend on the image: the others are carried as they are."""
    return {node.name for node in traced.graph.nodes if node.operation not in ("input", "constant")}


def _arguments(call: Call) -> dict[str, Any]:
    """The arguments that the evaluator needs; None and PyTorch's own types say nothing to it."""
    if call.helper is not None:
        return {"weights": call.helper, "value": call.arguments["value"]}
    return {role: value for role, value in call.arguments.items() if value is not None and _known(value)}


def _known(value: Any) -> bool:
    return isinstance(value, Ref | Weight | Tensor | bool | int | float | str | list | tuple)


def _unsupported(call: Call) -> str | None:
    """Why the evaluator cannot compute a call."""
    given = call.arguments
    if call.operation not in SUPPORTED:
        return "is not one of the operations that run in a browser"
    unknown = [role for role, value in given.items() if value is not None and role not in SUPPORTED[call.operation]]
    # a type of its own is no change where the numbers have it already; those that have not are found by their values
    unknown = [role for role in unknown if role not in ("dtype", "rounding_mode") or given[role] != torch.float32]
    if unknown:
        return f"uses {unknown[0]}={given[unknown[0]]!r}, which does not run in a browser"
    if any(isinstance(item, Tensor) and not item.is_floating_point() for item in given.values()):
        return "takes whole numbers from the network's code"
    dynamic = [role for role, value in given.items() if role not in _TENSORS and not _is_plain(value)]
    if dynamic:
        return f"computes its {dynamic[0]}, which does not run in a browser"
    odd = {
        "mode": given.get("mode", "constant") != "constant",
        "training": bool(given.get("training")),
        "train": bool(given.get("train")),
        "enable_gqa": bool(given.get("enable_gqa")),
        "pad": min(given.get("pad") or [0]) < 0,
        "item": bool(call.item) and call.operation not in ("select", "slice"),
    }
    role = next((name for name, is_odd in odd.items() if is_odd), None)
    return None if role is None else f"uses {role}={given.get(role, call.item)!r}, which does not run in a browser"


def _unsuited(call: Call, tensors: Mapping[str, Tensor]) -> str | None:
    """Why the evaluator cannot compute with a call's tensors."""
    taken = {role: value.name for role, value in call.arguments.items() if isinstance(value, Ref | Weight)}
    several = [ref.name for ref in call.refs if ref.name not in taken.values()]
    whole = [name for name in (call.name, *taken.values(), *several) if not tensors[name].is_floating_point()]
    if whole:
        return f"works with {tensors[whole[0]].dtype} ({whole[0]}), and only floating-point numbers run in a browser"
    axes = _AXES.get(call.operation, 0)
    few = [name for role, name in taken.items() if role != "bias" and tensors[name].ndim < axes]
    return f"takes {few[0]} of shape {tuple(tensors[few[0]].shape)}, which does not run in a browser" if few else None


def _is_plain(value: Any) -> bool:
    items = value if isinstance(value, list | tuple) else [value]
    return not any(isinstance(item, Ref | Weight | Tensor) for item in items)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float32).numpy()


def _pictures(subject: Subject, images: Sequence[str] | None) -> list[dict[str, Any]]:
    ids = [f"probe/{at}" for at in range(subject.images.groups().get("probe", 0))] if images is None else images
    found, room = [], MOST_PICTURE_BYTES
    for id in ids:
        try:
            seen: Seen = subject.images[id]
        except OpsinError:
            continue  # its file is gone: the report shows the stored answers
        room -= seen.pixels.nbytes
        if room < 0:
            break
        found.append({key: getattr(seen, key) for key in ("id", "name", "label", "prepared", "pixels")})
    return found
