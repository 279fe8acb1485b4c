"""Which places of its inputs an operation takes for some places of its output."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch import Tensor

from opsin.explanation.tracing.arithmetic import MOVING
from opsin.explanation.tracing.arithmetic.activations import FUNCTIONS, GATES
from opsin.explanation.tracing.arithmetic.moved import operands, sources
from opsin.explanation.tracing.arithmetic.opening import Opening, axis_of, each
from opsin.explanation.tracing.calls import UNSEEN, Ref

Region = tuple[np.ndarray, ...]  # per axis the indices, sorted: all combinations of them
COLLAPSING = {
    "adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "max_pool2d", "mean", "sum", "amax",
    "linalg_vector_norm",
}  # fmt: skip
# all of the output comes from all of the input
REORDERING = {"flatten", "flip", "permute", "reshape", "roll", "squeeze", "t", "transpose", "unflatten", "unsqueeze"}
STATISTICS = {"group_norm", "instance_norm"}


def is_statistic(opening: Opening) -> bool:
    """Whether a call only rescales whole channels by a statistic of the picture, or makes such a statistic."""
    operation = opening.call.operation
    return operation in STATISTICS or (operation in COLLAPSING and _collapses(opening))


def is_known(opening: Opening) -> bool:
    """Whether it is known which places a call takes."""
    return opening.call.operation in RULES or opening.call.operation in MOVING


def regions_before(opening: Opening, region: Region, *, local: bool) -> list[tuple[str, Region]]:
    """Per input of a call the places that it takes for a region of its output; nothing but padding is left out.

    Args:
        opening: the call.
        region: with the axis of the image.
        local: without statistics of the picture.
    """
    return [(name, before) for name, before in _before(opening, region, local) if all(map(len, before))]


def _before(opening: Opening, region: Region, local: bool) -> list[tuple[str, Region]]:
    call = opening.call
    left_out = local and is_statistic(opening)
    if left_out and call.operation in COLLAPSING:
        return []
    if call.operation in MOVING and call.operation not in RULES:
        return _moved(opening, region)
    rule = _same if left_out else RULES.get(call.operation)
    if rule is None:
        return [(ref.name, _all(opening.values[ref.name])) for ref in call.refs]
    roles = {role: item for role, item in call.arguments.items() if isinstance(item, Ref)}
    if call.helper is not None:
        roles = {"weights": call.helper, **({"value": roles["value"]} if "value" in roles else {})}
    return [
        (item.name, rule(opening, role, tuple(opening.values[item.name].shape), region)) for role, item in roles.items()
    ]


def _collapses(opening: Opening) -> bool:
    """Whether maps of more than one place become one number per channel."""
    shape, output = tuple(opening.tensor(opening.call.refs[0]).shape), tuple(opening.output.shape)
    if len(shape) != 4:
        return False
    images, first, second, third = shape
    maps = second * third > 1 and output in ((images, first), (images, first, 1, 1))
    last = first * second > 1 and output in ((images, third), (images, 1, 1, third))
    return maps or last


def _all(value: Tensor) -> Region:
    return tuple(np.arange(side) for side in value.shape)


def _same(_opening: Opening, _role: str, shape: tuple[int, ...], region: Region) -> Region:
    """The same place, broadcast as PyTorch does."""
    kept = region[len(region) - len(shape) :]
    return tuple(np.zeros(1, np.int64) if side == 1 else axis for axis, side in zip(kept, shape, strict=True))


def _last_whole(_opening: Opening, _role: str, shape: tuple[int, ...], region: Region) -> Region:
    return (*region[:-1], np.arange(shape[-1]))


def _convolved(opening: Opening, _role: str, shape: tuple[int, ...], region: Region) -> Region:
    weight, groups = opening.operand("weight").shape, opening.setting("groups", 1)
    axes = len(weight) - 2
    stride, dilation = each(opening.setting("stride"), axes, 1), each(opening.setting("dilation"), axes, 1)
    padding = opening.setting("padding", 0)
    if isinstance(padding, str):
        same = padding == "same"
        padding = [step * (side - 1) // 2 * same for side, step in zip(weight[2:], dilation, strict=True)]
    before = each(padding, axes)
    places = [
        _taps(region[2 + at], weight[2 + at], stride[at], before[at], dilation[at], shape[2 + at]) for at in range(axes)
    ]
    channels = np.unique(region[1] // (weight[0] // groups))
    inputs = np.unique(channels[:, None] * weight[1] + np.arange(weight[1]))
    return (region[0], inputs, *places)


def _spread(opening: Opening, _role: str, shape: tuple[int, ...], region: Region) -> Region:
    weight, groups = opening.operand("weight").shape, opening.setting("groups", 1)
    axes = len(weight) - 2
    stride, dilation = each(opening.setting("stride"), axes, 1), each(opening.setting("dilation"), axes, 1)
    padding, places = each(opening.setting("padding", 0), axes), []
    for at in range(axes):
        spread = region[2 + at][:, None] + padding[at] - np.arange(weight[2 + at]) * dilation[at]
        met = spread[spread % stride[at] == 0] // stride[at]
        places.append(np.unique(met[(met >= 0) & (met < shape[2 + at])]))
    per_group = weight[0] // groups
    inputs = np.unique(region[1] // weight[1])[:, None] * per_group + np.arange(per_group)
    return (region[0], np.unique(inputs), *places)


def _pooled(opening: Opening, _role: str, shape: tuple[int, ...], region: Region) -> Region:
    axes = int(opening.call.operation[-2])
    kernel = each(opening.setting("kernel_size"), axes)
    stride = each(opening.setting("stride") or kernel, axes)
    padding, dilation = each(opening.setting("padding", 0), axes), each(opening.setting("dilation", 1), axes, 1)
    places = [
        _taps(axis, kernel[at], stride[at], padding[at], dilation[at], side)
        for at, (axis, side) in enumerate(zip(region[-axes:], shape[-axes:], strict=True))
    ]
    return (*region[:-axes], *places)


def _taps(indices: np.ndarray, kernel: int, stride: int, padding: int, dilation: int, side: int) -> np.ndarray:
    places = indices[:, None] * stride - padding + np.arange(kernel) * dilation
    return np.unique(places[(places >= 0) & (places < side)])


def _adaptively_pooled(opening: Opening, _role: str, shape: tuple[int, ...], region: Region) -> Region:
    axes = int(opening.call.operation[-2])
    places = []
    for axis, side, count in zip(region[-axes:], shape[-axes:], opening.output.shape[-axes:], strict=True):
        spans = [np.arange(at * side // count, math.ceil((at + 1) * side / count)) for at in axis.tolist()]
        places.append(np.unique(np.concatenate(spans)))
    return (*region[:-axes], *places)


def _channel_whole(_opening: Opening, _role: str, shape: tuple[int, ...], region: Region) -> Region:
    return (*region[:2], *(np.arange(side) for side in shape[2:]))


def _batch_normalised(opening: Opening, role: str, shape: tuple[int, ...], region: Region) -> Region:
    kept = opening.has("running_mean") and not opening.setting("training", False)
    return (_same if kept else _channel_whole)(opening, role, shape, region)


def _group_whole(opening: Opening, _role: str, shape: tuple[int, ...], region: Region) -> Region:
    size = shape[1] // int(opening.setting("num_groups"))
    channels = np.unique(np.unique(region[1] // size)[:, None] * size + np.arange(size))
    return (region[0], channels, *(np.arange(side) for side in shape[2:]))


def _layer_normalised(opening: Opening, _role: str, shape: tuple[int, ...], region: Region) -> Region:
    axes = len(opening.setting("normalized_shape"))
    return (*region[:-axes], *(np.arange(side) for side in shape[-axes:]))


def _multiplied(_opening: Opening, role: str, shape: tuple[int, ...], region: Region) -> Region:
    before = _broadcast(region[:-2], shape[:-2])
    if role == "self":
        return (*before, region[-2], np.arange(shape[-1]))
    return (*before, np.arange(shape[-2]), region[-1])


def _scored(_opening: Opening, role: str, shape: tuple[int, ...], region: Region) -> Region:
    if role == "attn_mask":
        return _same(_opening, role, shape, region)
    before = _broadcast(region[:-2], shape[:-2])
    return (*before, region[-2] if role == "query" else region[-1], np.arange(shape[-1]))


def _attended(_opening: Opening, role: str, shape: tuple[int, ...], region: Region) -> Region:
    before = _broadcast(region[:-2], shape[:-2])
    if role == "value":
        return (*before, np.arange(shape[-2]), region[-1])
    return (*before, region[-2], np.arange(shape[-1]))


def _reduced(opening: Opening, _role: str, shape: tuple[int, ...], region: Region) -> Region:
    given = opening.setting("dim", [])
    dims = given if isinstance(given, list | tuple) else [given]
    over = {axis_of(int(dim), len(shape)) for dim in dims} or set(range(len(shape)))
    rest = iter(region)
    kept = len(region) == len(shape)
    found = []
    for axis, side in enumerate(shape):
        own = next(rest) if kept or axis not in over else None
        found.append(np.arange(side) if axis in over or own is None else own)
    return tuple(found)


def _along_axis(opening: Opening, _role: str, shape: tuple[int, ...], region: Region) -> Region:
    axis = axis_of(int(opening.setting("dim", -1)), len(shape))
    return (*region[:axis], np.arange(shape[axis]), *region[axis + 1 :])


def _interpolated(opening: Opening, _role: str, shape: tuple[int, ...], region: Region) -> Region:
    """Between the outermost numbers that take part: two on each side at most."""
    places = []
    reach = {"upsample_nearest2d": 0, "upsample_bilinear2d": 1}.get(opening.call.operation, 2)
    for axis, side, count in zip(region[2:], shape[2:], opening.output.shape[2:], strict=True):
        middle = np.floor((axis + 0.5) * side / count - (0.5 if reach else 0)).astype(np.int64)
        near = middle[:, None] + (np.arange(1 - reach, 1 + reach) if reach else np.zeros(1, np.int64))
        places.append(np.unique(np.clip(near, 0, side - 1)))
    return (*region[:2], *places)


def _moved(opening: Opening, region: Region) -> list[tuple[str, Region]]:
    if opening.call.operation in REORDERING and all(
        len(axis) == side for axis, side in zip(region, opening.output.shape, strict=True)
    ):
        return [(ref.name, _all(opening.values[ref.name])) for ref in opening.call.refs]
    picked = sources(opening)[np.ix_(*region)].ravel()
    found, start = [], 0
    for operand in operands(opening):
        count = operand.value.numel()
        taken = np.zeros(count, bool)
        taken[picked[(picked >= start) & (picked < start + count)] - start] = True
        start += count
        if operand.call and taken.any():
            found.append((operand.call, _region_of(taken.reshape(operand.shape))))
    return found


def _region_of(taken: np.ndarray) -> Region:
    """The indices along each axis at which something is taken."""
    axes = range(taken.ndim)
    return tuple(np.flatnonzero(taken.any(axis=tuple(other for other in axes if other != axis))) for axis in axes)


def _broadcast(region: Sequence[np.ndarray], shape: tuple[int, ...]) -> Region:
    kept = region[len(region) - len(shape) :]
    return tuple(np.zeros(1, np.int64) if side == 1 else axis for axis, side in zip(kept, shape, strict=True))


Rule = Callable[[Opening, str, tuple[int, ...], Region], Region]
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(
        (*GATES, *FUNCTIONS, *UNSEEN, "gelu", "prelu", "dropout", "add", "sub", "rsub", "mul", "div"), _same
    ),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolved),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _spread),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d"), _pooled),
    **dict.fromkeys(
        ("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool2d"), _adaptively_pooled
    ),
    "linear": _last_whole,
    **dict.fromkeys(("matmul", "bmm", "mm"), _multiplied),
    "attention_scores": _scored,
    "scaled_dot_product_attention": _attended,
    "batch_norm": _batch_normalised,
    "instance_norm": _channel_whole,
    "group_norm": _group_whole,
    **dict.fromkeys(("layer_norm", "rms_norm"), _layer_normalised),
    **dict.fromkeys(("mean", "sum", "amax", "max", "linalg_vector_norm"), _reduced),
    **dict.fromkeys(("softmax", "log_softmax"), _along_axis),
    **dict.fromkeys(("upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d"), _interpolated),
}
