"""One number of one operation as the sum of its terms: one file per family of operations, and the openers by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opsin.explanation.tracing.arithmetic.activations import FUNCTIONS, GATES, function, gated, gelu, prelu
from opsin.explanation.tracing.arithmetic.convolution import convolution, transposed
from opsin.explanation.tracing.arithmetic.elementwise import add, div, mul, rsub, sub
from opsin.explanation.tracing.arithmetic.linear import attention, attention_scores, linear, matmul
from opsin.explanation.tracing.arithmetic.moved import moved
from opsin.explanation.tracing.arithmetic.normalisation import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)  # fmt: skip
from opsin.explanation.tracing.arithmetic.opening import Arithmetic, CannotOpen, Opening
from opsin.explanation.tracing.arithmetic.pooling import (
    adaptive_average_pool,
    adaptive_max_pool,
    average_pool,
    max_pool,
)  # fmt: skip
from opsin.explanation.tracing.arithmetic.reductions import length, log_softmax, maximum, mean, softmax, total
from opsin.explanation.tracing.arithmetic.resampling import interpolated

Opener = Callable[[Opening], Arithmetic]

# These only say where a number goes
MOVING = (
    "alpha_dropout", "cat", "channel_shuffle", "dropout", "expand", "expand_as", "feature_alpha_dropout",
    "feature_dropout", "flatten", "flip", "index", "index_select",
    "masked_fill", "movedim", "narrow", "numpy_T", "pad", "permute", "pixel_shuffle", "pixel_unshuffle", "repeat",
    "repeat_interleave", "reshape", "roll", "select", "slice", "slice_scatter", "squeeze", "stack", "swapaxes", "t",
    "tile", "transpose", "unflatten", "unsqueeze", "im2col",
)  # fmt: skip

OPENERS: Mapping[str, Opener] = {
    "conv1d": convolution,
    "conv2d": convolution,
    "conv3d": convolution,
    "conv_transpose1d": transposed,
    "conv_transpose2d": transposed,
    "conv_transpose3d": transposed,
    "linear": linear,
    "matmul": matmul,
    "bmm": matmul,
    "mm": matmul,
    "attention_scores": attention_scores,
    "scaled_dot_product_attention": attention,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "rms_norm": rms_norm,
    **dict.fromkeys(GATES, gated),
    **dict.fromkeys(FUNCTIONS, function),
    "gelu": gelu,
    "prelu": prelu,
    "max_pool1d": max_pool,
    "max_pool2d": max_pool,
    "max_pool3d": max_pool,
    "avg_pool1d": average_pool,
    "avg_pool2d": average_pool,
    "avg_pool3d": average_pool,
    "adaptive_avg_pool1d": adaptive_average_pool,
    "adaptive_avg_pool2d": adaptive_average_pool,
    "adaptive_avg_pool3d": adaptive_average_pool,
    "adaptive_max_pool2d": adaptive_max_pool,
    "add": add,
    "sub": sub,
    "rsub": rsub,
    "mul": mul,
    "div": div,
    "mean": mean,
    "sum": total,
    "amax": maximum,
    "max": maximum,
    "linalg_vector_norm": length,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "upsample_nearest2d": interpolated,
    "upsample_bilinear2d": interpolated,
    "upsample_bicubic2d": interpolated,
    **dict.fromkeys(MOVING, moved),
}

__all__ = ["OPENERS", "Arithmetic", "CannotOpen", "Opener", "Opening"]
