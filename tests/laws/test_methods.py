"""One law after another, over every method and several kinds of network."""

import copy
import itertools

import numpy as np
import pytest
import torch
from laws_networks import CONVOLUTIONAL, KINDS, SIZE, images, network

import opsin
from opsin.errors import OpsinError
from opsin.explanation.explain import explain as public
from opsin.explanation.guards import BlankMapWarning
from opsin.explanation.methods import METHODS

pytestmark = pytest.mark.filterwarnings("ignore::opsin.explanation.guards.MapWarning")

# Where a method refuses a kind of network, with a reason; everywhere else it has to work.
REFUSED = {(method, kind) for method in ("cam", "softmax_cam") for kind in KINDS if kind != "resnet_small"}
REFUSED |= {(method, kind) for method in METHODS if METHODS[method].family == "attention" for kind in CONVOLUTIONAL}
ABOUT = [
    pytest.param(method, kind, id=f"{method}-{kind}")
    for method in METHODS
    for kind in KINDS
    if (method, kind) not in REFUSED
]
every = pytest.mark.parametrize(("method", "kind"), ABOUT)
# Fewer evaluations than usual: the laws hold for any number.
FEW = {
    "rise": {"masks": 60},
    "lime": {"samples": 60, "segments": 12},
    "smooth_grad": {"samples": 4},
    "occlusion": {"window": 4},
}


def explain(model, batch, method, target=None, **settings):
    return public(model, batch, method, target, **FEW.get(method, {}), **settings)


@every
def test_a_map_is_finite_float32_at_the_inputs_size(method, kind):
    found = explain(network(kind), images(3), method)
    assert found.maps.shape == (3, SIZE, SIZE)
    assert found.maps.dtype == np.float32
    assert np.isfinite(found.maps).all()
    assert found.inputs.shape == (3, 3, SIZE, SIZE)
    assert (found.layer != "") == METHODS[method].layer
    assert found.evaluations >= 1


@every
def test_the_same_seed_gives_the_same_map(method, kind):
    model = network(kind)
    first, second = (explain(model, images(2), method, seed=3).maps for _ in range(2))
    np.testing.assert_array_equal(first, second)


@every
def test_images_do_not_mix(method, kind):
    model, batch = network(kind), images(4)
    if METHODS[method].family == "gradient":
        # a gradient jumps at the kink of a ReLU: in double precision no rounding of a batch size tips a unit over
        model, batch = opsin.Classifier(copy.deepcopy(model.module).double(), classes=model.classes), batch.double()
    together = explain(model, batch, method).maps
    scale = np.abs(together).max() + 1e-12
    alone = np.concatenate([explain(model, batch[i : i + 1], method).maps for i in range(4)])
    np.testing.assert_allclose(alone / scale, together / scale, atol=2e-5)
    order = [2, 0, 3, 1]
    permuted = explain(model, batch[order], method).maps
    np.testing.assert_allclose(permuted / scale, together[order] / scale, atol=2e-5)
    small = explain(model, batch, method, batch_size=3).maps
    np.testing.assert_allclose(small / scale, together / scale, atol=2e-5)


@every
def test_nothing_is_left_behind(method, kind):
    model = network(kind)
    module = model.module
    next(module.children()).train()
    before = {name: part.training for name, part in module.named_modules()}
    wanted = {name: p.requires_grad for name, p in module.named_parameters()}
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.no_grad():
        explain(model, images(2), method)
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()
    assert {name: part.training for name, part in module.named_modules()} == before
    assert {name: p.requires_grad for name, p in module.named_parameters()} == wanted
    assert all(p.grad is None for p in module.parameters())
    assert not any(_hooks(part) for part in module.modules())
    assert all(torch.equal(value, weights[name]) for name, value in module.state_dict().items())


@every
def test_it_works_inside_inference_mode(method, kind):
    model = network(kind)
    expected = explain(model, images(2), method).maps
    with torch.inference_mode():
        np.testing.assert_allclose(explain(model, images(2), method).maps, expected, rtol=1e-5, atol=1e-7)


@every
def test_another_class_gives_another_map_unless_the_method_knows_no_class(method, kind):
    model, batch = network(kind), images(3)
    maps = [explain(model, batch, method, target=name).maps for name in ("ant", "bee", "cat")]
    differ = [not np.allclose(a, b, atol=1e-9) for a, b in itertools.pairwise(maps)]
    assert all(differ) if METHODS[method].class_specific else not any(differ)


@every
def test_all_classes_together_equal_each_alone(method, kind):
    model, batch = network(kind), images(2)
    together = explain(model, batch, method, target="all")
    assert [int(found.targets[0]) for found in together] == [0, 1, 2, 3]
    for index, found in enumerate(together):
        alone = explain(model, batch, method, target=index).maps
        np.testing.assert_allclose(found.maps, alone, rtol=1e-4, atol=1e-6 * (np.abs(alone).max() + 1e-12))


# without eigen_cam: a singular vector of nearly equal singular values may turn by any small change
@pytest.mark.parametrize(("method", "kind"), [case for case in ABOUT if case.values[0] != "eigen_cam"])
def test_half_precision_is_close(method, kind):
    model, batch = network(kind), images(2)
    full = explain(model, batch, method, target=0).maps
    model.module.to(torch.bfloat16)
    half = explain(model, batch, method, target=0).maps
    assert half.dtype == np.float32
    flat, other = full.ravel(), half.ravel()
    if np.abs(flat).max() > 0 and np.abs(other).max() > 0:
        assert np.dot(flat, other) / (np.linalg.norm(flat) * np.linalg.norm(other)) > 0.8


def test_after_an_exception_nothing_is_left_behind():
    model = network("functional")

    class Bang(Exception):
        pass

    def explode(*_):
        raise Bang

    handle = model.module.fc.register_forward_hook(explode)
    for name in METHODS:
        with pytest.raises((Bang, OpsinError)):
            explain(model, images(2), name)
        assert torch.is_grad_enabled()
    handle.remove()
    assert not any(_hooks(part) for part in model.module.modules())


def test_cam_refuses_where_it_would_be_wrong():
    with pytest.raises(OpsinError, match="cam needs a network that averages the last maps"):
        explain(network("inplace"), images(1), "cam")


def test_the_law_of_no_residue_sees_a_hook():
    """The planted fault."""
    module = network("functional").module
    module.conv1.register_forward_hook(lambda *_: None)
    assert any(_hooks(part) for part in module.modules())


def test_a_blank_map_is_a_warning_and_zeros():
    model = network("resnet_small")
    model.module.fc.weight.data.fill_(-1.0)
    with pytest.warns(BlankMapWarning, match="blank"):
        found = explain(model, images(2), "grad_cam", target=0)
    assert not found.maps.any()
    assert found.notes


def _hooks(part: torch.nn.Module) -> bool:
    return bool(part._forward_hooks or part._forward_pre_hooks or part._backward_hooks)


def test_the_public_name():
    assert opsin.explain is public
