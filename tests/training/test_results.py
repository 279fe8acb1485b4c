"""What is written after training: answers per image, and scores that decide nothing."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from opsin.data.dataset import Dataset
from opsin.data.preprocess import Preprocess
from opsin.files import write_json
from opsin.inference.evaluate import evaluate
from opsin.models.classifier import Classifier
from opsin.models.load import load_model
from opsin.records import Scores
from opsin.training.recipe import Recipe
from opsin.training.results import write_results
from opsin.training.view import Quiet


class Said(Quiet):
    def __init__(self):
        self.lines = []

    def message(self, text):
        self.lines.append(text)


@pytest.fixture
def data():
    """Two classes of noise, told apart by their brightness; the last test image is a copy of the first training one."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    pixels = (rng.integers(0, 120, (120, 9, 9)) + 60 * labels[:, None, None]).astype(np.uint8)
    pixels[119], labels[119] = pixels[0], labels[0]
    splits = ["train"] * 60 + ["validation"] * 30 + ["test"] * 30
    return Dataset.from_arrays(pixels, labels, classes=("dim", "bright"), splits=splits)


@pytest.fixture
def model(data):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[-0.02], [0.02]]).expand(2, 64))
        network[1].bias.copy_(torch.tensor([-0.4, 0.4]))
    return Classifier(network, data.classes, Preprocess.simple(1, 8))


def write(model, data, out, view=None):
    described = {"classes": list(model.classes), "preprocess": model.preprocess.model_dump(mode="json")}
    write_json(out / "run.json", {**described, "model": model.architecture()})
    data.write_splits(out / "splits.parquet")
    model.save(out / "weights" / "best.safetensors")
    write_results(model, data, Recipe(seed=3), out, view or Quiet())
    return out


def test_answers_of_validation_and_test_are_written(model, data, tmp_path):
    table = pq.read_table(write(model, data, tmp_path / "run") / "predictions.parquet")
    assert table.column_names == ["split", "hash", "index", "label", "probabilities", "loss"]
    assert table["split"].to_pylist() == ["validation"] * 30 + ["test"] * 30
    assert table["index"].to_pylist() == list(range(60, 120))
    assert table["hash"].to_pylist() == list(data.hashes[60:])
    assert table["label"].to_pylist() == data.labels[60:].tolist()
    probabilities = np.array(table["probabilities"].to_pylist())
    inputs = model.preprocess.normalise(data.pixels(model.preprocess)[60:])
    np.testing.assert_allclose(probabilities, model.logits(inputs).softmax(dim=1), atol=1e-6)
    loss = nn.functional.cross_entropy(model.logits(inputs), torch.tensor(data.labels[60:]), reduction="none")
    np.testing.assert_allclose(table["loss"].to_numpy(), loss, atol=1e-5)


def test_the_scores_are_those_of_the_test_images_and_of_the_loaded_model(model, data, tmp_path):
    out = write(model, data, tmp_path / "run")
    scores = Scores.load(out / "scores.json")
    assert (scores.images, scores.excluded) == (29, 1)  # the copy of a training image is no test
    assert 0.6 < scores.accuracy <= 1
    assert len(scores.baselines) == 3
    assert scores.thresholds
    assert not any("not known which images" in note for note in scores.notes)
    loaded = load_model(out, module=nn.Sequential(nn.Flatten(), nn.Linear(64, 2)))
    again = evaluate(loaded, data.test, seed=3)
    assert again.as_dict() == scores.as_dict()
    assert evaluate(loaded, data, seed=3).accuracy == scores.accuracy


def test_the_best_weights_answer_and_not_the_last(model, data, tmp_path):
    best = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}
    out = write(model, data, tmp_path / "run")
    expected = Scores.load(out / "scores.json").as_dict()
    with torch.no_grad():
        model.module[1].weight.neg_()
    write_results(model, data, Recipe(seed=3), out, Quiet())
    assert Scores.load(out / "scores.json").as_dict() == expected
    assert all(torch.equal(tensor, best[name]) for name, tensor in model.module.state_dict().items())
    assert model.origin == out


def test_without_test_images_there_are_answers_and_no_scores(model, data, tmp_path):
    splits = ["train"] * 60 + ["validation"] * 60
    untested = Dataset.from_arrays(data.pictures, data.labels, classes=data.classes, splits=splits)
    view = Said()
    out = write(model, untested, tmp_path / "run", view)
    assert not (out / "scores.json").exists()
    assert view.lines == ["no test images: no scores; see the validation accuracy above"]
    assert set(pq.read_table(out / "predictions.parquet")["split"].to_pylist()) == {"validation"}


def test_without_validation_images_there_is_no_temperature(model, data, tmp_path):
    data.splits = np.where(data.splits == "validation", "train", data.splits)
    scores = Scores.load(write(model, data, tmp_path / "run") / "scores.json")
    assert scores.temperature is None
    assert any(note.startswith("no temperature and no thresholds") for note in scores.notes)
