"""Networks beside PyTorch's: logits, loss, gradients and a hundred steps of training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from opsin.models.zoo.lenet5 import LeNet5 as TorchLeNet5
from opsin.models.zoo.seed_cnn import SeedCNN as TorchSeedCNN
from opsin.scratch.layers import BatchNorm2D, Conv2D, Flatten, Linear, ReLU
from opsin.scratch.losses import CrossEntropyLoss
from opsin.scratch.networks import LeNet5, SeedCNN, Sequential
from opsin.scratch.optimisers import SGD, Adam, AdamW


def random_batch(step: int, channels: int = 1, size: int = 28) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(step)
    return random.normal(size=(8, channels, size, size)), random.integers(0, 10, 8)


def twin_of(network, twin: nn.Module) -> nn.Module:
    twin = twin.double()
    twin.load_state_dict({name: torch.from_numpy(value) for name, value in network.state_dict().items()})
    return twin


NETWORKS = {
    "lenet5": (LeNet5, lambda: TorchLeNet5(10, 1, (28, 28)), 1, 28),
    "lenet5 relu max": (
        lambda: LeNet5(10, 3, 32, "relu", "max"), lambda: TorchLeNet5(10, 3, (32, 32), "relu", "max"), 3, 32,
    ),
    "seed_cnn": (SeedCNN, lambda: TorchSeedCNN(10, 1, (28, 28)), 1, 28),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_loss_and_gradients_are_those_of_pytorch(name):
    make, make_twin, channels, size = NETWORKS[name]
    network = make().astype(np.float64)
    twin = twin_of(network, make_twin())
    x, labels = random_batch(0, channels, size)
    criterion = CrossEntropyLoss(label_smoothing=0.1)
    logits = network.forward(x)
    loss = criterion.forward(logits, labels)
    network.backward(criterion.backward())
    expected = twin(torch.from_numpy(x))
    expected_loss = nn.functional.cross_entropy(expected, torch.from_numpy(labels), label_smoothing=0.1)
    expected_loss.backward()
    np.testing.assert_allclose(logits, expected.detach().numpy(), atol=1e-8)
    assert abs(loss - expected_loss.item()) < 1e-10
    assert network.gradients().keys() == dict(twin.named_parameters()).keys()
    for parameter, value in twin.named_parameters():
        np.testing.assert_allclose(network.gradients()[parameter], value.grad.numpy(), atol=1e-8)


OPTIMISERS = {
    "sgd": (lambda n: SGD(n, 0.05), lambda p: torch.optim.SGD(p, 0.05)),
    "momentum": (lambda n: SGD(n, 0.05, 0.9, 1e-3), lambda p: torch.optim.SGD(p, 0.05, 0.9, weight_decay=1e-3)),
    "adam": (lambda n: Adam(n, 2e-3, weight_decay=1e-3), lambda p: torch.optim.Adam(p, 2e-3, weight_decay=1e-3)),
    "adamw": (lambda n: AdamW(n, 2e-3, weight_decay=0.05), lambda p: torch.optim.AdamW(p, 2e-3, weight_decay=0.05)),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_hundred_steps_end_at_the_same_weights(name):
    make, make_twin = OPTIMISERS[name]
    network = LeNet5().astype(np.float64)
    twin = twin_of(network, TorchLeNet5(10, 1, (28, 28)))
    ours, theirs = make(network), make_twin(twin.parameters())
    criterion = CrossEntropyLoss()
    for step in range(100):
        x, labels = random_batch(step)
        criterion.forward(network.forward(x), labels)
        network.backward(criterion.backward())
        ours.step()
        theirs.zero_grad()
        nn.functional.cross_entropy(twin(torch.from_numpy(x)), torch.from_numpy(labels)).backward()
        theirs.step()
    for path, value in twin.state_dict().items():
        np.testing.assert_allclose(network.state_dict()[path], value.numpy(), atol=1e-8)


def test_weights_travel_both_ways():
    twin = TorchSeedCNN(10, 1, (28, 28)).eval()
    network = SeedCNN(seed=1)
    network.load_state_dict({name: value.numpy() for name, value in twin.state_dict().items()})
    x = random_batch(0)[0].astype(np.float32)
    np.testing.assert_allclose(network.forward(x), twin(torch.from_numpy(x)).detach().numpy(), atol=1e-5)


def test_a_batch_norm_of_pytorch_is_taken_over():
    twin = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    network = Sequential([Conv2D(1, 2, 3), BatchNorm2D(2)])
    network.load_state_dict({name: value.numpy() for name, value in twin.state_dict().items()})
    assert sorted(network.state_dict()) == sorted(n for n in twin.state_dict() if "num_batches" not in n)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: state.pop("conv1.bias"), r"lack \['conv1.bias'\]"),
        (lambda state: state.update(more=np.zeros(1)), r"have \['more'\] too many"),
        (lambda state: state.update({"fc1.weight": np.zeros((2, 2))}), r"fc1.weight has shape \(2, 2\), expected"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(change, match):
    network = LeNet5()
    before, state = network.state_dict(), LeNet5(seed=5).state_dict()
    change(state)
    with pytest.raises(ValueError, match=match):
        network.load_state_dict(state)
    assert all(np.array_equal(before[name], value) for name, value in network.state_dict().items())


def test_the_sizes_that_tutorials_get_wrong():
    assert SeedCNN()["fc1"].in_features == 64 * 5 * 5
    assert LeNet5()["fc1"].in_features == 16 * 5 * 5
    assert LeNet5(size=32)["fc1"].in_features == 16 * 5 * 5
    network = Sequential([Conv2D(1, 32, 3), ReLU(), Flatten(), Linear(32 * 28 * 28, 10)])
    with pytest.raises(ValueError, match=r"takes \(images, 25088\) and was given an array of shape \(1, 21632\)"):
        network.forward(np.zeros((1, 1, 28, 28), np.float32))


def test_equal_seeds_give_equal_networks():
    assert np.array_equal(SeedCNN(seed=3)["conv1"].weight, SeedCNN(seed=3)["conv1"].weight)
    assert not np.array_equal(SeedCNN(seed=3)["conv1"].weight, SeedCNN(seed=4)["conv1"].weight)


def test_loss_of_wrong_labels():
    criterion = CrossEntropyLoss()
    with pytest.raises(ValueError, match=r"0\.\.3 were given for 3 classes"):
        criterion.forward(np.zeros((2, 3)), np.array([0, 3]))
    with pytest.raises(ValueError, match="expected"):
        criterion.forward(np.zeros((2, 3)), np.array([0]))


def test_loss_of_huge_logits_is_finite():
    assert CrossEntropyLoss().forward(np.array([[1e4, -1e4]]), np.array([1])) == pytest.approx(2e4)
