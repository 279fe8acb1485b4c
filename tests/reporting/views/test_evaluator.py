"""The evaluator in the browser against PyTorch and Pillow: Python writes what it computes, vitest compares."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from tests.conftest import missing
from torch import Tensor, nn

import opsin
from opsin.data.decode import from_array
from opsin.data.preprocess import Preprocess
from opsin.records import Graph
from opsin.reporting.views.moving import Move, moved
from opsin.reporting.views.offline import SUPPORTED, offline
from opsin.reporting.views.questions import answer
from opsin.reporting.views.shown import Levels, map_shape
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.traced import Pass, pass_of
from opsin.reporting.views.wire import encode, pack

WEB = Path(__file__).parents[3] / "web"
CENTRED = {"L": (0.3,), "LA": (0.3, 0.0), "RGB": (0.485, 0.456, 0.406), "RGBA": (0.5, 0.5, 0.5, 0.0)}
SPREAD = {"L": (0.31,), "LA": (0.31, 1.0), "RGB": (0.229, 0.224, 0.225), "RGBA": (0.5, 0.5, 0.5, 1.0)}


def write(folder: Path, name: str, value: object) -> None:
    document, buffers = pack(value)
    (folder / f"{name}.bin").write_bytes(encode({"document": document}, buffers))


def photo(mode: str) -> np.ndarray:
    """A real photograph, 90 x 131; alpha fades from left to right and is 0 in places."""
    import skimage.data

    picture = Image.fromarray(skimage.data.chelsea()).resize((131, 90))
    if mode.endswith("A"):
        fade = np.tile(np.linspace(0, 255, 131).astype(np.uint8), (90, 1))
        picture.putalpha(Image.fromarray(fade))
    return np.asarray(picture.convert(mode)).reshape(90, 131, -1)


PICTURES = [
    *(
        (f"{mode}-{fit}-{interpolation}", photo, mode, (28, 28), {"fit": fit, "interpolation": interpolation})
        for mode, fit, interpolation in itertools.chain(
            itertools.product(["L"], ["crop", "pad", "stretch"], ["nearest", "bilinear", "bicubic", "lanczos"]),
            itertools.product(["LA", "RGB", "RGBA"], ["crop"], ["nearest", "bilinear", "lanczos"]),
        )
    ),
    ("larger", photo, "RGB", (200, 150), {"interpolation": "bicubic"}),
    ("margin", photo, "RGB", (32, 40), {"crop": 0.875}),
    ("flat", photo, "RGB", (33, 7), {"fit": "pad"}),
]


def write_pictures(folder: Path) -> None:
    for (name, make, mode, (height, width), options), source in itertools.product(PICTURES, ["L", "RGB", "RGBA"]):
        pixels = make(source)
        preprocess = Preprocess(
            mode=mode, height=height, width=width, mean=CENTRED[mode], std=SPREAD[mode], **options
        )  # fmt: skip
        seen = preprocess.pixels(from_array(pixels, source))
        fixture = {
            "pixels": pixels,
            "preprocess": preprocess.model_dump(mode="json"),
            "seen": seen,
            "tensor": preprocess.normalise(seen[None])[0].numpy(),
            "geometry": list(preprocess.geometry(pixels.shape[:2])),
        }
        write(folder, f"picture-{name}-of-{source}", fixture)


MOVES = [((0, 0), 0, 1), ((1, -2), 0, 1), ((0.5, 0.25), 0, 1), ((0, 0), 33, 1), ((3, 0), -120, 0.7), ((0, 0), 0, 2.5)]


def write_moved(folder: Path) -> None:
    for mode in ("L", "RGB"):
        pixels = photo(mode)
        moves = [
            {"shift": list(shift), "rotate": rotate, "scale": scale, "moved": moved(pixels, Move(shift, rotate, scale))}
            for shift, rotate, scale in MOVES
        ]
        write(folder, f"moved-{mode}", {"pixels": pixels, "moves": moves})


SHOWN = {"whole": ((3, 7, 9), None), "side-4": ((3, 7, 9), 4), "flat": ((5, 1, 1), 56), "side-56": ((2, 130, 61), 56)}


def write_shown(folder: Path) -> None:
    for name, (shape, side) in SHOWN.items():
        maps = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        maps[0] = 2.0  # a channel without any spread
        maps[-1, -1, -1] = np.nan
        write(folder, f"shown-{name}", {"maps": maps, "side": side, **Levels.of(maps, side).as_dict()})


class Everything(nn.Module):
    """A network of one's own with what many have: groups, dilation, a padding of "same", every kind of pool, joins."""

    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding="same", dilation=2)
        self.norm = nn.BatchNorm2d(8)
        self.grouped = nn.Conv2d(8, 12, 3, stride=2, padding=1, groups=4)
        self.wide = nn.Conv2d(12, 8, 3, padding=2, dilation=2, bias=False)
        self.group_norm = nn.GroupNorm(4, 8)
        self.instance = nn.InstanceNorm2d(8, affine=True)
        self.prelu = nn.PReLU(8)
        self.acts = nn.ModuleList(
            [nn.ReLU6(), nn.LeakyReLU(0.1), nn.ELU(0.7), nn.CELU(1.3), nn.SELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(),
             nn.Mish(), nn.Hardswish(), nn.Hardsigmoid(), nn.Sigmoid(), nn.LogSigmoid(), nn.Tanh(), nn.Softplus(2),
             nn.Hardtanh(-0.5, 0.7), nn.ReLU()]
        )  # fmt: skip
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.register_buffer("shift", torch.linspace(-1, 1, 8)[:, None, None])
        self.scale = nn.Parameter(torch.tensor(1.5))
        self.ends = nn.Linear(8 * 9 + 8 + 8, 5)
        self.dropout = nn.Sequential(nn.Dropout(0.5), nn.AlphaDropout(0.5))
        self.spatial = nn.Dropout2d(0.5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.spatial(self.norm(self.first(x)))
        x = self.wide(F.relu(self.grouped(F.pad(x, (1, 0, 2, 1), value=0.1))))
        x = self.prelu(self.group_norm(x) + self.instance(x))
        x = torch.cat([act(x)[:, at % 8 : at % 8 + 1] for at, act in enumerate(self.acts)], dim=1)
        x = F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True) - F.avg_pool2d(x, 3, 2, 1, True, False)
        left, right = torch.chunk(x[:, :16], 2, dim=1)
        x = (left * torch.sigmoid(right) + self.shift) / (1.5 + right.abs()) * self.scale
        tokens = x.flatten(2).transpose(1, 2)
        tokens = F.layer_norm(tokens, (8,)) + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        query, key = tokens.split([4, 4], dim=-1)
        weights = torch.softmax(query @ key.transpose(-2, -1) * 0.5, dim=-1)
        mixed = torch.bmm(weights, tokens).mean(1)
        pooled = F.adaptive_avg_pool2d(x, (3, 3)).flatten(1), F.adaptive_max_pool2d(x, 1).flatten(1), mixed
        joined = self.dropout(torch.cat(pooled, 1))
        return self.ends(torch.clamp(joined, -3.0, 3.0)).neg().exp().log().unsqueeze(0).squeeze(0)


def zoo(name: str, channels: int, size: int, **options: object) -> nn.Module:
    return opsin.build_model(name, 10, channels, size, seed=1, options=options).module


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "lenet5": (lambda: zoo("lenet5", 1, 28), (1, 28, 28)),
    "lenet5-max": (lambda: zoo("lenet5", 1, 32, activation="relu", pooling="max"), (1, 32, 32)),
    "seed_cnn": (lambda: zoo("seed_cnn", 1, 28), (1, 28, 28)),
    "simple_cnn": (lambda: zoo("simple_cnn", 1, 30), (1, 30, 30)),
    "conv_bn": (lambda: zoo("conv_bn", 1, 28, activation="hardswish", skip=True), (1, 28, 28)),
    "resnet_small": (lambda: zoo("resnet_small", 3, 32, widths=(8, 16), blocks=1), (3, 32, 32)),
    "vit_small": (lambda: zoo("vit_small", 3, 32, depth=1), (3, 32, 32)),
    "everything": (Everything, (3, 21, 18)),
}


def lived(make: Callable[[], nn.Module]) -> nn.Module:
    """A network whose statistics and biases are not those of a fresh one."""
    torch.manual_seed(0)
    module = make().eval()
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.is_floating_point():
                spread = 0.0 if name.endswith("running_var") else 0.5  # variances stay positive
                tensor.add_((torch.rand_like(tensor) - spread) * 0.1)
    return module


def write_networks(folder: Path) -> None:
    for name, (make, shape) in NETWORKS.items():
        subject = subject_of(lived(make), shape)
        image = subject.images.put(photo("RGB"), "a cat").id
        found = pass_of(subject, image, Move())
        document = offline(subject, [image])
        assert isinstance(document, dict), document
        values = {node.name: found.values[node.name].detach().numpy() for node in found.traced.graph.nodes}
        write(folder, f"network-{name}", {"network": document, "input": found.inputs[0].numpy(), "values": values})
        asked = [
            {
                "question": question,
                "args": args,
                "answer": answer(subject, question, args),
                "scale": scale_of(found, args["layer"]) if "layer" in args else 0.0,
            }
            for question, args in questions(found.traced.graph, image)
        ]
        write(folder, f"answers-{name}", {"offline": document, "asked": asked})


def scale_of(found: Pass, layer: str) -> float:
    """The largest magnitude of a layer and of those that it is made from: what its numbers are compared with."""
    node = found.node(layer)
    return max(
        float(found.values[name].detach().nan_to_num(0.0, 0.0, 0.0).abs().max()) for name in (node.name, *node.inputs)
    )


def subject_of(module: nn.Module, shape: tuple[int, int, int]) -> Subject:
    preprocess = Preprocess.simple(shape[0], shape[1:], mean=0.4, std=0.3)
    return Subject.of(opsin.Classifier(module, preprocess=preprocess))


def questions(graph: Graph, image: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that a report answers by itself; of every node some units are opened."""
    move = {"shift": [1, -2.5], "rotate": 20, "scale": 0.8}
    yield "input", {"image": image}
    yield "input", {"image": image, **move}
    yield "maps", {"image": image, **move}
    yield "maps", {"image": image, "layers": [graph.nodes[1].name], "side": None, "channels": [2, 0]}
    yield "maps", {"image": image, "exact": True}
    yield "response", {"image": image, "change": "rotate", "values": [-30, 0, 45.5], "shift": [0, 1]}
    yield "response", {"image": image, "change": "shift_x", "values": [-3, 2]}
    generator = np.random.default_rng(0)
    for node in graph.nodes:
        shown = map_shape(node.shape)
        last = [side - 1 for side in shown]
        for unit in [last, generator.integers(0, shown).tolist()]:
            yield "trace", {"image": image, "layer": node.name, "unit": unit}
    yield "fields", {"layer": graph.output, "unit": [1, 0, 0]}


def write_operations(folder: Path) -> None:
    write(folder, "operations-all", {"names": sorted(SUPPORTED)})


def write_faults(folder: Path) -> None:
    """Fixtures that are wrong on purpose: the comparisons must see it."""
    subject = subject_of(lived(lambda: zoo("simple_cnn", 1, 12)), (1, 12, 12))
    image = subject.images.put(photo("L"), "").id
    found, document = pass_of(subject, image, Move()), offline(subject, [image])
    values = {node.name: found.values[node.name].detach().numpy() for node in found.traced.graph.nodes}
    network = {"network": document, "input": found.inputs[0].numpy(), "values": values}
    write(folder, "network-fault", {**network, "values": {**values, "conv2": values["conv2"] * 1.001}})
    args = {"image": image, "layer": "conv2", "unit": [3, 0, 2]}
    right = answer(subject, "trace", args)
    asked = {"question": "trace", "args": args, "scale": scale_of(found, "conv2")}
    faults = {
        "key": {key: value for key, value in right.items() if key != "formula"},
        "text": {**right, "formula": "sum"},
        "number": {**right, "total": right["total"] * 1.01},
        "position": {**right, "terms": {**right["terms"], "position": right["terms"]["position"] + 1}},
        "box": {**right, "boxes": {**right["boxes"], "input": [0, 1, 0, 1, 0, 1]}},
    }
    for fault, wrong in faults.items():
        write(folder, f"answers-fault-{fault}", {"offline": document, "asked": [{**asked, "answer": wrong}]})


FAULTS = ["network-fault", *(f"answers-fault-{fault}" for fault in ("key", "text", "number", "position", "box"))]


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> dict[str, str]:
    """What vitest found: the title of each comparison -> "" or what was different."""
    if shutil.which("node") is None or not (WEB / "node_modules" / "vitest").is_dir():
        missing("node with web/node_modules")
    folder = tmp_path_factory.mktemp("fixtures")
    for writer in (write_pictures, write_moved, write_shown, write_networks, write_operations, write_faults):
        writer(folder)
    result = folder / "result.json"
    arguments = ["run", "tests/evaluator/parity.test.ts", "--reporter=json", f"--outputFile={result}"]
    done = subprocess.run(
        ["node", "node_modules/vitest/vitest.mjs", *arguments],
        cwd=WEB,
        env=os.environ | {"OPSIN_FIXTURES": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if not result.exists():
        pytest.fail(f"vitest did not run: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    (suite,) = json.loads(result.read_text())["testResults"]
    return {case["title"]: "\n".join(case["failureMessages"]) for case in suite["assertionResults"]}


@pytest.mark.parametrize("source", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("name", [case[0] for case in PICTURES])
def test_a_picture_becomes_the_same_input_as_in_python(compared, name, source):
    assert compared[f"picture-{name}-of-{source}"] == ""


@pytest.mark.parametrize("name", ["L", "RGB"])
def test_a_picture_moves_as_in_python(compared, name):
    assert compared[f"moved-{name}"] == ""


@pytest.mark.parametrize("name", SHOWN)
def test_maps_become_the_same_bytes(compared, name):
    assert compared[f"shown-{name}"] == ""


@pytest.mark.parametrize("name", NETWORKS)
def test_every_node_has_the_value_that_it_has_in_pytorch(compared, name):
    assert compared[f"network-{name}"] == ""


@pytest.mark.parametrize("name", NETWORKS)
def test_the_browser_answers_as_python_does(compared, name):
    assert compared[f"answers-{name}"] == ""


def test_the_browser_knows_the_operations_that_python_lets_through(compared):
    assert compared["operations-all"] == ""


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_seen(compared, name):
    assert "AssertionError" in compared[name]
