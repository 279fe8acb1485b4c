"""What the flow view asks: pictures, the graph, maps, and one number opened."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.models.classifier import Classifier
from opsin.reporting.views import wire
from opsin.reporting.views.questions import answer
from opsin.reporting.views.subject import Subject

SIDE = 20


class Small(nn.Module):
    """A residual block, a pool and a head: 1 x 20 x 20 -> 4 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 3, padding=1)
        self.conv2 = nn.Conv2d(3, 3, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(300, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.conv1(x))
        return self.head(self.pool(first + self.conv2(first)).flatten(1))


class Broken(Small):
    """Its head expects another size."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(999, 4)


class Fickle(nn.Module):
    """Takes one way for dark pictures and another for bright ones: torch.export cannot follow."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(SIDE * SIDE, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(1)
        return self.head(torch.tanh(flat)) if flat.mean().item() > 0 else self.head(torch.sigmoid(flat))


def subject_of(module: nn.Module, classes: int = 4) -> Subject:
    torch.manual_seed(0)
    preprocess = Preprocess.simple(channels=1, size=SIDE)
    return Subject.of(Classifier(module, classes=[f"class {index}" for index in range(classes)], preprocess=preprocess))


@pytest.fixture(scope="module")
def subject() -> Subject:
    torch.manual_seed(0)
    return subject_of(Small())


@pytest.fixture(scope="module")
def drawn(subject: Subject) -> str:
    pixels = np.random.default_rng(1).integers(0, 256, (28, 28, 1), np.uint8)
    return answer(subject, "put", {"pixels": pixels, "name": "drawn"})["id"]


def test_a_drawing_is_kept_under_the_hash_of_its_pixels(subject: Subject):
    pixels = np.zeros((28, 28, 1), np.uint8)
    first = answer(subject, "put", {"pixels": pixels, "name": "a"})
    assert first == {**answer(subject, "put", {"pixels": pixels, "name": "a"})}
    assert first["size"] == [28, 28]
    assert answer(subject, "put", {"pixels": pixels + 1})["id"] != first["id"]


def test_a_file_is_kept(subject: Subject):
    buffer = io.BytesIO()
    Image.fromarray(np.full((30, 60, 3), 90, np.uint8)).save(buffer, "PNG")
    file = np.frombuffer(buffer.getvalue(), np.uint8)
    kept = answer(subject, "put", {"file": file, "name": "grey.png"})
    assert kept["size"] == [30, 60]
    assert answer(subject, "input", {"image": kept["id"]})["geometry"] == [0, 15, 30, 45]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({}, "neither pixels nor a file"),
        ({"pixels": np.zeros((2, 2, 1), np.uint8), "file": np.zeros(2, np.uint8)}, "both pixels and a file"),
        ({"file": np.frombuffer(b"<svg onload=alert(1)>", np.uint8), "name": "x.svg"}, "x.svg cannot be read"),
        ({"pixels": np.zeros((2, 2, 1), np.float32)}, "expected uint8"),
        ({"file": np.zeros(4, np.float32), "name": "x"}, "as uint8"),
    ],
)
def test_what_is_no_picture_is_refused(subject: Subject, args: dict, said: str):
    with pytest.raises(OpsinError, match=said):
        answer(subject, "put", args)


def test_the_tensor_is_what_the_network_gets(subject: Subject, drawn: str):
    found = answer(subject, "input", {"image": drawn})
    tensor = subject.input_of(subject.images[drawn])
    assert np.array_equal(found["tensor"], tensor[0].numpy())
    assert found["pixels"].shape == (SIDE, SIDE, 1)
    assert found["original"].shape == (28, 28, 1)


def test_a_moved_input_is_moved_before_it_is_normalised(subject: Subject, drawn: str):
    still = answer(subject, "input", {"image": drawn})
    found = answer(subject, "input", {"image": drawn, "shift": [0, 2]})
    assert np.array_equal(found["tensor"][:, :, 2:], still["tensor"][:, :, :-2])
    assert np.array_equal(found["original"], still["original"])


def test_the_graph_names_every_operation_and_its_parameters(subject: Subject):
    found = answer(subject, "graph", {})
    names = [node["name"] for node in found["nodes"]]
    assert names == ["input", "conv1", "relu", "conv2", "add", "pool", "flatten", "head"]
    assert found["output"] == "head"
    assert found["failed"] is None
    assert found["parameters"]["conv1.weight"] == [3, 1, 3, 3]
    wire.pack(found)


def test_maps_are_the_networks_own_numbers(subject: Subject, drawn: str):
    found = answer(subject, "maps", {"image": drawn, "layers": ["conv1", "head"], "exact": True})
    tensor = subject.input_of(subject.images[drawn])
    module = subject.model.module
    assert isinstance(module, Small)
    with torch.no_grad():
        assert np.array_equal(found["layers"]["conv1"]["values"], module.conv1(tensor)[0].numpy())
        logits = module(tensor)[0]
    assert np.array_equal(found["logits"], logits.numpy())
    np.testing.assert_allclose(found["probabilities"], logits.softmax(0).numpy(), rtol=1e-6)
    assert found["layers"]["head"]["values"].shape == (4, 1, 1)


def test_maps_of_all_layers_are_bytes(subject: Subject, drawn: str):
    layers = answer(subject, "maps", {"image": drawn, "side": 7})["layers"]
    assert list(layers) == ["input", "conv1", "relu", "conv2", "add", "pool", "flatten", "head"]
    assert layers["conv1"]["values"].shape == (3, 7, 7)
    assert layers["conv1"]["size"] == [SIDE, SIDE]
    assert all(maps["values"].dtype == np.uint8 for maps in layers.values())


def test_some_channels_can_be_asked_for(subject: Subject, drawn: str):
    args = {"image": drawn, "layers": "conv1", "exact": True}
    some = answer(subject, "maps", {**args, "channels": [2, 0]})["layers"]["conv1"]["values"]
    assert np.array_equal(some, answer(subject, "maps", args)["layers"]["conv1"]["values"][[2, 0]])
    with pytest.raises(OpsinError, match="channel 3 of conv1 was asked for; it has 3"):
        answer(subject, "maps", {**args, "channels": [3]})


@pytest.mark.parametrize(
    ("layer", "unit"),
    [("conv1", (2, 0, 0)), ("conv2", (1, 9, 19)), ("add", (0, 5, 5)), ("pool", (2, 9, 9)), ("head", (3, 0, 0))],
)
def test_one_number_opens_into_terms_that_are_there(subject: Subject, drawn: str, layer: str, unit: tuple):
    found = answer(subject, "trace", {"image": drawn, "layer": layer, "unit": list(unit)})
    exact = answer(subject, "maps", {"image": drawn, "exact": True})["layers"]
    assert found["agrees"]
    assert found["value"] == exact[layer]["values"][unit]
    terms = found["terms"]
    for row in range(len(terms["input"])):
        if terms["padding"][row]:
            continue
        source = exact[terms["layers"][terms["layer"][row]]]["values"]
        assert source[tuple(terms["position"][row])] == np.float32(terms["input"][row])
    wire.pack(found)


def test_padding_is_said_and_lies_outside(subject: Subject, drawn: str):
    terms = answer(subject, "trace", {"image": drawn, "layer": "conv1", "unit": [0, 0, 0]})["terms"]
    assert terms["padding"].sum() == 5
    assert (terms["position"][terms["padding"]] < 0).any(axis=1).all()


def test_a_moved_input_opens_into_its_own_numbers(subject: Subject, drawn: str):
    args = {"image": drawn, "layer": "conv1", "unit": [1, 8, 8]}
    still = answer(subject, "trace", args)["value"]
    assert answer(subject, "trace", {**args, "rotate": 30})["value"] != still
    assert answer(subject, "trace", args)["value"] == still


def test_fields_are_what_a_number_depends_on(subject: Subject, drawn: str):
    found = answer(subject, "fields", {"layer": "conv2", "unit": [1, 10, 4]})
    assert found["receptive_field"] == [8, 2, 13, 7]
    assert found["boxes"]["relu"] == [0, 3, 9, 12, 3, 6]
    assert found["boxes"]["input"] == [0, 1, 8, 13, 2, 7]
    opened = answer(subject, "trace", {"image": drawn, "layer": "conv2", "unit": [1, 10, 4]})
    assert opened["boxes"] == found["boxes"]
    assert opened["receptive_field"] == found["receptive_field"]


def test_nothing_outside_the_field_matters(subject: Subject):
    """Poisoned pixels outside leave the number as it is; inside they do not."""
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (SIDE, SIDE, 1), np.uint8)
    top, left, bottom, right = answer(subject, "fields", {"layer": "pool", "unit": [0, 4, 7]})["receptive_field"]

    def value(changed: np.ndarray) -> float:
        image = answer(subject, "put", {"pixels": changed})["id"]
        return answer(subject, "trace", {"image": image, "layer": "pool", "unit": [0, 4, 7]})["value"]

    outside = rng.integers(0, 256, pixels.shape, np.uint8)
    outside[top:bottom, left:right] = pixels[top:bottom, left:right]
    inside = pixels.copy()
    inside[top:bottom, left:right] = 255 - inside[top:bottom, left:right]
    assert value(outside) == value(pixels)
    assert value(inside) != value(pixels)


def test_a_network_that_fails_is_shown_up_to_there():
    broken = subject_of(Broken())
    graph = answer(broken, "graph", {})
    assert graph["failed"]["node"] == "head"
    assert "300" in graph["failed"]["message"]
    assert "999" in graph["failed"]["message"]
    found = answer(broken, "maps", {"image": "example/0"})
    assert found["probabilities"] is None
    assert list(found["layers"]) == ["input", "conv1", "relu", "conv2", "add", "pool", "flatten"]
    assert answer(broken, "trace", {"image": "example/0", "layer": "pool", "unit": [0, 1, 1]})["agrees"]
    assert answer(broken, "fields", {"layer": "pool", "unit": [0, 1, 1]})["receptive_field"]


def test_another_picture_can_take_another_way():
    fickle = subject_of(Fickle(), classes=2)
    dark = answer(fickle, "put", {"pixels": np.zeros((SIDE, SIDE, 1), np.uint8)})["id"]
    bright = answer(fickle, "put", {"pixels": np.full((SIDE, SIDE, 1), 255, np.uint8)})["id"]
    assert not answer(fickle, "graph", {"image": dark})["exported"]
    for image, operation in ((dark, "sigmoid"), (bright, "tanh"), (dark, "sigmoid")):
        assert operation in answer(fickle, "maps", {"image": image})["layers"]
        assert operation in [node["name"] for node in answer(fickle, "graph", {"image": image})["nodes"]]


def test_a_network_without_a_preprocess_says_what_it_needs():
    bare = Subject.of(Classifier(Small(), classes=list("abcd")))
    for question, args in (("input", {"image": "example/0"}), ("maps", {"image": "example/0"})):
        with pytest.raises(OpsinError, match="no Preprocess"):
            answer(bare, question, args)
    with pytest.raises(OpsinError, match="input size of Small is not known"):
        answer(bare, "graph", {})


@pytest.mark.parametrize(
    ("question", "args", "said"),
    [
        ("maps", {"image": "own/none"}, "not kept any more"),
        ("maps", {"image": "example/0", "layers": ["conv9"]}, "there is no layer 'conv9'"),
        ("trace", {"image": "example/0", "layer": "conv1", "unit": [0, 99, 0]}, r"the layer's maps are \[3, 20, 20\]"),
        ("trace", {"image": "example/0", "layer": "conv1", "unit": [0, 1]}, "trace was asked with unit"),
        ("fields", {"layer": "nothing", "unit": [0, 0, 0]}, "there is no layer"),
        ("input", {"image": "example/0", "scale": 0}, "scale was given as 0"),
    ],
)
def test_what_cannot_be_answered_is_said(subject: Subject, question: str, args: dict, said: str):
    with pytest.raises(OpsinError, match=said):
        answer(subject, question, args)


def test_weights_that_change_are_seen(drawn: str):
    """Nothing of an earlier network is kept for another one."""
    pixels = np.full((SIDE, SIDE, 1), 200, np.uint8)
    first, second = subject_of(Small()), subject_of(Small())
    image = [answer(item, "put", {"pixels": pixels})["id"] for item in (first, second)]
    maps = [answer(item, "maps", {"image": name})["logits"] for item, name in zip((first, second), image, strict=True)]
    assert not np.array_equal(*maps)
