from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.models.build import build_model, class_names, rebuild

# The networks of the promise, at the smallest size at which each is quick: name, size, channels, classes.
NETWORKS = [
    ("lenet5", 28, 1, 10),
    ("torchvision/alexnet", 64, 3, 5),
    ("torchvision/vgg16", 32, 2, 3),
    ("torchvision/resnet18", 32, 4, 7),
    ("timm/resnet18", 32, 1, 10),
    ("timm/resnet50", 32, 2, 2),
    ("timm/resnet152", 32, 3, 10),
    ("timm/resnext50_32x4d", 32, 4, 11),
    ("timm/regnety_002", 32, 3, 10),
    ("torchvision/mobilenet_v3_small", 32, 1, 10),
    ("timm/mobilenetv3_large_100", 32, 3, 10),
    ("torchvision/shufflenet_v2_x1_0", 32, 4, 6),
    ("timm/efficientnet_b0", 32, 2, 10),
    ("efficientnet_lite0", 32, 3, 10),
    ("timm/vit_tiny_patch16_224", 32, 4, 10),
    ("timm/swin_tiny_patch4_window7_224", 64, 1, 3),
]


@pytest.mark.parametrize(("name", "size", "channels", "classes"), NETWORKS)
def test_builds_and_takes_one_training_step(name: str, size: int, channels: int, classes: int, train_step):
    model = build_model(name, classes, channels, size, seed=0)
    assert model.classes == tuple(map(str, range(classes)))
    assert model.channels == channels
    assert (model.preprocess.height, model.preprocess.width) == (size, size)
    assert not [part for part in model.module.modules() if getattr(part, "inplace", False)]
    inputs = torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(0))
    assert math.isfinite(train_step(model.module, inputs, classes))


@pytest.mark.parametrize("name", ["simple_cnn", "timm/resnet18", "torchvision/resnet18"])
def test_a_seed_decides_the_weights_and_leaves_the_callers_state_alone(name: str):
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    first, again, other = (build_model(name, 3, 1, 32, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(torch.rand(3), expected)
    weights = [next(model.module.parameters()) for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_without_a_seed_the_callers_state_decides():
    torch.manual_seed(1)
    first = build_model("simple_cnn", 3, 1)
    torch.manual_seed(1)
    assert torch.equal(build_model("simple_cnn", 3, 1).module.conv1.weight, first.module.conv1.weight)


@settings(deadline=None, max_examples=20)
@given(
    classes=st.integers(2, 50),
    channels=st.integers(1, 4),
    size=st.tuples(st.integers(12, 48), st.integers(12, 48)),
    name=st.sampled_from(["seed_cnn", "simple_cnn", "lenet5", "conv_bn", "resnet_small"]),
)
def test_any_shape_that_builds_answers(classes: int, channels: int, size: tuple[int, int], name: str):
    model = build_model(name, classes, channels, size)
    assert model.logits(torch.zeros(2, channels, *size)).shape == (2, classes)
    again = rebuild(model.architecture(), model.classes, model.preprocess)
    assert again.architecture() == model.architecture()
    assert {key: value.shape for key, value in again.module.state_dict().items()} == {
        key: value.shape for key, value in model.module.state_dict().items()
    }


def test_class_names_are_texts_in_the_given_order():
    assert build_model("simple_cnn", ["b", "a"], 1).classes == ("b", "a")
    assert class_names([3, 1]) == ("3", "1")


def test_a_preprocess_decides_channels_and_size():
    preprocess = Preprocess.simple(channels=1, size=(24, 40))
    model = build_model("simple_cnn", 3, preprocess=preprocess)
    assert model.preprocess is preprocess
    assert model.logits(torch.zeros(1, 1, 24, 40)).shape == (1, 3)
    with pytest.raises(OpsinError, match="do not agree with the Preprocess"):
        build_model("simple_cnn", 3, size=28, preprocess=preprocess)


def test_options_reach_the_network_and_the_architecture():
    model = build_model("conv_bn", 3, 1, 28, options={"widths": (4, 8), "pools": (1,)})
    assert model.module.fc.in_features == 8
    assert model.architecture()["options"] == {"widths": [4, 8], "pools": [1]}


def test_a_class_works_anywhere_a_name_does():
    class Own(nn.Module):
        def __init__(self, num_classes: int):
            super().__init__()
            self.fc = nn.Linear(4, num_classes)

        def forward(self, x):
            return self.fc(x.flatten(1))

    model = build_model(Own, ["x", "y"], 1, 2)
    assert model.logits(torch.zeros(1, 1, 2, 2)).shape == (1, 2)
    assert model.name is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "lenet", "classes": 3}, r"no network 'lenet' \(did you mean lenet5"),
        ({"name": "timm/resnet_18", "classes": 3}, r"timm has no network 'resnet_18' \(did you mean"),
        ({"name": "torchvision/resnet_18", "classes": 3}, r"no classifier 'resnet_18' \(did you mean resnet18"),
        ({"name": "torchvision/maskrcnn_resnet50_fpn", "classes": 3}, "torchvision has no classifier"),
        ({"name": "seed_cnn"}, "asked for without classes"),
        ({"name": "seed_cnn", "classes": 1}, "at least 2 classes"),
        ({"name": "seed_cnn", "classes": ["a"]}, "at least 2 classes"),
        ({"name": "seed_cnn", "classes": ["a", "a"]}, "'a' more than once"),
        ({"name": "seed_cnn", "classes": "ab"}, "expected a sequence of names"),
        ({"name": "seed_cnn", "classes": 3, "channels": 5}, "channels was given as 5"),
        ({"name": "seed_cnn", "classes": 3, "size": 0}, "size was given as 0"),
        ({"name": "seed_cnn", "classes": 3, "size": (1, 2, 3)}, r"size was given as \(1, 2, 3\)"),
        ({"name": "seed_cnn", "classes": 3, "size": 8}, "needs at least 10 x 10"),
        ({"name": "seed_cnn", "classes": 3, "pretrained": True}, "has no pretrained weights"),
        ({"name": "seed_cnn", "classes": 3, "options": {"dropuot": 0.1}}, r"'dropuot' \(did you mean dropout"),
        ({"name": "torchvision/alexnet", "classes": 3, "size": 32}, "cannot take 32 x 32 pixels: .*try 64 x 64"),
        ({"name": "torchvision/vit_b_16", "classes": 3, "size": (32, 48)}, "takes squares only"),
        ({"name": "torchvision/vit_b_32", "classes": 3, "size": 50}, "cannot be built at 50 x 50"),
        ({"name": "timm/vit_tiny_patch16_224", "classes": 3, "size": 8}, "cannot .* 8 x 8 pixels"),
        ({"name": "timm/resnet18", "classes": 3, "options": {"blob": 1}}, "did not accept .*'blob'"),
        ({"name": nn.Linear(2, 2), "classes": 3}, "wrap a network that exists"),
    ],
)
def test_mistakes_are_answered_in_one_line(arguments: dict, message: str):
    with pytest.raises(OpsinError, match=message) as caught:
        build_model(**arguments)
    assert "\n" not in str(caught.value)


def test_numbers_of_numpy_count_as_numbers():
    model = build_model("simple_cnn", np.int64(3), 1, (np.int64(12), np.int32(16)))
    assert model.architecture()["size"] == [12, 16]
    assert model.classes == ("0", "1", "2")


def test_options_that_cannot_be_written_down_are_refused_when_they_are():
    class Own(nn.Module):
        def __init__(self, norm):
            super().__init__()
            self.norm = norm(3)

        def forward(self, x):
            return self.norm(x).mean((2, 3))

    model = build_model(Own, options={"norm": nn.BatchNorm2d})
    with pytest.raises(OpsinError, match="options of Own cannot be written down"):
        model.architecture()
