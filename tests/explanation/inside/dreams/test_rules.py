"""Gradient past ReLUs that block everything, and the usual one everywhere else."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from opsin.explanation.inside.dreams.rules import RedirectedRules


def gradient(function, values, weights, rules=True):
    leaf = torch.tensor(values, requires_grad=True)
    if rules:
        with RedirectedRules():
            out = function(leaf * 1.0)
    else:
        out = function(leaf * 1.0)
    (found,) = torch.autograd.grad((out * torch.tensor(weights)).sum(), leaf)
    return found.tolist()


FUNCTIONS = [
    F.relu, F.relu_, torch.relu, lambda x: x.relu(), nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(),
    nn.ReLU6(inplace=True), lambda x: F.relu(input=x), nn.Hardtanh(0.0, 6.0),
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
def test_where_some_gradient_passes_it_is_the_functions_own(function):
    values, weights = [[-1.0, 2.0, -3.0]], [[-1.0, 1.0, 1.0]]
    assert gradient(function, values, weights) == gradient(function, values, weights, rules=False) == [[0, 1, 0]]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_where_nothing_passes_what_leads_out_does_and_only_that(function):
    """An optimiser goes against the gradient: one below zero raises a value."""
    assert gradient(function, [[-1.0, -3.0]], [[-1.0, 2.0]]) == [[-1.0, 0.0]]
    assert gradient(function, [[-1.0, -3.0]], [[-1.0, 2.0]], rules=False) == [[0.0, 0.0]]


def test_above_the_upper_bound_the_way_leads_down():
    assert gradient(nn.ReLU6(), [[7.0, 8.0]], [[2.0, -1.0]]) == [[2.0, 0.0]]


def test_each_image_is_judged_by_itself():
    values, weights = [[-1.0, -1.0], [-1.0, 1.0]], [[-1.0, -1.0], [-1.0, -1.0]]
    assert gradient(F.relu, values, weights) == [[-1.0, -1.0], [0.0, -1.0]]


@pytest.mark.parametrize("function", [*FUNCTIONS, nn.SiLU(), nn.GELU(), nn.Hardswish(), nn.LeakyReLU(), nn.PReLU()])
def test_values_are_the_functions_own(function):
    values = torch.linspace(-4, 8, 25)
    with torch.no_grad():
        plain = function(values.clone())
    with RedirectedRules():
        ruled = function(values.clone().requires_grad_(True) * 1.0)
    assert torch.equal(plain, ruled.detach())


def test_an_in_place_function_still_changes_its_input():
    values = torch.tensor([-1.0, 2.0], requires_grad=True) * 1.0
    with RedirectedRules():
        out = F.relu_(values)
    assert out is values
    assert values.tolist() == [0.0, 2.0]
