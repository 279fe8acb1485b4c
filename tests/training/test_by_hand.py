"""Training with the NumPy engine."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.training.by_hand import HANDS, by_hand
from opsin.training.view import Quiet


class Small(nn.Module):
    """One of every layer that is made by hand."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, stride=2, padding=1, groups=1)
        self.norm = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.tanh = nn.Tanh()
        self.average = nn.AvgPool2d(2)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(4 * 3 * 3, 3)

    def forward(self, x):
        x = self.average(self.tanh(self.depthwise(self.pool(self.relu(self.norm(self.conv(x)))))))
        return self.fc(self.dropout(self.flatten(x)))


def losses_and_gradients(module: nn.Module, x: torch.Tensor) -> tuple[float, dict[str, np.ndarray]]:
    module.zero_grad()
    loss = nn.functional.cross_entropy(module(x), torch.arange(len(x)) % 3)
    loss.backward()
    return loss.item(), {name: value.grad.numpy().copy() for name, value in module.named_parameters()}


def test_every_layer_by_hand_is_that_of_pytorch():
    torch.manual_seed(0)
    module, x = Small().double(), torch.randn(6, 1, 28, 28, dtype=torch.float64)
    assert {type(part) for part in module.children()} == set(HANDS)
    module.dropout.eval()
    twin = copy.deepcopy(module)
    loss, gradients = losses_and_gradients(twin, x)
    with by_hand(module):
        ours, our_gradients = losses_and_gradients(module, x)
    assert ours == pytest.approx(loss, abs=1e-10)
    for name, value in gradients.items():
        np.testing.assert_allclose(our_gradients[name], value, atol=1e-10)
    np.testing.assert_allclose(module.norm.running_var.numpy(), twin.norm.running_var.numpy(), atol=1e-12)


def test_pytorch_is_back_after_the_block():
    module = Small()
    with pytest.raises(ValueError, match="1 input channels and was given 2"), by_hand(module):
        module(torch.zeros(1, 2, 28, 28))
    assert not any("forward" in part.__dict__ for part in module.modules())


def test_dropout_obeys_pytorchs_generator():
    module, x = Small(), torch.randn(4, 1, 28, 28)
    with by_hand(module):
        torch.manual_seed(3)
        first = module(x)
        module.norm.reset_running_stats()
        torch.manual_seed(3)
        again = module(x)
        other = module(x)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("layer", "match"),
    [(nn.GELU(), "has a layer GELU; expected only Conv2d, Linear"), (nn.Conv2d(1, 1, 3, padding="same"), "'same'"),
     (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), "reflect")],
)  # fmt: skip
def test_a_layer_without_a_hand_is_refused(layer, match):
    with pytest.raises(OpsinError, match=match), by_hand(nn.Sequential(layer)):
        pass


@pytest.fixture(scope="module")
def runs(digits, tmp_path_factory):
    """The same short training by both engines."""
    folder = tmp_path_factory.mktemp("engines")
    made = {}
    for engine in ("torch", "scratch"):
        recipe = opsin.Recipe(engine=engine, epochs=1, batch_size=64, record_every=20, rotate=10.0)
        made[engine] = opsin.train("lenet5", digits, recipe, out=folder / engine, view=Quiet())
    return made


def test_both_engines_learn_the_same(runs):
    ours, theirs = (runs[engine].epochs[-1] for engine in ("scratch", "torch"))
    assert ours["train_loss"] == pytest.approx(theirs["train_loss"], rel=1e-3)
    assert abs(runs["scratch"].scores.accuracy - runs["torch"].scores.accuracy) <= 0.02


def test_the_run_has_everything_that_others_have(runs, tmp_path):
    ours, theirs = runs["scratch"], runs["torch"]
    files = [sorted(path.relative_to(run.path).as_posix() for path in run.path.rglob("*")) for run in (ours, theirs)]
    assert files[0] == files[1]
    assert ours.info["recipe"]["engine"] == "scratch"
    assert "channels_last" not in ours.info["recipe"]
    one, other = ours.snapshot(20), theirs.snapshot(20)
    assert one.activations.keys() == other.activations.keys()
    level = np.ptp(other.activations["conv2"]) / 255  # snapshots are kept in 256 levels
    np.testing.assert_allclose(one.activations["conv2"], other.activations["conv2"], atol=1.01 * level)
    page = opsin.report(ours, out=tmp_path / "report.html")
    assert page.stat().st_size > 50_000


def test_what_it_learnt_opens_in_pytorch(runs, digits):
    model = opsin.load_model(runs["scratch"].path)
    assert type(model.module).__name__ == "LeNet5"
    assert opsin.evaluate(model, digits.test).accuracy == pytest.approx(runs["scratch"].scores.accuracy)


def test_lenet5_is_taken_where_no_network_is_named(digits, tmp_path):
    recipe = opsin.Recipe(engine="scratch", epochs=1, record=False)
    run = opsin.train(None, digits, recipe, out=tmp_path / "run", view=Quiet())
    assert run.info["model"]["name"] == "lenet5"


@pytest.mark.parametrize(
    ("settings", "match"),
    [({"amp": True}, "amp=True has no effect here: it needs engine=torch"),
     ({"channels_last": True}, "channels_last=True has no effect")],
)  # fmt: skip
def test_settings_that_numpy_has_not(settings, match):
    with pytest.raises(OpsinError, match=match):
        opsin.Recipe(engine="scratch", **settings)


def test_another_device_is_refused(digits, tmp_path):
    recipe = opsin.Recipe(engine="scratch", device="meta", epochs=1)
    with pytest.raises(OpsinError, match="engine=scratch, which is NumPy"):
        opsin.train("lenet5", digits, recipe, out=tmp_path / "run", view=Quiet())
    assert not (tmp_path / "run").exists()


def test_a_network_that_cannot_leaves_no_folder(digits, tmp_path):
    recipe = opsin.Recipe(engine="scratch", epochs=1)
    with pytest.raises(OpsinError, match="as in lenet5 and seed_cnn"):
        opsin.train("resnet_small", digits, recipe, out=tmp_path / "run", view=Quiet())
    assert not (tmp_path / "run").exists()
