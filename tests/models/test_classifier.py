from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.models.build import build_model
from opsin.models.classifier import Classifier, evaluating


class Tiny(nn.Module):
    """Answers with the mean of each channel, through a dropout that shows the mode."""

    def __init__(self, answer=lambda logits: logits):
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(3, 4)
        self.answer = answer

    def forward(self, x):
        return self.answer(self.fc(self.dropout(x.mean((2, 3)))))


@pytest.fixture
def model() -> Classifier:
    return build_model("simple_cnn", ["a", "b", "c"], 1, 12, seed=0)


def test_a_wrapped_module_without_a_preprocess_takes_float_tensors_only():
    model = Classifier(Tiny(), classes=list("abcd"))
    tensor, names, unreadable = model.inputs(torch.zeros(2, 3, 5, 5))
    assert (tensor.shape, names, unreadable) == ((2, 3, 5, 5), ("image 0", "image 1"), ())
    for picture in ("rose.jpg", Image.new("RGB", (8, 8)), np.zeros((8, 8, 3), np.uint8)):
        with pytest.raises(OpsinError, match=r"has no Preprocess and takes float tensors.*only, but was given"):
            model.inputs(picture)


def test_pictures_go_through_the_preprocess(model: Classifier):
    array = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 1), dtype=np.uint8)
    tensor, names, _ = model.inputs(array)
    expected = (torch.from_numpy(array).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    torch.testing.assert_close(tensor, expected)
    assert len(names) == 2
    tensor, _, _ = model.inputs(Image.fromarray(array[0, :, :, 0]))
    torch.testing.assert_close(tensor, expected[:1])


def test_one_float_picture_becomes_a_batch_of_one(model: Classifier):
    assert model.inputs(torch.zeros(1, 12, 12))[0].shape == (1, 1, 12, 12)
    assert model.logits(torch.zeros(1, 12, 12)).shape == (1, 3)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(2, 12, 12, 1, dtype=torch.uint8), "a tensor of uint8 was given"),
        (torch.zeros(2, 3, 12, 12), r"given a tensor of shape \(2, 3, 12, 12\); expected \(n, 1, 12, 12\)"),
        (torch.zeros(12, 12), r"given a tensor of shape \(12, 12\)"),
        (np.zeros((2, 1, 12, 12), np.float32), "a float array of shape"),
    ],
)
def test_what_cannot_be_an_input_is_refused(model: Classifier, images, message: str):
    with pytest.raises(OpsinError, match=message):
        model.inputs(images)


def test_a_size_that_the_network_cannot_take_is_explained(model: Classifier):
    with pytest.raises(
        OpsinError, match=r"cannot take an input of shape \(1, 1, 40, 40\): .*expected \(n, 1, 12, 12\)"
    ) as caught:
        model.logits(torch.zeros(1, 1, 40, 40))
    assert "\n" not in str(caught.value)


def test_a_network_whose_layers_do_not_fit_is_not_said_to_expect_what_it_got():
    broken = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(7, 2))
    model = Classifier(broken, preprocess=Preprocess(mode="L", height=12, width=12, mean=(0.5,), std=(0.5,)))
    with pytest.raises(OpsinError, match=r"its own size, so its layers do not fit .*: see flow in opsin studio$"):
        model.logits(torch.zeros(1, 1, 12, 12))
    with pytest.raises(OpsinError, match=r"expected \(n, 1, 12, 12\)$"):
        model.logits(torch.zeros(1, 1, 14, 14))


def test_classes_are_checked_against_the_answer():
    with pytest.raises(OpsinError, match="answers with 4 columns, but 2 classes were named"):
        Classifier(Tiny(), classes=["a", "b"]).logits(torch.zeros(1, 3, 2, 2))


def test_without_names_classes_are_called_by_their_numbers():
    model = Classifier(Tiny())
    assert model.classes is None
    model.logits(torch.zeros(1, 3, 2, 2))
    assert model.classes == ("0", "1", "2", "3")


@settings(deadline=None, max_examples=30)
@given(images=st.integers(0, 12), batch_size=st.integers(1, 13))
def test_batching_changes_nothing(images: int, batch_size: int):
    model = build_model("simple_cnn", 3, 1, 12, seed=0)
    x = torch.randn(images, 1, 12, 12, generator=torch.Generator().manual_seed(images))
    with torch.no_grad():
        expected = model.module.eval()(x)
    logits = model.logits(x, batch_size)
    assert logits.shape == (images, 3)
    torch.testing.assert_close(logits, expected)


def test_modes_gradients_and_hooks_are_as_before():
    module = Tiny().train()
    module.fc.eval()
    module.fc.weight.requires_grad_(False)
    model = Classifier(module, classes=list("abcd"))
    x = torch.randn(3, 3, 4, 4, requires_grad=True)
    assert torch.equal(model.logits(x), model.logits(x))
    assert (module.training, module.dropout.training, module.fc.training) == (True, True, False)
    assert (module.fc.weight.requires_grad, module.fc.bias.requires_grad) == (False, True)
    assert torch.is_grad_enabled()
    assert not model.logits(x).requires_grad
    assert not any(part._forward_hooks for part in module.modules())


def test_modes_return_also_after_an_error():
    module = Tiny().train()

    def fail() -> None:
        with evaluating(module):
            assert not module.dropout.training
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert module.dropout.training


def test_a_network_that_keeps_something_can_be_trained_after_it_answered():
    class Keeper(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(3, 2)
            self.kept = None

        def forward(self, x):
            if self.kept is None:
                self.kept = torch.arange(3.0) * 2
            return self.fc(x.mean((2, 3)) * self.kept)

    module = Keeper()
    Classifier(module, classes=["a", "b"]).logits(torch.ones(1, 3, 2, 2))
    x = torch.ones(1, 3, 2, 2, requires_grad=True)
    module(x).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("answer", [lambda y: {"logits": y}, lambda y: SimpleNamespace(logits=y)])
def test_answers_that_carry_logits_are_read(answer):
    assert Classifier(Tiny(answer), classes=list("abcd")).logits(torch.zeros(2, 3, 2, 2)).shape == (2, 4)


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (lambda y: (y, y), "tuple"),
        (lambda y: y[:1], r"shape \(1, 4\)"),
        (lambda y: y[:, :, None], r"shape \(2, 4, 1\)"),
        (lambda y: {"out": y}, "NoneType"),
    ],
)
def test_answers_that_are_no_logits_are_refused(answer, found: str):
    with pytest.raises(OpsinError, match=f"answered with {found}; expected logits of shape"):
        Classifier(Tiny(answer), classes=list("abcd")).logits(torch.zeros(2, 3, 2, 2))


def test_wrappers_give_the_same_answer(model: Classifier):
    x = torch.randn(5, 1, 12, 12)
    expected = model.logits(x)
    parallel = Classifier(nn.DataParallel(model.module), model.classes, model.preprocess)
    torch.testing.assert_close(parallel.logits(x), expected)
    compiled = Classifier(torch.compile(model.module.train(), backend="eager"), model.classes, model.preprocess)
    torch.testing.assert_close(compiled.logits(x), expected)
    assert model.module.training
    assert compiled.label == parallel.label == "SimpleCNN"


def test_a_half_precision_network_is_given_its_own_type(model: Classifier):
    x = torch.randn(2, 1, 12, 12)
    expected = model.logits(x)
    model.module.to(torch.bfloat16)
    logits = model.logits(x)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, atol=0.05, rtol=0.05)


def test_a_module_without_parameters_works():
    class Means(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    model = Classifier(Means(), classes=list("abc"))
    assert model.device == torch.device("cpu")
    assert model.channels is None
    assert torch.equal(model.logits(torch.ones(2, 3, 4, 4)), torch.ones(2, 3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("resnet18",), "given a str; expected a torch.nn.Module"),
        ((nn.Flatten(), "cat"), "classes was given as 'cat'"),
        ((nn.Flatten(), ["a", "a"]), "hold equal ones"),
    ],
)
def test_mistakes_in_wrapping_are_refused(arguments: tuple, message: str):
    with pytest.raises(OpsinError, match=message):
        Classifier(*arguments)


def test_a_batch_size_below_one_is_refused(model: Classifier):
    with pytest.raises(OpsinError, match="batch_size was given as 0"):
        model.logits(torch.zeros(1, 1, 12, 12), 0)


def test_architecture_is_plain_and_complete(model: Classifier):
    assert model.architecture() == {
        "name": "simple_cnn",
        "type": "SimpleCNN",
        "classes": 3,
        "channels": 1,
        "size": [12, 12],
        "pretrained": False,
        "options": {},
    }
    wrapped = Classifier(Tiny(), preprocess=Preprocess.simple(channels=3, size=8)).architecture()
    assert (wrapped["name"], wrapped["type"], wrapped["channels"]) == (None, "Tiny", 3)


def test_it_says_what_it_is(model: Classifier):
    assert repr(model) == "Classifier(simple_cnn, classes=3, input=(n, 1, 12, 12))"


def test_saving_under_another_suffix_is_refused(model: Classifier, tmp_path):
    with pytest.raises(OpsinError, match=r"does not end in \.safetensors"):
        model.save(tmp_path / "model.pth")
