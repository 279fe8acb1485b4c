"""Every opener: its terms add up to PyTorch's own number, whatever the settings; and a wrong one is seen."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from opsin.explanation.tracing.arithmetic import OPENERS
from opsin.explanation.tracing.graph import trace_graph
from opsin.explanation.tracing.trace import open_unit

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")
MAPS, TOKENS, ROW = (1, 4, 9, 8), (1, 6, 8), (1, 12)
CASES = {
    "conv2d": (nn.Conv2d(4, 6, 3), MAPS),
    "conv2d groups": (nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), MAPS),
    "conv2d depthwise": (nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4, bias=False), MAPS),
    "conv2d uneven": (nn.Conv2d(4, 2, (3, 2), stride=(2, 1), padding=(0, 1), dilation=(1, 3)), MAPS),
    "conv2d same": (nn.Conv2d(4, 2, (4, 3), padding="same"), MAPS),
    "conv2d valid": (nn.Conv2d(4, 2, 3, padding="valid"), MAPS),
    "conv2d reflecting": (nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect"), MAPS),
    "conv1d": (nn.Conv1d(6, 4, 3, padding=1), TOKENS),
    "conv3d": (nn.Conv3d(2, 3, (2, 3, 3), padding=(0, 1, 1)), (1, 2, 3, 6, 5)),
    "conv_transpose2d": (nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), MAPS),
    "conv_transpose2d dilated": (nn.ConvTranspose2d(4, 2, (2, 3), stride=(1, 2), dilation=2), MAPS),
    "conv_transpose1d": (nn.ConvTranspose1d(6, 2, 3, stride=3), TOKENS),
    "linear": (nn.Linear(12, 5), ROW),
    "linear tokens": (nn.Linear(8, 5, bias=False), TOKENS),
    "batch_norm": (nn.BatchNorm2d(4), MAPS),
    "batch_norm plain": (nn.BatchNorm2d(4, affine=False), MAPS),
    "batch_norm of the image": (nn.BatchNorm2d(4, track_running_stats=False), MAPS),
    "layer_norm": (nn.LayerNorm(8), TOKENS),
    "layer_norm maps": (nn.LayerNorm((4, 9, 8)), MAPS),
    "group_norm": (nn.GroupNorm(2, 4), MAPS),
    "instance_norm": (nn.InstanceNorm2d(4, affine=True), MAPS),
    "instance_norm kept": (nn.InstanceNorm2d(4, track_running_stats=True), MAPS),
    "rms_norm": (nn.RMSNorm(8, eps=1e-6), TOKENS),
    "relu": (nn.ReLU(), MAPS),
    "relu in place": (nn.ReLU(inplace=True), MAPS),
    "relu6": (nn.ReLU6(), MAPS),
    "leaky_relu": (nn.LeakyReLU(0.2), MAPS),
    "hardtanh": (nn.Hardtanh(-0.3, 0.6), MAPS),
    "hardswish": (nn.Hardswish(), MAPS),
    "hardsigmoid": (nn.Hardsigmoid(), MAPS),
    "silu": (nn.SiLU(inplace=True), MAPS),
    "gelu": (nn.GELU(), MAPS),
    "gelu tanh": (nn.GELU(approximate="tanh"), MAPS),
    "prelu": (nn.PReLU(4), MAPS),
    "prelu one": (nn.PReLU(), MAPS),
    "sigmoid": (nn.Sigmoid(), MAPS),
    "tanh": (nn.Tanh(), MAPS),
    "elu": (nn.ELU(0.7), MAPS),
    "celu": (nn.CELU(0.7), MAPS),
    "selu": (nn.SELU(), MAPS),
    "mish": (nn.Mish(), MAPS),
    "softplus": (nn.Softplus(), MAPS),
    "softsign": (nn.Softsign(), MAPS),
    "log_sigmoid": (nn.LogSigmoid(), MAPS),
    "hardshrink": (nn.Hardshrink(), MAPS),
    "threshold": (nn.Threshold(0.1, 3.0), MAPS),
    "max_pool2d": (nn.MaxPool2d(3, stride=2, padding=1), MAPS),
    "max_pool2d dilated": (nn.MaxPool2d(2, stride=1, dilation=2), MAPS),
    "max_pool2d ceil": (nn.MaxPool2d(3, stride=2, ceil_mode=True), MAPS),
    "max_pool1d": (nn.MaxPool1d(2), TOKENS),
    "avg_pool2d": (nn.AvgPool2d(3, stride=2, padding=1), MAPS),
    "avg_pool2d without padding": (nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False), MAPS),
    "avg_pool2d ceil": (nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True), MAPS),
    "avg_pool2d divisor": (nn.AvgPool2d(2, divisor_override=3), MAPS),
    "avg_pool1d": (nn.AvgPool1d(3, padding=1), TOKENS),
    "adaptive_avg_pool2d": (nn.AdaptiveAvgPool2d((4, 3)), MAPS),
    "adaptive_avg_pool2d global": (nn.AdaptiveAvgPool2d(1), MAPS),
    "adaptive_max_pool2d": (nn.AdaptiveMaxPool2d((4, 3)), MAPS),
    "flatten": (nn.Flatten(), MAPS),
    "pixel_shuffle": (nn.PixelShuffle(2), MAPS),
    "zero pad": (nn.ZeroPad2d((1, 2, 0, 1)), MAPS),
    "reflection pad": (nn.ReflectionPad2d(2), MAPS),
    "replication pad": (nn.ReplicationPad2d(1), MAPS),
    "upsample nearest": (nn.Upsample(scale_factor=2), MAPS),
    "upsample bilinear": (nn.Upsample(size=(13, 11), mode="bilinear"), MAPS),
    "softmax": (nn.Softmax(dim=1), MAPS),
    "log_softmax": (nn.LogSoftmax(dim=-1), TOKENS),
    "attention": (nn.MultiheadAttention(8, 2, batch_first=True), TOKENS),
    "transformer": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), TOKENS),
}
FUNCTIONS = {
    "add": (lambda x: x + x.relu(), MAPS),
    "add alpha": (lambda x: torch.add(x, x.relu(), alpha=0.3), MAPS),
    "add number": (lambda x: 2.5 + x, MAPS),
    "add broadcast": (lambda x: x + x.mean((2, 3), keepdim=True), MAPS),
    "add in place": (lambda x: x.relu().add_(x.tanh()), MAPS),
    "sub": (lambda x: x - x.relu(), MAPS),
    "rsub": (lambda x: 1 - x, MAPS),
    "mul": (lambda x: x * x.sigmoid(), MAPS),
    "mul gate": (lambda x: x.mean((2, 3), keepdim=True).sigmoid() * x, MAPS),
    "mul number": (lambda x: x * 0.125, MAPS),
    "div": (lambda x: x / (x.abs() + 1), MAPS),
    "div number": (lambda x: x / 7, MAPS),
    "mean": (lambda x: x.mean((2, 3)), MAPS),
    "mean all": (lambda x: x.mean() + x.sum((1, 2, 3)), MAPS),
    "sum": (lambda x: x.sum(1, keepdim=True), MAPS),
    "amax": (lambda x: x.amax((2, 3)), MAPS),
    "max": (lambda x: x.max(dim=1).values, MAPS),
    "length": (lambda x: F.normalize(x, dim=1), MAPS),
    "cat": (lambda x: torch.cat([x, x.relu(), x.tanh()], 1), MAPS),
    "stack": (lambda x: torch.stack([x, x.relu()], 2), MAPS),
    "permute": (lambda x: x.permute(0, 2, 3, 1), MAPS),
    "transpose": (lambda x: x.transpose(1, 2), MAPS),
    "reshape": (lambda x: x.reshape(1, 2, -1, 8), MAPS),
    "view": (lambda x: x.permute(0, 2, 3, 1).contiguous().view(1, 18, -1), MAPS),
    "slice": (lambda x: x[:, 1:, ::2, -3:], MAPS),
    "select": (lambda x: x[:, 0], TOKENS),
    "chunk": (lambda x: x.chunk(2, 1)[1] + x.chunk(2, 1)[0], MAPS),
    "split": (lambda x: x.split([1, 3], 1)[1], MAPS),
    "unbind": (lambda x: x.unbind(1)[2], MAPS),
    "expand": (lambda x: x[:, :1].expand(-1, 3, -1, -1), MAPS),
    "roll": (lambda x: x.roll((1, -2), (2, 3)), MAPS),
    "flip": (lambda x: x.flip(-1), MAPS),
    "index": (lambda x: x[:, [2, 0, 2]], MAPS),
    "pad": (lambda x: F.pad(x, (1, 1, 2, 0), value=0.7), MAPS),
    "masked": (lambda x: x.masked_fill(torch.eye(9, 8, dtype=torch.bool), -3.0), MAPS),
    "windows of two images": (lambda x: x.reshape(2, 2, 9, 8).softmax(-1).reshape(1, 4, 9, 8), MAPS),
    "overwritten through a view": (lambda x: _overwrite(x.relu()), MAPS),
    "matmul": (lambda x: x @ x.transpose(-1, -2), MAPS),
    "matmul broadcast": (lambda x: x @ x[:, :1].transpose(-1, -2), MAPS),
    "bmm": (lambda x: torch.bmm(x, x.mT), TOKENS),
    "attention function": (lambda x: F.scaled_dot_product_attention(x, x.tanh(), x.relu()), MAPS),
    "attention scaled": (lambda x: F.scaled_dot_product_attention(x, x, x, scale=0.2), MAPS),
    "attention masked": (lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=torch.eye(9).log1p()), MAPS),
    "attention causal": (lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), MAPS),
    "clamp": (lambda x: x.clamp(-0.2) + x.clamp(max=0.1), MAPS),
    "functions": (lambda x: x.exp() + x.abs().sqrt() + (x * x + 1).log() + x.pow(2) + (x.square() + 1).rsqrt(), MAPS),
}  # fmt: skip
MAY_CLOSE = {"attention causal": "the mask forbids", "attention masked": "the mask forbids"}


def _overwrite(x):
    x[:, :, 0] = 0.25
    return x * 2


def _module(case, of):
    """The network of a case and the shape of its image: rows and tokens are cut out of one."""
    parts = []
    if case in FUNCTIONS:
        function, shape = FUNCTIONS[case]
    else:
        module, shape = CASES[case]
        _with_statistics(module)
        if len(shape) > 3 and not isinstance(module, nn.MultiheadAttention):
            return module, shape
        parts, function = [module], _attend if isinstance(module, nn.MultiheadAttention) else _apply
    if len(shape) > 3:
        return of(function, *parts), shape
    axes = 4 - len(shape)
    return of(lambda x, *rest: function(x.flatten(0, axes), *rest), *parts), (*(1,) * axes, *shape)


def _apply(x, part):
    return part(x)


def _attend(x, part):
    return part(x, x, x)[0]


def _with_statistics(module):
    for part in module.modules():
        if getattr(part, "running_mean", None) is not None:
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)


@pytest.mark.parametrize("case", [*CASES, *FUNCTIONS])
def test_the_terms_add_up_to_pytorchs_own_number(case, of, open_all):
    module, shape = _module(case, of)
    found = 0
    for traced, _, trace in open_all(module, torch.randn(shape), per_node=6):
        assert traced.graph.exported, traced.graph.note
        if case in MAY_CLOSE and not trace.opens:
            assert MAY_CLOSE[case] in trace.note
            continue
        assert trace.opens, trace.note
        assert trace.agrees, f"{trace.operation} {trace.unit}: {trace.total} is not {trace.value}"
        found += 1
    assert found >= 4


@pytest.mark.parametrize("case", [*CASES, *FUNCTIONS])
def test_every_term_says_where_it_comes_from(case, of, open_all):
    """The input of a term is the number of that node at that place, and its weight that of the parameter or node."""
    module, shape = _module(case, of)
    for traced, values, trace in open_all(module, torch.randn(shape), per_node=1):
        nodes, state = {node.name: node for node in traced.graph.nodes}, traced.state()
        for at in range(0, len(trace), max(1, len(trace) // 5)):
            term = trace.term(at)
            if term.layer and not term.padding:
                assert _number(term.layer, term.position, nodes, values, state) == term.input
            if term.weight_layer and trace.operation not in ("attention_scores", "div"):
                assert _number(term.weight_layer, term.weight_position, nodes, values, state) == term.weight


def _number(name, position, nodes, values, state):
    if name not in nodes:
        return float(state[name][position].detach())
    value = values[name]
    return float(value.reshape(nodes[name].shape)[position])


def test_no_case_is_left_out_where_an_operation_opens(of):
    """Of all the operations in the table only these are not tried: other names of one that is, or others alike."""
    tried = set()
    for case in [*CASES, *FUNCTIONS]:
        module, shape = _module(case, of)
        tried |= {node.operation for node in trace_graph(module, torch.randn(shape)).graph.nodes}
    others = {
        "avg_pool3d", "max_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool3d", "conv_transpose3d", "mm", "clamp_min",
        "clamp_max", "upsample_bicubic2d", "channel_shuffle", "expand_as", "index_select", "movedim", "narrow",
        "numpy_T", "pixel_unshuffle", "repeat", "repeat_interleave", "squeeze", "swapaxes", "t", "tile", "im2col",
        "slice_scatter", "alpha_dropout", "feature_dropout", "feature_alpha_dropout",
        "reciprocal", "neg", "erf", "sin", "cos", "softshrink",
    }  # fmt: skip
    assert set(OPENERS) - tried <= others


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    groups=st.integers(1, 3),
    per_group=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    transposed=st.booleans(),
    where=st.tuples(st.floats(0, 0.999), st.floats(0, 0.999), st.floats(0, 0.999)),
)
def test_any_convolution_opens(groups, per_group, kernel, stride, dilation, padding, transposed, where):
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    reach = [step * (side - 1) + 1 for side, step in zip(kernel, dilation, strict=True)]
    if transposed:
        padding = tuple(min(before, length - 1) // 2 for before, length in zip(padding, reach, strict=True))
    module = kind(
        groups * per_group[0], groups * per_group[1], kernel, stride=stride, dilation=dilation, padding=padding,
        groups=groups,
    )  # fmt: skip
    inputs = torch.randn(1, groups * per_group[0], 10, 11)
    traced = trace_graph(module, inputs)
    node = traced.graph.nodes[-1]
    unit = tuple(int(share * side) for share, side in zip(where, node.shape, strict=True))
    trace = open_unit(traced, traced.run(inputs), node.name, unit)
    assert trace.agrees
    if not transposed:
        assert len(trace) == per_group[0] * math.prod(kernel)
        places = trace.terms.position[:, 1:]
        outside = ((places < 0) | (places >= np.array([10, 11]))).any(axis=1)
        assert np.array_equal(outside, trace.terms.padding)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", ["conv2d groups", "linear", "batch_norm", "gelu", "avg_pool2d", "softmax", "add"])
def test_other_precisions_open_too(case, dtype, of, open_all):
    module, shape = _module(case, of)
    module = module.to(dtype)
    try:
        for _, _, trace in open_all(module, torch.randn(shape, dtype=dtype), per_node=4):
            assert trace.precision == str(dtype).removeprefix("torch.")
            assert trace.agrees, f"{trace.total} is not {trace.value}"
    finally:
        module.float()


@pytest.mark.parametrize(
    "case", ["conv2d", "linear", "batch_norm", "layer_norm", "relu", "silu", "gelu", "max_pool2d", "avg_pool2d", "add",
             "mul", "mean", "cat", "matmul", "tanh", "conv_transpose2d", "upsample bilinear"],
)  # fmt: skip
def test_a_wrong_sign_in_an_opener_fails_the_law(case, of, monkeypatch):
    """The planted fault: an opener that turns the largest product's sign."""
    module, shape = _module(case, of)
    inputs = torch.randn(shape) + 0.5
    traced = trace_graph(module, inputs)
    values = traced.run(inputs)
    node = traced.graph.nodes[-1]
    value = values[node.name].reshape(node.shape)
    unit = tuple(int(at) for at in np.unravel_index(int(value.abs().argmax()), node.shape))
    assert open_unit(traced, values, node.name, unit).agrees
    right = OPENERS[node.operation]

    def wrong(opening):
        found = right(opening)
        terms = found.terms.copy()
        largest = np.abs(terms.product).argmax()
        terms.product[largest] *= -1
        return dataclasses.replace(found, terms=terms)

    monkeypatch.setitem(OPENERS, node.operation, wrong)
    assert not open_unit(traced, values, node.name, unit).agrees


def test_a_gelu_far_below_zero_is_held_against_what_cancels():
    """1 + erf(x / sqrt(2)) loses nearly all digits in float32 there: two large terms say so."""
    module, inputs = nn.GELU(), torch.full((1, 1, 1, 1), -5.2)
    traced = trace_graph(module, inputs)
    trace = open_unit(traced, traced.run(inputs), "gelu", (0, 0, 0))
    assert trace.agrees
    assert trace.magnitude > 5


def test_what_does_not_open_says_so(of):
    module = of(lambda x: torch.sort(x, dim=1).values + x.cumsum(1))
    inputs = torch.randn(1, 3, 4, 4)
    traced = trace_graph(module, inputs)
    values = traced.run(inputs)
    trace = open_unit(traced, values, "cumsum", (1, 2, 3))
    assert not trace.opens
    assert "cumsum is not opened" in trace.note
    assert trace.total is None
    assert trace.value == float(values["cumsum"][0, 1, 2, 3])
    assert not len(trace)
    assert "cumsum" in trace.field_note
    assert open_unit(traced, values, "add", (1, 2, 3)).agrees
