"""`opsin.trace`: the law on every network, and what it says of what it is given."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.explanation.guards import ModeWarning
from opsin.explanation.tracing.graph import trace_graph
from opsin.explanation.tracing.trace import open_unit

NETWORKS = {
    "lenet5": lambda: (opsin.build_model("lenet5", classes=10, channels=1, size=28).module, (1, 1, 28, 28)),
    "seed_cnn": lambda: (opsin.build_model("seed_cnn", classes=10, channels=1, size=28).module, (1, 1, 28, 28)),
    "simple_cnn": lambda: (opsin.build_model("simple_cnn", classes=4, channels=4, size=20).module, (1, 4, 20, 20)),
    "conv_bn": lambda: (opsin.build_model("conv_bn", classes=3, channels=2, size=28).module, (1, 2, 28, 28)),
    "resnet_small": lambda: (opsin.build_model("resnet_small", classes=3, channels=3, size=32).module, (1, 3, 32, 32)),
    "vit_small": lambda: (opsin.build_model("vit_small", classes=3, channels=3, size=32).module, (1, 3, 32, 32)),
    "efficientnet_lite0": lambda: (
        opsin.build_model("efficientnet_lite0", classes=3, channels=3, size=64).module,
        (1, 3, 64, 64),
    ),
    "torchvision resnet18": lambda: (torchvision.models.resnet18(weights=None), (1, 3, 40, 40)),
    "torchvision mobilenet_v3": lambda: (torchvision.models.mobilenet_v3_small(weights=None), (1, 3, 40, 40)),
    "torchvision swin": lambda: (
        torchvision.models.SwinTransformer([4, 4], 24, [2, 2], [2, 4], [4, 4], num_classes=5),
        (1, 3, 40, 40),
    ),
    "torchvision vit": lambda: (
        torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5),
        (1, 3, 32, 32),
    ),
    "timm resnet18": lambda: (timm.create_model("resnet18", num_classes=5), (1, 3, 32, 32)),
    "timm mobilenetv3": lambda: (timm.create_model("mobilenetv3_small_050"), (1, 3, 40, 40)),
    "timm regnet": lambda: (timm.create_model("regnetx_002"), (1, 3, 40, 40)),
    "timm swin": lambda: (
        timm.create_model(
            "swin_tiny_patch4_window7_224", img_size=40, window_size=4, depths=(2, 2), embed_dim=24, num_heads=(2, 4)
        ),
        (1, 3, 40, 40),
    ),
    "timm vit": lambda: (
        timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, patch_size=8),
        (1, 3, 32, 32),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_number_of_a_network_opens_and_adds_up(name, open_all):
    """The law: products and bias are PyTorch's own number; and the graph's own answer is the network's, bit for bit."""
    module, shape = NETWORKS[name]()
    module.eval()
    inputs = torch.randn(shape)
    traced = trace_graph(module, inputs)
    values = traced.run(inputs)
    with torch.no_grad():
        assert torch.equal(values[traced.graph.output], module(inputs))
    assert traced.graph.exported, traced.graph.note
    closed = {node.operation for node in traced.graph.nodes if not node.opens}
    assert closed <= {"input", "constant"}
    draw = np.random.default_rng(0)
    nodes = [node for node in traced.graph.nodes if node.opens]
    chosen = draw.permutation(len(nodes))[:30]
    for at in chosen:
        node = nodes[at]
        unit = tuple(int(draw.integers(side)) for side in node.shape)
        trace = open_unit(traced, values, node.name, unit)
        assert trace.opens, trace.note
        assert trace.agrees, f"{node.name} {unit}: {trace.total} is not {trace.value}"
        assert not trace.field_note


def test_a_term_opens_in_turn_down_to_the_pixels():
    model = opsin.build_model("resnet_small", classes=3, channels=3, size=32)
    inputs = torch.randn(1, 3, 32, 32)
    traced = trace_graph(model, inputs)
    values = traced.run(inputs)
    trace = open_unit(traced, values, traced.graph.output, (1,))
    for depth in range(200):  # noqa: B007 (told below)
        term = trace.largest(1)[0]
        if term.layer == "input":
            break
        trace = open_unit(traced, values, term.layer, term.position)
        assert trace.value == term.input
        assert trace.agrees
    assert term.layer == "input"
    assert depth > 20
    assert float(inputs[0][term.position]) == term.input


def test_a_picture_goes_through_the_preprocess(tmp_path):
    model = opsin.build_model("lenet5", classes=10, channels=1, size=28, seed=0)
    pixels = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "seven.png")
    trace = opsin.trace(model, tmp_path / "seven.png", "conv1", (2, 5, 7))
    assert trace.agrees
    assert trace.image.endswith("seven.png")
    same = opsin.trace(model, model.inputs(pixels[None, :, :, None])[0], "conv1", unit=(2, 5, 7))
    assert trace.value == same.value
    # written straight from the definition
    weight, bias = model.module.conv1.weight.double(), model.module.conv1.bias.double()
    inputs = model.inputs(pixels[None, :, :, None])[0].double()
    own = F.conv2d(inputs, weight, bias, padding=model.module.conv1.padding)[0, 2, 5, 7]
    assert trace.total == pytest.approx(float(own.detach()), rel=1e-12)


def test_a_name_without_dots_and_one_number_are_enough():
    model = opsin.build_model("lenet5", classes=10, channels=1, size=28)
    last = trace_graph(model, torch.randn(1, 1, 28, 28)).graph.output
    assert opsin.trace(model, torch.randn(1, 28, 28), last, 4).unit == (4,)


@pytest.mark.parametrize(
    ("layer", "unit", "message"),
    [
        ("conf1", (0, 0, 0), r"no layer 'conf1' \(did you mean conv1"),
        ("conv1", (0, 0), r"unit was given as \(0, 0\); expected an index below \(\d+, \d+, \d+\) in conv1"),
        ("conv1", (0, 0, -1), r"expected an index below"),
        ("conv1", (999, 0, 0), r"expected an index below"),
    ],
)
def test_a_wrong_layer_or_unit_is_said(layer, unit, message):
    model = opsin.build_model("lenet5", classes=10, channels=1, size=28)
    with pytest.raises(OpsinError, match=message):
        opsin.trace(model, torch.randn(1, 1, 28, 28), layer, unit)


def test_more_than_one_image_is_refused():
    model = opsin.build_model("lenet5", classes=10, channels=1, size=28)
    with pytest.raises(OpsinError, match="2 images were given; trace opens a number of one image"):
        opsin.trace(model, torch.randn(2, 1, 28, 28), "conv1", (0, 0, 0))


def test_a_function_has_no_inside():
    with pytest.raises(OpsinError, match="trace looks inside the network"):
        opsin.trace(lambda images: images.mean((2, 3)), torch.randn(1, 3, 8, 8), "conv1", (0, 0, 0))


class Small(nn.Module):
    """Batch normalisation and dropout, so that the mode matters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.drop, self.head = (
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.Dropout(),
            nn.Linear(4, 2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(F.relu(self.norm(self.conv(x)))).mean((2, 3)))


def test_a_network_in_training_mode_is_opened_in_evaluation_mode_and_put_back():
    module = Small().train()
    module.norm.eval()
    inputs = torch.randn(1, 3, 8, 8)
    trace = opsin.trace(module, inputs, "head", 1)
    assert [part.training for part in module.modules()] == [True, True, False, True, True]
    assert module.norm.num_batches_tracked == 0
    with torch.no_grad():
        assert trace.value == float(module.eval()(inputs)[0, 1])
    module.train()
    with pytest.warns(ModeWarning, match="training mode"):
        opsin.trace(module, inputs, "norm", (0, 0, 0))
    assert all(part.training for part in module.modules())


def test_nothing_stays_in_the_network():
    module = Small().eval()
    opsin.trace(module, torch.randn(1, 3, 8, 8), "head", 1)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda module: torch.compile(module, backend="eager")])
def test_wrapped_networks_have_the_same_layers(wrap):
    module, inputs = Small().eval(), torch.randn(1, 3, 8, 8)
    plain, wrapped = (opsin.trace(network, inputs, "norm", (1, 2, 3)) for network in (module, wrap(module)))
    assert plain.value == wrapped.value
    assert np.array_equal(plain.terms, wrapped.terms)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions(dtype):
    trace = opsin.trace(Small().eval().to(dtype), torch.randn(1, 3, 8, 8), "head", 0)
    assert trace.precision == str(dtype).removeprefix("torch.")
    assert trace.agrees


def test_weights_and_code_that_change_are_seen():
    module, inputs = Small().eval(), torch.randn(1, 3, 8, 8)
    before = opsin.trace(module, inputs, "conv", (0, 0, 0))
    with torch.no_grad():
        module.conv.weight.mul_(2)
    after = opsin.trace(module, inputs, "conv", (0, 0, 0))
    assert after.agrees
    assert after.terms.product.sum() == pytest.approx(2 * before.terms.product.sum())
    module.forward = lambda x: module.head(torch.tanh(module.norm(module.conv(x))).mean((2, 3)))
    assert opsin.trace(module, inputs, "tanh", (0, 0, 0)).agrees


def test_a_network_that_was_opened_is_let_go():
    module = Small().eval()
    opsin.trace(module, torch.randn(1, 3, 8, 8), "head", 0)
    alive = weakref.ref(module)
    del module
    gc.collect()
    assert alive() is None


def test_inside_inference_mode_it_works_too():
    with torch.inference_mode():
        assert opsin.trace(Small().eval(), torch.randn(1, 3, 8, 8), "conv", (0, 0, 0)).agrees


def test_numbers_before_the_failing_operation_open_and_those_behind_say_why():
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(100, 10))
    inputs = torch.randn(1, 1, 8, 8)
    assert opsin.trace(module, inputs, "1", (2, 3, 3)).agrees
    with pytest.raises(OpsinError, match="the network fails at 3: 2 gives 144, 3 expects 100"):
        opsin.trace(module, inputs, "3", 0)


def test_the_answer_of_a_block_is_found_by_its_name():
    module = torchvision.models.resnet18(weights=None).eval()
    trace = opsin.trace(module, torch.randn(1, 3, 40, 40), "layer2.0", (3, 1, 1))
    assert (trace.layer, trace.operation) == ("layer2.0.relu_1", "relu")
