"""The NumPy engine beside PyTorch and beside its own loops: a training step of LeNet-5, the memory of a step, accuracy.

Usage: python bench/scratch.py [--rounds 5] [--only step memory accuracy]
"""

from __future__ import annotations

import statistics
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import opsin
from measure import alternate, milliseconds, ratio, run_parts
from opsin.models.zoo.lenet5 import LeNet5 as TorchLeNet5
from opsin.scratch import naive
from opsin.scratch.layer import Layer
from opsin.scratch.losses import CrossEntropyLoss
from opsin.scratch.networks import LeNet5, Sequential
from opsin.scratch.optimisers import SGD
from opsin.training.view import Quiet

BATCH = 64
STEPS = 20  # of each engine in a round: one step takes milliseconds
ACCURACY = (("mnist5k", 0.98, {}), ("fashion-mnist", 0.89, {"epochs": 10}))


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Real digits as the network gets them, and their labels."""
    data = opsin.load_data("mnist5k")
    model = opsin.build_model("lenet5", classes=data.classes, channels=1, size=28)
    assert model.preprocess is not None
    pixels = data.train.pixels(model.preprocess)[:: len(data.train) // BATCH][:BATCH]
    labels = data.train.labels[:: len(data.train) // BATCH][:BATCH]
    return np.ascontiguousarray(model.preprocess.normalise(pixels).numpy()), labels


def stepper(network: Layer, images: np.ndarray, labels: np.ndarray) -> Any:
    """A training step: forward, loss, backward, change."""
    criterion, optimiser = CrossEntropyLoss(), SGD(network, lr=1e-3)

    def step() -> None:
        criterion.forward(network.forward(images), labels)
        network.backward(criterion.backward())
        optimiser.step()

    return step


def torch_stepper(images: np.ndarray, labels: np.ndarray) -> Any:
    """The same step by PyTorch, eager."""
    module, x, y = TorchLeNet5(10, 1, (28, 28)), torch.from_numpy(images), torch.from_numpy(labels)
    optimiser = torch.optim.SGD(module.parameters(), lr=1e-3)

    def step() -> None:
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        optimiser.step()

    return step


def by_loops(network: Sequential) -> Sequential:
    """The same network of the layers written as loops."""
    kinds = {kind.__name__: kind for kind in (naive.Conv2D, naive.MaxPool2D, naive.AvgPool2D, naive.Linear)}
    for layer in network.children().values():
        layer.__class__ = kinds.get(type(layer).__name__, type(layer))
    return network


def step(rounds: int) -> list[dict[str, Any]]:
    """Time of a step: NumPy, PyTorch, and loops (on one image, times the batch)."""
    images, labels = batch()
    fast, eager = stepper(LeNet5(), images, labels), torch_stepper(images, labels)
    slow = stepper(by_loops(LeNet5()), images[:1], labels[:1])

    def several(run: Any) -> float:
        return statistics.median(milliseconds(run)() for _ in range(STEPS))

    candidates = {
        "opsin.scratch": lambda: several(fast),
        "PyTorch, eager": lambda: several(eager),
        "loops": lambda: BATCH * milliseconds(slow)(),
    }
    for run in (fast, eager):
        run()
    figures = alternate(candidates, rounds)
    return [
        {"network": "lenet5", "batch": BATCH, "milliseconds": figures, "against": "PyTorch, eager",
         "times": ratio(figures, "opsin.scratch", "PyTorch, eager"), "goal": 2.5},
        {"network": "lenet5", "batch": BATCH, "against": "loops",
         "times": ratio(figures, "loops", "opsin.scratch"), "goal": 500},
    ]  # fmt: skip


def memory(_rounds: int) -> list[dict[str, Any]]:
    """Peak memory of a step, over what its activations take."""
    images, labels = batch()
    network = LeNet5()
    run = stepper(network, images, labels)
    run()
    activations = images.nbytes + sum(output.nbytes for output in network.outputs(images).values())
    weights = sum(value.nbytes for value in network.parameters().values())
    for layer in network.children().values():  # what the last pass has left is not this one's
        for name in [name for name in vars(layer) if name.startswith("_")]:
            delattr(layer, name)
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return [
        {"network": "lenet5", "batch": BATCH, "activations_bytes": activations, "weights_bytes": weights,
         "peak_bytes": peak, "times": peak / activations, "goal": 4},
    ]  # fmt: skip


def accuracy(_rounds: int) -> list[dict[str, Any]]:
    """Test accuracy of LeNet-5 trained by `engine=scratch`, with what Opsin chooses by itself."""
    rows = []
    for name, goal, settings in ACCURACY:
        data = opsin.load_data(name)
        with tempfile.TemporaryDirectory() as folder:
            recipe = opsin.Recipe(engine="scratch", record=False, **settings)
            run = opsin.train(None, data, recipe, out=Path(folder) / "run", view=Quiet())
            scores = run.scores
        assert scores is not None
        print(f"  {name}  {scores.accuracy:.4f}  {scores.accuracy_interval}", flush=True)
        rows.append({
            "data": name, "network": "lenet5", "epochs": run.info["recipe"]["epochs"],
            "accuracy": scores.accuracy, "interval": list(scores.accuracy_interval), "images": scores.images,
            "goal": goal,
        })  # fmt: skip
    return rows


if __name__ == "__main__":
    run_parts("scratch", __doc__ or "", {"step": step, "memory": memory, "accuracy": accuracy})
