"""Layers: against loops, against numerical gradients, and against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from opsin.scratch import naive
from opsin.scratch.layers import (
    AvgPool2D,
    BatchNorm2D,
    Conv2D,
    Dropout,
    Flatten,
    Linear,
    MaxPool2D,
    ReLU,
    Residual,
    Tanh,
)
from opsin.scratch.networks import Sequential

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def convolutions(draw):
    """Arguments of a convolution and an input that its kernel fits into, of random everything."""
    groups = draw(st.integers(1, 2))
    given = {
        "in_channels": groups * draw(st.integers(1, 2)),
        "out_channels": groups * draw(st.integers(1, 2)),
        "kernel_size": draw(pairs),
        "stride": draw(pairs),
        "padding": draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
        "dilation": draw(pairs),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    size = [
        max(1, gap * (kernel - 1) + 1 - 2 * pad) + draw(st.integers(0, 4))
        for gap, kernel, pad in zip(given["dilation"], given["kernel_size"], given["padding"], strict=True)
    ]
    random = np.random.default_rng(draw(st.integers(0, 99)))
    return given, random.normal(size=(draw(st.integers(1, 2)), given["in_channels"], *size))


def as_torch(layer, twin: nn.Module) -> nn.Module:
    twin = twin.double()
    twin.load_state_dict(
        {name: torch.from_numpy(value.astype(np.float64)) for name, value in layer.state_dict().items()}, strict=False
    )
    return twin


def assert_equals_torch(layer, twin: nn.Module, x: np.ndarray) -> None:
    layer, twin = layer.astype(np.float64), as_torch(layer, twin)
    y = layer.forward(x)
    tensor = torch.from_numpy(x.copy()).requires_grad_()
    expected = twin(tensor)
    grad = np.random.default_rng(1).normal(size=y.shape)
    expected.backward(torch.from_numpy(grad))
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, expected.detach().numpy(), atol=1e-10)
    np.testing.assert_allclose(layer.backward(grad), tensor.grad.numpy(), atol=1e-10)
    for name, value in twin.named_parameters():
        np.testing.assert_allclose(layer.gradients()[name], value.grad.numpy(), atol=1e-10)


@settings(max_examples=30, deadline=None)
@given(convolutions())
def test_convolution_is_that_of_the_loops_and_of_pytorch(drawn):
    arguments, x = drawn
    fast, slow = Conv2D(**arguments).astype(np.float64), naive.Conv2D(**arguments).astype(np.float64)
    y = fast.forward(x)
    np.testing.assert_allclose(y, slow.forward(x), atol=1e-12)
    grad = np.random.default_rng(0).normal(size=y.shape)
    np.testing.assert_allclose(fast.backward(grad), slow.backward(grad), atol=1e-12)
    for name, value in slow.grads.items():
        np.testing.assert_allclose(fast.grads[name], value, atol=1e-12)
    assert_equals_torch(Conv2D(**arguments), nn.Conv2d(**arguments), x)


@settings(max_examples=20, deadline=None)
@given(st.data())
@pytest.mark.parametrize(
    ("fast", "slow", "twin"),
    [(MaxPool2D, naive.MaxPool2D, nn.MaxPool2d), (AvgPool2D, naive.AvgPool2D, nn.AvgPool2d)],
)
def test_pools_are_those_of_the_loops_and_of_pytorch(fast, slow, twin, data):
    kernel = data.draw(pairs)
    stride = data.draw(st.none() | pairs)
    padding = tuple(data.draw(st.integers(0, side // 2)) for side in kernel)
    size = [max(1, side - 2 * pad) + data.draw(st.integers(0, 4)) for side, pad in zip(kernel, padding, strict=True)]
    # few different numbers, so that maxima are often tied
    x = np.random.default_rng(data.draw(st.integers(0, 99))).integers(-2, 3, (2, 2, *size)).astype(np.float64)
    one, other = fast(kernel, stride, padding), slow(kernel, stride, padding)
    y = one.forward(x)
    np.testing.assert_array_equal(y, other.forward(x))
    grad = np.random.default_rng(0).normal(size=y.shape)
    np.testing.assert_allclose(one.backward(grad), other.backward(grad), atol=1e-12)
    assert_equals_torch(fast(kernel, stride, padding), twin(kernel, stride, padding), x)


LAYERS = {
    "conv": (lambda: Conv2D(2, 3, 3, stride=2, padding=1, dilation=1), (2, 2, 5, 6)),
    "grouped": (lambda: Conv2D(4, 4, (2, 3), padding=(0, 1), groups=2), (2, 4, 4, 4)),
    "depthwise": (lambda: Conv2D(3, 6, 3, dilation=2, groups=3, bias=False), (1, 3, 6, 7)),
    "max pool": (lambda: MaxPool2D(2), (2, 2, 4, 5)),
    "overlapping pool": (lambda: MaxPool2D(3, 2, 1), (1, 2, 5, 5)),
    "average pool": (lambda: AvgPool2D(3, 2, 1), (1, 2, 5, 5)),
    "linear": (lambda: Linear(5, 3), (4, 5)),
    "relu": (ReLU, (3, 4)),
    "tanh": (Tanh, (3, 4)),
    "flatten": (Flatten, (2, 2, 3, 3)),
    "batch norm": (lambda: BatchNorm2D(3), (4, 3, 2, 2)),
    "batch norm in evaluation": (lambda: BatchNorm2D(3).eval(), (4, 3, 2, 2)),
    "residual": (lambda: Residual(Sequential([Conv2D(2, 2, 3, padding=1), ReLU()])), (2, 2, 4, 4)),
    "residual with a shortcut": (lambda: Residual(Conv2D(2, 4, 3, 2, 1), Conv2D(2, 4, 1, 2)), (2, 2, 4, 4)),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_those_of_small_differences(name, compared):
    make, shape = LAYERS[name]
    x = np.random.default_rng(3).normal(size=shape)
    assert compared(make(), x) <= 1e-6


def test_a_wrong_gradient_is_found(compared):
    class Wrong(ReLU):
        def backward(self, grad_output):
            return grad_output  # the slope of the ReLU forgotten

    assert compared(Wrong(), np.random.default_rng(3).normal(size=(3, 4))) > 0.1


@pytest.mark.parametrize(
    ("layer", "twin", "shape"),
    [
        (Linear(5, 3), nn.Linear(5, 3), (4, 5)),
        (Linear(5, 3, bias=False), nn.Linear(5, 3, bias=False), (4, 5)),
        (Tanh(), nn.Tanh(), (4, 5)),
        (ReLU(), nn.ReLU(), (4, 5)),
        (Flatten(), nn.Flatten(), (4, 2, 3, 3)),
        (BatchNorm2D(3), nn.BatchNorm2d(3), (4, 3, 5, 5)),
        (BatchNorm2D(3).eval(), nn.BatchNorm2d(3).eval(), (4, 3, 5, 5)),
    ],
)
def test_other_layers_are_those_of_pytorch(layer, twin, shape):
    assert_equals_torch(layer, twin, np.random.default_rng(0).normal(size=shape))


def test_running_statistics_are_those_of_pytorch():
    layer, twin = BatchNorm2D(3).astype(np.float64), nn.BatchNorm2d(3).double()
    for seed in range(4):
        x = np.random.default_rng(seed).normal(2, 3, (5, 3, 4, 4))
        layer.forward(x)
        twin(torch.from_numpy(x))
    np.testing.assert_allclose(layer.running_mean, twin.running_mean.numpy(), atol=1e-12)
    np.testing.assert_allclose(layer.running_var, twin.running_var.numpy(), atol=1e-12)


def test_evaluation_does_not_look_at_the_batch():
    layer = BatchNorm2D(2)
    layer.forward(np.random.default_rng(0).normal(3, 2, (8, 2, 4, 4)).astype(np.float32))
    layer.eval()
    x = np.random.default_rng(1).normal(3, 2, (8, 2, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(layer.forward(x)[:1], layer.forward(x[:1]))


def test_dropout_keeps_the_mean_and_closes_the_gradient():
    layer, x = Dropout(0.4), np.ones((200, 100), np.float32)
    y = layer.forward(x)
    assert y.dtype == np.float32
    assert abs((y == 0).mean() - 0.4) < 0.02
    assert abs(y.mean() - 1) < 0.03
    np.testing.assert_array_equal(layer.backward(x), y)
    assert layer.eval().forward(x) is x
    assert layer.backward(x) is x


def test_precision_is_kept():
    for dtype in (np.float32, np.float64):
        network = Sequential(
            [Conv2D(1, 2, 3), BatchNorm2D(2), Tanh(), MaxPool2D(2), Flatten(), Linear(2 * 4, 3)]
        ).astype(dtype)
        x = np.random.default_rng(0).normal(size=(2, 1, 6, 6)).astype(dtype)
        y = network.forward(x)
        assert y.dtype == dtype
        assert network.backward(y).dtype == dtype
        assert {grad.dtype for grad in network.gradients().values()} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Conv2D(1, 1, 0), "kernel_size was given as 0; expected whole numbers of at least 1"),
        (lambda: Conv2D(1, 1, 3, stride=0), "stride was given as 0"),
        (lambda: Conv2D(1, 1, 3, stride=-1), "stride was given as -1"),
        (lambda: Conv2D(1, 1, 3, padding=-1), "padding was given as -1"),
        (lambda: Conv2D(1, 1, 2.5), "whole numbers"),
        (lambda: Conv2D(3, 4, 3, groups=2), "2 groups do not divide 3 input and 4 output"),
        (lambda: MaxPool2D(2, padding=2), "more than half the kernel"),
        (lambda: Dropout(1.0), "up to, but not including, 1"),
    ],
)
def test_settings_that_cannot_be(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize(
    ("layer", "x", "match"),
    [
        (Conv2D(3, 4, 3), np.zeros((1, 1, 8, 8)), "has 3 input channels and was given 1, in an array of shape"),
        (Conv2D(1, 4, 5), np.zeros((1, 1, 4, 8)), r"spans 5 places does not fit into 4 \+ 2 x 0 .* at least 1"),
        (Conv2D(1, 4, 3, dilation=3), np.zeros((1, 1, 6, 8)), "spans 7 places does not fit into 6"),
        (Conv2D(1, 4, 3), np.zeros((8, 8)), r"shape \(8, 8\); expected .* picture\[None, None\]"),
        (Conv2D(1, 4, 3), np.zeros((1, 1, 8, 8), int), "of type int64; expected a float array"),
        (Conv2D(1, 4, 3), [[1.0]], "of type list"),
        (Conv2D(1, 4, 3), np.full((1, 1, 8, 8), np.nan), "64 numbers that are NaN or infinite"),
        (MaxPool2D(3), np.zeros((1, 1, 2, 2)), "spans 3 places"),
        (Linear(4, 2), np.zeros((2, 5)), r"takes \(images, 4\) and was given an array of shape \(2, 5\)"),
        (Linear(4, 2), np.zeros((2, 1, 2, 2)), "by Flatten"),
        (BatchNorm2D(2), np.zeros((1, 3, 2, 2)), "has 2 input channels"),
        (Residual(Conv2D(1, 2, 3)), np.zeros((1, 1, 5, 5)), "cannot be added"),
    ],
)
def test_inputs_that_cannot_be_are_explained(layer, x, match):
    with pytest.raises(ValueError, match=match) as caught:
        layer.forward(x)
    assert "\n" not in str(caught.value)
