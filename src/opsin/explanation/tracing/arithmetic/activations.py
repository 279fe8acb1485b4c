"""Functions of one number, in float64.

Those of the ReLU family are the number times a gate: y = x * gate(x) (+ a constant where it is clipped). Others have no
weight: a function is applied.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch

from opsin.explanation.tracing.arithmetic.opening import (
    Arithmetic,
    CannotOpen,
    Opening,
    aligned,
    applied,
    products,
)  # fmt: skip
from opsin.records.trace import join_terms

Gate = Callable[[float, Opening], tuple[float, float]]


def relu(x: float, _opening: Opening) -> tuple[float, float]:
    """max(0, x)."""
    return (1.0 if x > 0 else 0.0), 0.0


def leaky_relu(x: float, opening: Opening) -> tuple[float, float]:
    """x where it is positive, otherwise x times the slope."""
    return (1.0 if x > 0 else float(opening.setting("negative_slope", 0.01))), 0.0


def relu6(x: float, _opening: Opening) -> tuple[float, float]:
    """min(max(0, x), 6)."""
    return clipped(x, 0.0, 6.0)


def hardtanh(x: float, opening: Opening) -> tuple[float, float]:
    """x between two bounds, the bound beyond."""
    return clipped(x, float(opening.setting("min_val", -1.0)), float(opening.setting("max_val", 1.0)))


def clamp(x: float, opening: Opening) -> tuple[float, float]:
    """As `hardtanh`; a bound may be missing."""
    return clipped(x, float(opening.setting("min", -math.inf)), float(opening.setting("max", math.inf)))


def hardswish(x: float, _opening: Opening) -> tuple[float, float]:
    """x * min(max(0, x + 3), 6) / 6 (Howard et al. 2019)."""
    return min(max(x + 3.0, 0.0), 6.0) / 6.0, 0.0


def hardsigmoid(x: float, _opening: Opening) -> tuple[float, float]:
    """min(max(0, x + 3), 6) / 6: a sixth of x and a half, clipped to 0..1."""
    return (1 / 6, 0.5) if -3.0 < x < 3.0 else (0.0, 0.0 if x <= -3.0 else 1.0)


def silu(x: float, _opening: Opening) -> tuple[float, float]:
    """x * sigmoid(x)."""
    return sigmoid(x), 0.0


def clipped(x: float, low: float, high: float) -> tuple[float, float]:
    """A gate that is closed beyond two bounds, which are then the constant."""
    if x < low:
        return 0.0, low
    return (0.0, high) if x > high else (1.0, 0.0)


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without an overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


GATES: Mapping[str, tuple[Gate, str]] = {
    "relu": (relu, "max(0, input)"),
    "relu6": (relu6, "input between 0 and 6"),
    "leaky_relu": (leaky_relu, "input, times the slope where it is negative"),
    "hardtanh": (hardtanh, "input between two bounds"),
    "clamp": (clamp, "input between two bounds"),
    "clamp_min": (clamp, "input, at least the bound"),
    "clamp_max": (clamp, "input, at most the bound"),
    "hardswish": (hardswish, "input x min(max(0, input + 3), 6) / 6"),
    "hardsigmoid": (hardsigmoid, "min(max(0, input + 3), 6) / 6"),
    "silu": (silu, "input x sigmoid(input)"),
}
# applied by PyTorch's own operation, in float64
FUNCTIONS: Mapping[str, str] = {
    "sigmoid": "1 / (1 + exp(-input))",
    "tanh": "tanh(input)",
    "elu": "input, or alpha x (exp(input) - 1) where it is negative",
    "celu": "input, or alpha x (exp(input / alpha) - 1) where it is negative",
    "selu": "scaled elu",
    "mish": "input x tanh(log(1 + exp(input)))",
    "softplus": "log(1 + exp(beta x input)) / beta",
    "log_sigmoid": "log(sigmoid(input))",
    "hardshrink": "input, or 0 near 0",
    "softshrink": "input moved towards 0",
    "threshold": "input, or the value where it is not above the threshold",
    "exp": "exp(input)",
    "log": "log(input)",
    "sqrt": "square root of input",
    "rsqrt": "1 / square root of input",
    "abs": "|input|",
    "neg": "-input",
    "square": "input x input",
    "pow": "input to a power",
    "reciprocal": "1 / input",
    "erf": "erf(input)",
    "sin": "sin(input)",
    "cos": "cos(input)",
}


def gated(opening: Opening) -> Arithmetic:
    """The number times its gate, and a constant."""
    gate, formula = GATES[opening.call.operation]
    inputs = opening.operand("self")
    place = aligned(opening.place, inputs.shape)
    x = float(inputs.numbers(place)[0])
    if math.isnan(x):
        raise CannotOpen("the number is NaN")
    weight, constant = gate(x, opening)
    return Arithmetic(products(inputs, place, np.array([weight])), constant, formula, {"gate": weight})


def gelu(opening: Opening) -> Arithmetic:
    """`x / 2 + x / 2 * erf(x / sqrt(2))` (Hendrycks and Gimpel 2016), or its form with tanh.

    Two terms: where x is very negative they cancel, and so does PyTorch's own sum of them.
    """
    inputs = opening.operand("self")
    place = aligned(opening.place, inputs.shape)
    x = float(inputs.numbers(place)[0])
    if opening.setting("approximate", "none") == "tanh":
        inner = math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        formula = "input / 2 + input / 2 x tanh(sqrt(2 / pi) x (input + 0.044715 x input^3))"
    else:
        inner, formula = math.erf(x / math.sqrt(2)), "input / 2 + input / 2 x erf(input / sqrt(2))"
    terms = [products(inputs, place, np.array([weight])) for weight in (0.5, inner / 2)]
    return Arithmetic(join_terms(terms), 0.0, formula, {"gate": (1 + inner) / 2})


def prelu(opening: Opening) -> Arithmetic:
    """x, or x times the slope of its channel where it is negative (He et al. 2015)."""
    inputs, slopes = opening.operand("self"), opening.operand("weight")
    place = np.array([opening.place])
    x = float(inputs.numbers(place)[0])
    channel = opening.place[1] if len(opening.place) > 1 and slopes.shape[0] > 1 else 0
    if x > 0:
        return Arithmetic(products(inputs, place, np.ones(1)), 0.0, "input")
    slope = slopes.numbers(np.array([[channel]]))
    terms = products(inputs, place, slope, weight=slopes, weight_places=np.array([[channel]]))
    return Arithmetic(terms, 0.0, "input x slope")


def function(opening: Opening) -> Arithmetic:
    """A function of the number, which has no weight."""
    name = "self" if opening.has("self") else "input"
    inputs = opening.operand(name)
    if any(opening.has(role) for role in opening.call.arguments if role != name):
        raise CannotOpen(f"{opening.call.operation} of two tensors is not opened")
    place = aligned(opening.place, inputs.shape)
    alone = torch.from_numpy(inputs.numbers(place))
    result = opening.call.compute({name: alone}, opening.tensor)
    return Arithmetic(applied(inputs, place, result.numpy()), 0.0, FUNCTIONS[opening.call.operation])
