"""Receptive fields: equal to the closed form, to a slow twin, and to what changing pixels does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.explanation.inside.poison import Network
from opsin.explanation.inside.receptive import receptive_field, receptive_fields

Window = tuple[int, int, int, int]  # kernel, stride, padding, dilation
CONVOLUTION, MAXIMUM, MEAN = "convolution", "maximum", "mean"


@st.composite
def stacks(draw) -> list[tuple[str, Window, Window]]:
    """Layers with a window for the rows and one for the columns."""
    layers = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from([CONVOLUTION, MAXIMUM, MEAN]))
        windows = []
        for _ in range(2):
            kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
            dilation = draw(st.integers(1, 2)) if kind != MEAN else 1
            # a pool takes at most half a kernel of padding; with more than this a unit would see nothing else
            padding = draw(st.integers(0, kernel - 1 if kind == CONVOLUTION else kernel // 2))
            windows.append((kernel, stride, padding, dilation))
        layers.append((kind, *windows))
    return layers


def built(layers: list[tuple[str, Window, Window]]) -> nn.Sequential:
    parts: list[nn.Module] = []
    channels = 1
    for kind, rows, columns in layers:
        kernel, stride, padding, dilation = zip(rows, columns, strict=True)
        if kind == CONVOLUTION:
            parts.append(nn.Conv2d(channels, 2, kernel, stride, padding, dilation))
            channels = 2
        elif kind == MAXIMUM:
            parts.append(nn.MaxPool2d(kernel, stride, padding, dilation))
        else:
            parts.append(nn.AvgPool2d(kernel, stride, padding))
        parts.append(nn.ReLU())
    return nn.Sequential(*parts)


def lengths(windows: list[Window], size: int) -> list[int]:
    """How many places there are before and behind each layer."""
    found = [size]
    for kernel, stride, padding, dilation in windows:
        found.append((found[-1] + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1)
    return found


def closed_form(windows: list[Window], place: int) -> tuple[int, int]:
    """First line and first line behind, on a plane without borders (Araujo et al. 2019, equations 1 to 4)."""
    first = last = place
    for kernel, stride, padding, dilation in reversed(windows):
        first, last = first * stride - padding, last * stride - padding + dilation * (kernel - 1)
    return first, last + 1


def slow_twin(windows: list[Window], place: int, size: int) -> list[int]:
    """Every line of the input on which a place depends, line by line."""
    places = {place}
    for (kernel, stride, padding, dilation), length in reversed(
        list(zip(windows, lengths(windows, size)[:-1], strict=True))
    ):
        reached = {at * stride - padding + tap * dilation for at in places for tap in range(kernel)}
        places = {line for line in reached if 0 <= line < length}
    return sorted(places)


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.filter_too_much],
)
@given(layers=stacks(), height=st.integers(9, 26), width=st.integers(9, 26), data=st.data())
def test_random_stacks_equal_the_closed_form_and_the_slow_twin(layers, height, width, data):
    rows, columns = [layer[1] for layer in layers], [layer[2] for layer in layers]
    grid = lengths(rows, height), lengths(columns, width)
    # a pool that makes one number of a map is a statistic of the picture, which the local field leaves out
    if min(min(part) for part in grid) < 1 or any(down * across < 2 for down, across in zip(*grid, strict=True)):
        return
    unit = tuple(data.draw(st.integers(0, part[-1] - 1)) for part in grid)
    seen = slow_twin(rows, unit[0], height), slow_twin(columns, unit[1], width)
    last = str(len(built(layers)) - 2)  # before the last ReLU
    found = receptive_field(built(layers), last, unit, (height, width))
    assert found.box == (seen[0][0], seen[1][0], seen[0][-1] + 1, seen[1][-1] + 1)
    assert found.local == found.box
    (top, bottom), (left, right) = closed_form(rows, unit[0]), closed_form(columns, unit[1])
    strides = [int(np.prod([window[1] for window in part])) for part in (rows, columns)]
    fields = bottom - top, right - left
    if all(
        8 * stride + 2 * field < 8 * size for stride, field, size in zip(strides, fields, (height, width), strict=True)
    ):
        assert found.unclipped == (top, left, bottom, right)
    else:
        assert found.unclipped in (None, (top, left, bottom, right))


def test_a_unit_that_sees_nothing_but_padding_has_no_field():
    net = nn.Sequential(nn.Conv2d(1, 1, 1, padding=1))
    found = receptive_field(net, "0", (0, 3), 8)
    assert found.box is None
    assert "no pixel" in found.text()
    assert receptive_field(net, "0", (1, 3), 8).unclipped == (0, 2, 1, 3)


class Branches(nn.Module):
    """A residual sum, a concatenation, channel groups, and a module that runs twice; linear, so that every pixel that
    can matter does."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, stride=2)
        self.block = nn.Conv2d(4, 4, 3, padding=1)
        self.wide = nn.Conv2d(4, 2, 5, padding=2)
        self.near = nn.Conv2d(4, 2, 1)
        self.join = nn.Identity()
        self.grouped = nn.Conv2d(4, 4, 3, groups=4)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(parameter.abs() + 0.1)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.block(self.block(x))
        return self.grouped(self.join(torch.cat([self.wide(x), self.near(x)], dim=1)))


@pytest.mark.parametrize("unit", [(0, 1, 2), (2, 1, 2), (1, 0, 0), (3, 3, 3)])
def test_what_lies_outside_never_changes_the_unit_and_every_edge_does(unit):
    net = Branches().double()
    found = receptive_field(net, "grouped", unit, 19)
    assert found.box is not None
    top, left, bottom, right = found.box
    base = torch.randn(1, 1, 19, 19, dtype=torch.double, generator=torch.Generator().manual_seed(0))

    def value(pixels):
        with torch.no_grad():
            return net(pixels)[(0, *unit)]

    outside = torch.ones(19, 19, dtype=torch.bool)
    outside[top:bottom, left:right] = False
    changed = base.clone()
    changed[..., outside] += 100
    assert value(changed) == value(base)
    rows, columns = slice(top, bottom), slice(left, right)
    for edge in ((top, columns), (bottom - 1, columns), (rows, left), (rows, right - 1)):
        changed = base.clone()
        changed[(0, 0, *edge)] += 1
        assert value(changed) != value(base)


def test_channels_of_other_branches_have_other_fields():
    near, wide = receptive_fields(Branches(), "grouped", [(2, 1, 2), (0, 1, 2)], 31)
    assert near.box is not None
    assert wide.box is not None
    # the 5 x 5 branch sees two places more on each side, of stride 2
    assert wide.box[2] - wide.box[0] == near.box[2] - near.box[0] + 8 - max(0, 2 * 2 - near.box[0])
    any_channel = receptive_field(Branches(), "grouped", (1, 2), 31)
    assert any_channel.box == wide.box


class Gated(nn.Module):
    """Squeeze-and-excitation, as a gate from a global mean."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.gate = nn.Conv2d(4, 4, 1)
        self.out = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = self.out(x * torch.sigmoid(self.gate(self.squeeze(x))))
        return self.head(x.mean(dim=(2, 3)))


def test_a_gate_sees_the_whole_picture_and_the_local_field_leaves_it_out():
    found = receptive_field(Gated(), "out", (5, 6), 12)
    assert found.whole
    assert found.local == (3, 4, 8, 9)
    assert found.ignored == ("squeeze",)
    assert "squeeze" in found.text()
    before = receptive_field(Gated(), "conv", (5, 6), 12)
    assert before.ignored == ()
    assert before.box == before.local == (4, 5, 7, 8)


def test_behind_global_pooling_there_is_no_local_field():
    found = receptive_field(Gated(), "head", (1,), 12)
    assert found.whole
    assert found.local is None
    assert found.shown == found.box
    assert "whole picture" in found.text()


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 4), nn.InstanceNorm2d(4), nn.LayerNorm([4, 10, 10])])
def test_normalisation_over_places_is_global_but_local_without_its_statistics(norm):
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), norm, nn.Conv2d(4, 2, 1))
    found = receptive_field(net, "2", (0, 4, 4), 10)
    assert found.whole
    assert found.local == (3, 3, 6, 6)
    assert found.ignored == ("1",)


class PerPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, 6, 4, stride=4)
        self.norm = nn.LayerNorm(6)

    def forward(self, x):
        return self.norm(self.patch(x).permute(0, 2, 3, 1))


def test_normalisation_of_each_place_by_itself_is_no_statistic_and_channels_last_is_recognised():
    found = receptive_field(PerPlace(), "norm", (2, 1, 0), 16)
    assert found.box == (4, 0, 8, 4)
    assert found.ignored == ()


def test_attention_sees_everything_and_patches_their_own_square():
    model = opsin.build_model("vit_small", classes=3, channels=1, size=16)
    assert receptive_field(model, "patches", (1, 2)).box == (4, 8, 8, 12)
    behind = receptive_field(model, "blocks.0", (0, 1, 2))
    assert behind.whole
    assert behind.unclipped is None


def test_rows_that_a_pool_drops_are_not_seen():
    """28 rows become 26, 13, 11 and 5, so that the last two are never looked at."""
    model = opsin.build_model("seed_cnn", classes=10, channels=1, size=28)
    assert receptive_field(model, "fc1", (0,)).box == (0, 0, 26, 26)
    assert receptive_field(model, "pool2", (4, 4)).box == (16, 16, 26, 26)


def test_a_field_larger_than_the_picture_is_known_without_borders():
    windows = [(3, 2, 1, 1)] * 3 + [(3, 1, 1, 1)] * 3
    net = nn.Sequential(*(nn.Conv2d(1, 1, k, stride, padding, dilation) for k, stride, padding, dilation in windows))
    found = receptive_field(net, "5", (1, 2), 24)
    (top, bottom), (left, right) = closed_form(windows, 1), closed_form(windows, 2)
    assert bottom - top == 63
    assert found.unclipped == (top, left, bottom, right)
    assert found.box == (0, 0, 24, 24)
    assert "without the picture's border" in found.text()


class Adaptive(nn.Module):
    """Maps whose size does not follow the input's."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(4)

    def forward(self, x):
        return self.pool(x)


def test_fields_that_follow_the_size_of_the_input_have_none_without_borders():
    found = receptive_field(Adaptive(), "pool", (0, 1, 0), 16)
    assert found.box == (4, 0, 8, 4)
    assert found.unclipped == (4, 0, 8, 4) or found.unclipped is None


def test_a_field_that_touches_a_border_and_one_that_does_not():
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1))
    corner, inner = receptive_fields(net, "1", [(0, 0), (4, 5)], 10)
    assert corner.box == (0, 0, 3, 3)
    assert corner.unclipped == (-2, -2, 3, 3)
    assert inner.box == inner.unclipped == (2, 3, 7, 8)


class SameAsTensorFlow(nn.Module):
    """Padding that depends on the size of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, stride=2)
        self.second = nn.Conv2d(2, 2, 3, stride=2)

    def forward(self, x):
        for layer in (self.conv, self.second):
            missing = [max((-(-side // 2) - 1) * 2 + 3 - side, 0) for side in x.shape[-2:]]
            rows, columns = missing
            x = layer(F.pad(x, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]))
        return x


@pytest.mark.parametrize("size", [13, 14, 15, 16])
def test_padding_that_depends_on_the_size(size):
    windows, length = [], size
    for _ in range(2):
        windows.append((3, 2, max((-(-length // 2) - 1) * 2 + 3 - length, 0) // 2, 1))
        length = -(-length // 2)
    for place in range(length):
        found = receptive_field(SameAsTensorFlow(), "second", (place, place), size)
        first, end = closed_form(windows, place)
        assert found.unclipped == (first, first, end, end)
        assert found.box == (max(first, 0), max(first, 0), min(end, size), min(end, size))


def test_many_units_equal_each_alone():
    model = opsin.build_model("seed_cnn", classes=10, channels=1, size=28)
    units = [(channel, row, row) for channel in (0, 5) for row in (0, 4, 10)]
    together = receptive_fields(model, "relu2", units)
    alone = [receptive_field(model, "relu2", unit) for unit in units]
    assert together == alone


def test_a_wrong_guess_is_found_out(monkeypatch):
    """The planted fault: what the gradient says is only where the search begins."""
    net, unit = Branches(), (0, 1, 2)
    right = receptive_field(net, "grouped", unit, 31)
    for lie in (np.array([[0, 0, 31, 31]]), np.array([[9, 9, 10, 10]])):
        monkeypatch.setattr(Network, "guess", lambda _, __, units, lie=lie, **___: np.repeat(lie, len(units), axis=0))
        assert receptive_field(net, "grouped", unit, 31).box == right.box


def test_nothing_is_left_behind():
    net = Gated().train()
    net.conv.weight.requires_grad_(False)
    receptive_field(net, "out", (1, 1), 12)
    assert net.training
    assert net.out.training
    assert all(parameter.grad is None for parameter in net.parameters())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())
    assert torch.is_grad_enabled()
    with torch.inference_mode():
        assert receptive_field(net, "out", (1, 1), 12).local == (0, 0, 4, 4)


def test_half_precision_and_weights_of_zero_change_nothing():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3))
    nn.init.zeros_(net[0].weight)
    assert receptive_field(net, "2", (1, 1), 9).box == (1, 1, 6, 6)
    assert receptive_field(net.to(torch.bfloat16), "2", (1, 1), 9).box == (1, 1, 6, 6)
    for size in (9, 12, 17):
        groups = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, groups=6)).to(torch.bfloat16)
        # oneDNN's packed kernels carry NaN to the next column
        groups = groups.to(memory_format=torch.channels_last)
        assert receptive_field(groups, "1", (1, 1), size).box == (1, 1, 6, 6)


@pytest.mark.parametrize(
    ("layer", "unit", "size", "said"),
    [
        ("cnov", (1, 1), 12, "no layer 'cnov'; the nearest names are conv"),
        ("out", (1, 12), 12, r"expected \(channel, row, column\) or \(row, column\) below \(4, 12, 12\) in out"),
        ("out", (4, 0, 0), 12, "below"),
        ("out", (1,), 12, "below"),
        ("head", (0, 0), 12, r"expected \(feature,\) below \(2,\)"),
        ("out", (1, 1), None, "give size="),
        ("out", (1, 1), 0, "at least 1 pixel"),
    ],
)
def test_bad_input_is_one_clear_line(layer, unit, size, said):
    with pytest.raises(OpsinError, match=said):
        receptive_field(Gated(), layer, unit, size)


def test_a_network_that_gives_nan_and_a_black_box_are_refused():
    net = Gated()
    nn.init.constant_(net.conv.bias, torch.nan)
    with pytest.raises(OpsinError, match="gives NaN"):
        receptive_field(net, "out", (1, 1), 12)
    with pytest.raises(OpsinError, match="only the scores are known"):
        receptive_field(lambda images: images.mean(dim=(2, 3)), "out", (1, 1), 12)


def test_an_unused_layer_and_a_wrong_size_are_refused():
    model = opsin.build_model("vit_small", classes=3, channels=1, size=16)
    with pytest.raises(OpsinError, match="cannot take an input of shape"):
        receptive_field(model, "norm", (0, 0), 24)
    net = Gated()
    net.spare = nn.Conv2d(1, 1, 1)
    with pytest.raises(OpsinError, match="did not run"):
        receptive_field(net, "spare", (0, 0), 12)
