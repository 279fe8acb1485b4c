"""Engines answer as the network does, leave it alone, and are not used where they do not."""

import copy
import gc
import weakref

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.inference.engines import engine as engines
from opsin.inference.engines.engine import ENGINES, open_engine, pass_size
from opsin.models.black_box import BlackBox

SIZE = 24


class Net(nn.Module):
    """Convolutions with normalisations behind them, one without bias, one grouped; one normalisation that is reused."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.BatchNorm2d(8, affine=False)
        self.conv3, self.shared = nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)) + x)
        x = F.relu(self.shared(self.conv3(x)))
        return self.fc(self.shared(x).mean(dim=(-2, -1)))


def network(module: nn.Module | None = None) -> opsin.Classifier:
    torch.manual_seed(0)
    module = module or Net()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(std=0.5)
            part.running_var.uniform_(0.3, 3)
            if part.affine:
                nn.init.normal_(part.weight, 1, 0.3)
                nn.init.normal_(part.bias, 0, 0.3)
    return opsin.Classifier(module.eval(), classes=list("abcde"))


def images(count: int = 3, size: int = SIZE) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def exported():
    """A network with its engine `onnxruntime`: exporting costs a second or two."""
    model = network()
    return model, open_engine(model, images(), "onnxruntime")


@pytest.mark.parametrize("name", ["auto", "eager", "fused", "onnxruntime"])
def test_every_engine_answers_as_the_network_for_any_number_of_images(exported, name):
    model = exported[0]
    engine = open_engine(model, images(), name)
    for count in (1, 7, pass_size(images()) + 1):
        batch = images(count)
        found = engine.scores(batch)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, model.logits(batch), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(engine.logits, model.logits(images()), rtol=1e-4, atol=1e-5)
    assert engine.difference <= 1e-5
    assert name in ("auto", engine.name)
    assert engine.difference == 0 if engine.name == "eager" else engine.difference > 0


@pytest.mark.parametrize("name", ["timm/resnet18", "timm/efficientnet_b0", "resnet_small"])
def test_folding_takes_every_normalisation_behind_a_convolution(name):
    model = opsin.build_model(name, classes=4, channels=3, size=32, seed=0)
    model = network(model.module)
    before = [part for part in model.module.modules() if isinstance(part, nn.BatchNorm2d)]
    pairs = engines.fused._pairs(copy.deepcopy(model.module).eval(), images(1, 32))
    assert len(before) == len(pairs)
    engine = open_engine(opsin.Classifier(model.module), images(2, 32), "fused")
    assert engine.difference < 1e-5


def test_a_reused_normalisation_is_not_folded():
    assert engines.fused._pairs(Net().eval(), images(1)) == [("conv1", "bn1"), ("conv2", "bn2")]


@pytest.mark.parametrize("name", list(ENGINES))
def test_the_network_is_left_as_it_was(exported, name):
    model = exported[0]
    model.module.bn1.train()
    model.module.conv2.weight.requires_grad_(False)
    before = {key: value.clone() for key, value in model.module.state_dict().items()}
    versions = [item._version for item in model.module.parameters()]
    try:
        open_engine(model, images(), name).scores(images(5))
        assert model.module.bn1.training
        assert not model.module.conv2.weight.requires_grad
        assert model.module.conv1.weight.requires_grad
    finally:
        model.module.eval().requires_grad_(True)
    assert isinstance(model.module.bn1, nn.BatchNorm2d)
    assert [item._version for item in model.module.parameters()] == versions
    assert all(torch.equal(value, before[key]) for key, value in model.module.state_dict().items())
    assert model.module.conv1.weight.is_contiguous()
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.module.modules())


def test_auto_measures_once_per_shape_and_forgets_with_the_weights(monkeypatch):
    model, measured = network(), []
    monkeypatch.setattr(engines, "_measure", lambda *given: measured.append(given[2].shape[-1]) or 1.0)
    for _ in range(2):
        open_engine(model, images())
    assert measured == [SIZE, SIZE]  # eager and fused
    open_engine(model, images(size=32))
    assert measured[2:] == [32, 32]
    with torch.no_grad():
        model.module.fc.weight.add_(0.1)
    open_engine(model, images())
    assert measured[4:] == [SIZE, SIZE]


def test_one_folded_copy_serves_every_size(monkeypatch):
    model, built = network(), []
    build = ENGINES["fused"]
    monkeypatch.setitem(ENGINES, "fused", lambda *given: built.append(1) or build(*given))
    for size in (SIZE, 32, 17):
        assert open_engine(model, images(size=size), "fused").difference < 1e-5
    assert built == [1]


def test_auto_takes_the_fastest(monkeypatch):
    for fastest in ("eager", "fused"):
        model = network()
        speeds = {fastest: 1.0}
        monkeypatch.setattr(engines, "_seconds", lambda _, name, *__, speeds=speeds: speeds.get(name, 2.0))
        assert open_engine(model, images()).name == fastest


def test_auto_exports_only_where_that_can_pay(monkeypatch):
    built = []
    monkeypatch.setitem(ENGINES, "onnxruntime", lambda *_: built.append(1) or 1 / 0)
    model = network()
    open_engine(model, images(), evaluations=10)
    assert not built
    opened = open_engine(model, images(), evaluations=1e9)
    assert built
    assert opened.name in ("eager", "fused")
    assert opened.refused == {"onnxruntime": "division by zero"}


def test_changed_weights_are_seen_even_where_pytorch_counts_no_change():
    model = network()
    open_engine(model, images(), "fused")
    model.module.fc.weight.data.mul_(-2.0)  # past the version counter
    assert open_engine(model, images()).name == "eager"
    with pytest.raises(OpsinError, match="fused is not used for Net: its scores differ from eager's by"):
        open_engine(model, images(), "fused")
    with torch.no_grad():
        model.module.fc.weight.mul_(1.0)
    assert open_engine(model, images(), "fused").difference < 1e-5


def test_an_engine_that_disagrees_is_not_used(monkeypatch):
    """The planted fault: one that is fast and wrong."""

    def wrong(model, _):
        network = copy.deepcopy(model.module)
        return lambda batch: network(batch) * 1.001

    monkeypatch.setitem(ENGINES, "fused", wrong)
    monkeypatch.setattr(engines, "_seconds", lambda _, name, *__: 2.0 if name == "eager" else 1.0)
    engine = open_engine(network(), images())
    assert engine.name == "eager"
    assert "differ from eager's by 0.001 of the largest score" in engine.refused["fused"]


def test_an_engine_that_is_not_a_number_is_not_used(monkeypatch):
    monkeypatch.setitem(ENGINES, "fused", lambda *_: lambda batch: torch.full((len(batch), 5), float("nan")))
    engine = open_engine(network(), images())
    assert engine.name == "eager"
    assert "differ" in engine.refused["fused"]


class Choosing(nn.Module):
    """Decides by its numbers, which no export can follow, and gives a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = self.conv(x).mean(dim=(-2, -1))
        return {"logits": x if float(x.sum()) > 1e9 else -x}


def test_what_cannot_be_exported_is_refused_with_a_reason_by_name():
    model = opsin.Classifier(Choosing())
    assert open_engine(model, images(), "fused").difference < 1e-5
    with pytest.raises(OpsinError, match=r"the engine onnxruntime is not used for Choosing: .*; give engine='eager'"):
        open_engine(model, images(), "onnxruntime")


def test_half_precision_and_hooks_stay_with_eager():
    model = network()
    assert open_engine(model, images(), "fused").name == "fused"  # also where a copy without the hook exists
    handle = model.module.fc.register_forward_hook(lambda *_: None)
    engine = open_engine(model, images())
    assert engine.name == "eager"
    assert engine.refused["fused"] == "hooks sit on it, which only eager runs"
    handle.remove()
    model.module.to(torch.bfloat16)
    engine = open_engine(model, images().bfloat16())
    assert (engine.name, engine.logits.dtype) == ("eager", torch.float32)
    assert engine.refused["fused"] == "it computes in bfloat16, and engines in float32"


def test_a_black_box_is_asked_no_more_than_needed():
    asked = []

    def scores(batch: np.ndarray) -> np.ndarray:
        asked.append(len(batch))
        return batch.mean(axis=(2, 3))

    engine = open_engine(BlackBox(scores), images(3))
    assert engine.name == "eager"
    assert asked == [3]
    with pytest.raises(OpsinError, match=r"fused is not used for scores: only its scores are known"):
        open_engine(BlackBox(scores), images(3), "fused")


def test_no_engine_of_that_name():
    with pytest.raises(OpsinError, match=r"no engine 'onnx'.*there are auto, eager, fused, onnxruntime"):
        open_engine(network(), images(), "onnx")


def test_what_is_remembered_does_not_keep_the_network():
    model = network()
    open_engine(model, images(), "fused")
    watched = weakref.ref(model.module)
    assert watched() in engines._KNOWN
    del model
    gc.collect()
    assert watched() is None


def test_memory_of_a_pass_is_bounded():
    assert pass_size(images()) == 256
    assert pass_size(torch.empty(1, 3, 224, 224)) == 6
    assert pass_size(torch.empty(1, 3, 4096, 4096)) == 1
