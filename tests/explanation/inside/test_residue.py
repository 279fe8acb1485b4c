"""Whatever is looked at inside, the network is left as it was, also after an error and inside inference mode."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import opsin
from opsin.data.dataset import Dataset


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    splits = ["train"] * 20 + ["validation"] * 10
    labels = ["a", "b"] * 15
    return Dataset.from_arrays(rng.integers(0, 255, (30, 16, 16), dtype=np.uint8), labels, splits=splits)


@pytest.fixture
def model():
    model = opsin.build_model("resnet_small", classes=["a", "b"], channels=1, size=16, seed=0)
    next(model.module.children()).train()
    next(model.module.parameters()).requires_grad_(False)
    return model


def fingerprint(module: torch.nn.Module) -> list:
    modes = [part.training for part in module.modules()]
    wanted = [(parameter.requires_grad, parameter.grad is None) for parameter in module.parameters()]
    hooks = [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()]
    return [modes, wanted, hooks, [value.double().sum().item() for value in module.state_dict().values()]]


LOOKS = {
    "receptive_field": lambda model, _: opsin.inside.receptive_field(model, "bn1", (1, 1)),
    "top_images": lambda model, data: opsin.inside.top_images(model, data, "bn1", top=2, shuffles=5),
    "embed": opsin.inside.embed,
    "layers": lambda model, data: opsin.inside.layers(
        model, data, layers=["bn1", "pool"], transforms={"shift": [0.1]}, transformed=4
    ),
}


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("inference", [False, True])
def test_the_network_is_left_as_it_was(model, data, name, inference):
    before = fingerprint(model.module)
    with torch.inference_mode(inference):
        LOOKS[name](model, data)
    assert fingerprint(model.module) == before
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("name", LOOKS)
def test_also_after_an_error(model, data, name):
    def explode(*_):
        raise ZeroDivisionError

    handle = model.module.bn1.register_forward_hook(explode)
    before = fingerprint(model.module)
    with pytest.raises(ZeroDivisionError):
        LOOKS[name](model, data)
    assert fingerprint(model.module) == before
    handle.remove()
    # libraries for convolutions are on again
    assert torch.backends.mkldnn.enabled
    assert torch.backends.cudnn.enabled


@pytest.mark.parametrize("name", LOOKS)
def test_half_precision_works(model, data, name):
    model.module.to(torch.bfloat16)
    assert LOOKS[name](model, data).text()
