"""Predicting from every kind of images, in bounded batches, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from opsin.data.preprocess import Preprocess
from opsin.errors import CheckFailed, OpsinError
from opsin.inference import predict as module
from opsin.inference.predict import predict
from opsin.models.classifier import Classifier

CLASSES = ("dark", "grey", "bright")


class Brightness(nn.Module):
    """Answers by the mean of the input: dark, grey or bright. Notes the sizes of its batches."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(40.0))
        self.batches = []

    def forward(self, x):
        self.batches.append(len(x))
        mean = x.flatten(1).mean(dim=1, keepdim=True)
        return -self.scale * (mean - torch.tensor([-1.0, 0.0, 1.0])) ** 2


@pytest.fixture
def model():
    return Classifier(Brightness(), CLASSES, Preprocess.simple(1, 8))


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures, of which the third cannot be read."""
    for i in range(12):
        Image.new("L", (10, 10), (0, 128, 255)[i % 3]).save(tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_bytes(b"")
    return tmp_path


def test_a_folder_goes_through_in_batches_and_in_order(model, folder, monkeypatch):
    monkeypatch.setattr(module, "batch_size", lambda _: 5)
    told = []
    answer = predict(model, folder, progress=lambda *work: told.append(work))
    assert model.module.batches == [4, 5, 2]
    assert told == [("predicting", 5, 12), ("predicting", 10, 12), ("predicting", 12, 12)]
    assert [name.rpartition("/")[2] for name in answer.names] == [f"{i}.png" for i in range(12) if i != 2]
    assert answer.labels == tuple(CLASSES[i % 3] for i in range(12) if i != 2)
    assert [item.path.rpartition("/")[2] for item in answer.unreadable] == ["2.png"]
    whole = model.logits(model.inputs(folder)[0]).softmax(dim=1)
    np.testing.assert_allclose(answer.probabilities, whole.numpy(), atol=1e-6)


def test_probabilities_are_float32_and_sum_to_one(model, folder):
    answer = predict(model, folder)
    assert answer.probabilities.dtype == np.float32
    np.testing.assert_allclose(answer.probabilities.sum(axis=1), 1, atol=1e-6)
    large = predict(model, torch.full((2, 1, 8, 8), 1e4))
    np.testing.assert_array_equal(large.probabilities, [[0, 0, 1], [0, 0, 1]])


@pytest.mark.parametrize("kind", ["path", "text", "list", "pil", "array", "arrays", "tensor"])
def test_one_picture_of_every_kind(model, folder, kind):
    path = folder / "5.png"
    pixels = np.full((10, 10), 255, np.uint8)
    given = {
        "path": path,
        "text": str(path),
        "list": [path],
        "pil": Image.fromarray(pixels),
        "array": pixels,
        "arrays": pixels[None, ..., None],
        "tensor": torch.ones(1, 8, 8),
    }[kind]
    answer = predict(model, given)
    assert len(answer) == 1
    assert answer.labels == ("bright",)
    assert answer.confidence[0] > 0.99


def test_pictures_without_a_name_are_numbered_through_all_batches(model, monkeypatch):
    monkeypatch.setattr(module, "batch_size", lambda _: 3)
    answer = predict(model, np.zeros((8, 10, 10, 3), np.uint8))
    assert answer.names == tuple(f"image {i}" for i in range(8))


def test_an_iterator_is_read_bit_by_bit(model, monkeypatch):
    monkeypatch.setattr(module, "batch_size", lambda _: 2)
    given = 0

    def pictures():
        nonlocal given
        for value in (0, 128, 255, 0, 128):
            # no more than one batch was drawn ahead of what the network has answered
            assert given - sum(model.module.batches) < 2
            given += 1
            yield Image.new("L", (4, 4), value)

    assert predict(model, pictures()).labels == ("dark", "grey", "bright", "dark", "grey")


def test_nothing_to_predict_is_an_empty_answer(model, tmp_path):
    answer = predict(model, [])
    assert answer.probabilities.shape == (0, 3)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    answer = predict(model, tmp_path / "broken.png")
    assert (len(answer), len(answer.unreadable)) == (0, 1)


def test_a_missing_file_is_refused_before_anything_runs(model, folder, monkeypatch):
    monkeypatch.setattr(module, "batch_size", lambda _: 1)
    with pytest.raises(OpsinError, match="there is no file or folder"):
        predict(model, [folder / "0.png", folder / "nowhere.png"])
    assert model.module.batches == []


def test_answers_that_are_no_numbers_are_refused(model, folder):
    with torch.no_grad():
        model.module.scale.fill_(float("nan"))
    with pytest.raises(CheckFailed, match=r"not finite for 11 of 11 images.*use an earlier file"):
        predict(model, folder)


def test_a_model_without_a_preprocess_takes_tensors_only(folder):
    bare = Classifier(Brightness(), CLASSES)
    assert predict(bare, torch.zeros(2, 1, 8, 8)).labels == ("grey", "grey")
    with pytest.raises(OpsinError, match="has no Preprocess"):
        predict(bare, folder)


def test_a_network_that_never_said_its_classes_gets_numbers():
    answer = predict(Classifier(Brightness(), preprocess=Preprocess.simple(1, 8)), np.zeros((9, 9), np.uint8))
    assert answer.classes == ("0", "1", "2")


def test_a_saved_model_answers_as_before(tmp_path, folder):
    from opsin.models.build import build_model

    built = build_model("simple_cnn", classes=CLASSES, channels=1, size=16, seed=0)
    built.save(tmp_path / "model.safetensors")
    for source in (tmp_path / "model.safetensors", str(tmp_path / "model.safetensors")):
        np.testing.assert_array_equal(predict(source, folder).probabilities, predict(built, folder).probabilities)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_thing", "there is no run, file or network no_such_thing; give the path of a run folder"),
        ("nowhere/model.safetensors", "there is no weights file"),
        ("lenet5", "lenet5"),
    ],
)
def test_what_is_no_trained_model_is_refused(folder, name, message):
    with pytest.raises(OpsinError, match=message):
        predict(name, folder)
