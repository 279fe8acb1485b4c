from __future__ import annotations

import collections
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from opsin.errors import OpsinError
from opsin.models.weights import bare, load_weights, read_state, save_weights


class Tied(nn.Module):
    """The read-out is the embedding itself, as in language models."""

    def __init__(self, tie: bool = True):
        super().__init__()
        self.first = nn.Linear(6, 4, bias=False)
        self.second = nn.Linear(6, 4, bias=False)
        self.register_buffer("empty", torch.empty(0))
        self.register_buffer("void", torch.empty(0))
        if tie:
            self.second.weight = self.first.weight


def network(classes: int = 3) -> nn.Module:
    return nn.Sequential(
        collections.OrderedDict(
            conv=nn.Conv2d(1, 4, 3), bn=nn.BatchNorm2d(4), flat=nn.Flatten(), fc=nn.Linear(4 * 36, classes)
        )
    )


def same(first: nn.Module, second: nn.Module) -> bool:
    a, b = first.state_dict(), second.state_dict()
    return list(a) == list(b) and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("wrap", [lambda m: m, nn.DataParallel, lambda m: torch.compile(m, backend="eager")])
def test_round_trip_through_any_wrapper(tmp_path: Path, wrap):
    module, other = network(), network()
    save_weights(wrap(module), tmp_path / "w.safetensors", {"note": "x"})
    assert load_weights(wrap(other), tmp_path / "w.safetensors") == {"note": "x"}
    assert same(module, other)
    assert "conv.weight" in load_file(tmp_path / "w.safetensors")


def test_channels_last_and_views_survive(tmp_path: Path):
    module, other = network().to(memory_format=torch.channels_last), network()
    module.fc.weight = nn.Parameter(torch.randn(144, 3).t())
    save_weights(module, tmp_path / "w.safetensors")
    load_weights(other, tmp_path / "w.safetensors")
    assert same(module, other)


@pytest.mark.parametrize("tie", [True, False])
def test_tied_weights_are_written_once_and_come_back(tmp_path: Path, tie: bool):
    module, other = Tied(), Tied(tie)
    save_weights(module, tmp_path / "w.safetensors")
    assert sum(key.endswith("weight") for key in load_file(tmp_path / "w.safetensors")) == 1
    load_weights(other, tmp_path / "w.safetensors")
    assert same(module, other)
    assert (other.first.weight is other.second.weight) is tie


def test_a_tied_network_takes_a_file_without_the_second_name(tmp_path: Path):
    module = Tied()
    save_file(
        {"first.weight": torch.ones(4, 6), "empty": torch.empty(0), "void": torch.empty(0)}, tmp_path / "w.safetensors"
    )
    load_weights(module, tmp_path / "w.safetensors")
    assert torch.equal(module.second.weight, torch.ones(4, 6))


@pytest.mark.parametrize(
    "nest",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"epoch": 3, "model": state, "optimizer": {"lr": 0.1}},
        lambda state: {"checkpoint": 1, "model": {"state_dict": state}},
    ],
)
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "model."])
def test_pytorch_files_of_many_habits_are_read(tmp_path: Path, nest, prefix: str):
    module, other = network(), network()
    torch.save(nest({prefix + key: value for key, value in module.state_dict().items()}), tmp_path / "w.pth")
    load_weights(other, tmp_path / "w.pth")
    assert same(module, other)


def test_a_prefix_that_belongs_to_the_network_stays(tmp_path: Path):
    module, other = nn.Sequential(), nn.Sequential()
    module.add_module("module", network())
    other.add_module("module", network())
    torch.save(module.state_dict(), tmp_path / "w.pth")
    load_weights(other, tmp_path / "w.pth")
    assert same(module, other)


def test_files_from_before_batch_counters_fit(tmp_path: Path):
    module, other = network(), network()
    state = {key: value for key, value in module.state_dict().items() if "num_batches" not in key}
    torch.save(state, tmp_path / "w.pth")
    load_weights(other, tmp_path / "w.pth")
    assert same(module, other)


def test_weights_of_another_width_name_the_layers_with_both_shapes(tmp_path: Path):
    torch.save(network(5).state_dict(), tmp_path / "w.pth")
    module = network(3)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with pytest.raises(
        OpsinError, match=r"2 of another shape: fc\.weight is \(5, 144\), expected \(3, 144\); fc\.bias"
    ) as caught:
        load_weights(module, tmp_path / "w.pth")
    assert "\n" not in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


def test_weights_of_another_network_are_counted(tmp_path: Path):
    torch.save({f"layer{index}.weight": torch.zeros(index + 1) for index in range(9)}, tmp_path / "w.pth")
    with pytest.raises(
        OpsinError,
        match=r"8 missing: conv\.weight \(4, 1, 3, 3\), .* and 5 more; 9 unknown: .* and 6 more",
    ):
        load_weights(network(), tmp_path / "w.pth")


def test_nan_is_refused(tmp_path: Path):
    module = network()
    with torch.no_grad():
        module.fc.bias[0] = float("nan")
    save_weights(module, tmp_path / "w.safetensors")
    with pytest.raises(OpsinError, match=r"has NaN in fc\.bias"):
        load_weights(network(), tmp_path / "w.safetensors")


class Attack:
    """A pickle that would run code."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("nested", [False, True])
def test_a_malicious_file_runs_nothing(tmp_path: Path, nested: bool):
    attack = Attack(tmp_path / "owned")
    torch.save({"state_dict": {"a": attack}} if nested else attack, tmp_path / "w.pth")
    with pytest.raises(OpsinError, match="holds more than tensors and was not opened") as caught:
        load_weights(network(), tmp_path / "w.pth")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "owned").exists()


def test_the_attack_is_real(tmp_path: Path):
    """The fault that the test above guards against: plain unpickling does run the code."""
    pickle.loads(pickle.dumps(Attack(tmp_path / "owned")))
    assert (tmp_path / "owned").exists()


def test_a_raw_pickle_and_a_whole_module_are_refused(tmp_path: Path):
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Attack(tmp_path / "owned")))
    torch.save(network(), tmp_path / "whole.pth")
    for name in ("raw.pth", "whole.pth"):
        with pytest.raises(OpsinError, match=r"torch\.save\(model\.state_dict\(\), path\)") as caught:
            load_weights(network(), tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 half a zip"])
def test_damaged_files_are_one_line(tmp_path: Path, suffix: str, content: bytes):
    path = tmp_path / f"w{suffix}"
    path.write_bytes(content)
    with pytest.raises(OpsinError, match=r"damaged|not opened") as caught:
        load_weights(network(), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_cut_off_file_is_one_line(tmp_path: Path, suffix: str):
    path = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save(network().state_dict(), path)
    else:
        save_weights(network(), path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(OpsinError, match="damaged") as caught:
        load_weights(network(), path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3}, "holds the keys epoch; expected a state dict"),
        ([1, 2], "holds list"),
        ({}, "holds the keys"),
        (torch.zeros(3), "holds Tensor"),
    ],
)
def test_files_without_a_state_dict_are_refused(tmp_path: Path, content, message: str):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(OpsinError, match=message):
        read_state(tmp_path / "w.pth")


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(OpsinError, match="there is no weights file"):
        load_weights(network(), tmp_path / "w.pth")


def test_state_that_is_not_a_tensor_is_refused(tmp_path: Path):
    class Odd(nn.Linear):
        def get_extra_state(self):
            return {"a": 1}

        def set_extra_state(self, _):
            return None

    with pytest.raises(OpsinError, match="_extra_state of Odd is a dict"):
        save_weights(Odd(1, 1), tmp_path / "w.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_lazy_layer_takes_its_shape_from_the_file(tmp_path: Path):
    save_weights(nn.Sequential(nn.Linear(5, 2)), tmp_path / "w.safetensors")
    lazy = nn.Sequential(nn.LazyLinear(2))
    load_weights(lazy, tmp_path / "w.safetensors")
    assert lazy[0].weight.shape == (2, 5)


def test_bare_sees_through_several_wrappers():
    module = network()
    assert bare(torch.compile(nn.DataParallel(module), backend="eager")) is module
