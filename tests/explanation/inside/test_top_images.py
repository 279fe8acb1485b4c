"""Top images: equal to keeping all activations, each image once, exact crops, and selectivity beyond chance."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

import opsin
from opsin.data.dataset import Dataset
from opsin.data.preprocess import Preprocess
from opsin.errors import CheckFailed, OpsinError
from opsin.explanation.inside import stream
from opsin.explanation.inside.top_images import top_images as public
from opsin.records import TopImages

SIZE = 12
CLASSES = ("row", "column")


class Bars(nn.Module):
    """Channel 0 answers to edges between rows, 1 to edges between columns, 2 to brightness, 3 never, 4 to brightness
    nearby."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 5, 3, padding=1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(5, 2)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.bias.zero_()
            self.conv.weight[0, 0, :, 1] = torch.tensor([1.0, 0, -1])
            self.conv.weight[1, 0, 1, :] = torch.tensor([1.0, 0, -1])
            self.conv.weight[2, 0, 1, 1] = 1
            self.conv.bias[3] = -5
            self.conv.weight[4, 0, 0, 0] = 1

    def forward(self, x):
        return self.head(self.relu(self.conv(x)).mean(dim=(2, 3)))


@pytest.fixture(scope="module")
def model():
    preprocess = Preprocess(mode="L", height=SIZE, width=SIZE, mean=(0.0,), std=(1.0,))
    return opsin.Classifier(Bars(), classes=CLASSES, preprocess=preprocess)


@pytest.fixture(scope="module")
def data():
    """A bright row or column of six pixels on faint noise. The last picture is a copy of the first."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 20, (61, SIZE, SIZE)).astype(np.uint8)
    labels = np.arange(61) % 2
    for at in range(61):
        line = rng.integers(2, SIZE - 2)
        images[at][(line, slice(3, 9)) if labels[at] == 0 else (slice(3, 9), line)] = 200
    images[60] = images[0]
    return Dataset.from_arrays(images, labels.tolist(), CLASSES, seed=0)


@pytest.fixture(scope="module")
def found(model, data):
    return public(model, data, "relu", top=5)


def slow_twin(model: opsin.Classifier, data: Dataset) -> np.ndarray:
    """float32 `(n, c, h, w)`: all activations at once, of the unique images."""
    pixels = np.asarray(data.pixels(model.preprocess))[:60]
    with torch.no_grad():
        return F.relu(model.module.conv(torch.from_numpy(pixels[..., 0] / 255)[:, None].float())).numpy()


def test_the_leaders_are_those_among_all_activations(found, model, data):
    maps = slow_twin(model, data)
    peaks = maps.max(axis=(2, 3))
    for channel in (0, 1, 2, 4):
        order = np.argsort(-peaks[:, channel], kind="stable")[:5]
        assert [found.names[at] for at in found.positions[channel]] == [data.names[at] for at in order]
        np.testing.assert_allclose(found.values[channel], peaks[order, channel], atol=1e-6)
        for at, (row, column) in zip(order, found.places[channel], strict=True):
            assert maps[at, channel, row, column] == pytest.approx(peaks[at, channel], abs=1e-6)


def test_batches_of_any_size_find_the_same(found, model, data, monkeypatch):
    monkeypatch.setattr(stream, "batch_size", lambda _: 7)
    again = public(model, data, "relu", top=5)
    np.testing.assert_array_equal(found.positions, again.positions)
    np.testing.assert_array_equal(found.places, again.places)
    np.testing.assert_allclose(found.class_means, again.class_means, atol=1e-9)


def test_an_exact_copy_counts_once_and_an_image_is_listed_once_per_channel(found):
    assert found.images == 60
    assert found.copies == 1
    for row in found.positions:
        assert len(set(row.tolist())) == len(row)


def test_boxes_and_crops_hold_what_the_unit_saw(found, model, data):
    pixels = np.asarray(data.pixels(model.preprocess))[..., 0]
    assert found.field == "structural"
    assert found.crops.shape == (5, 5, 3, 3, 3)
    names = list(data.names)
    for row in (0, 1, 2, 4):
        for at in range(5):
            top, left, bottom, right = found.boxes[row, at]
            y, x = found.places[row, at]
            assert (top, left, bottom, right) == (max(y - 1, 0), max(x - 1, 0), min(y + 2, SIZE), min(x + 2, SIZE))
            inside = found.inside[row, at]
            crop = found.crops[row, at, inside[0] : inside[2], inside[1] : inside[3]]
            image = names.index(found.names[found.positions[row, at]])
            np.testing.assert_array_equal(crop[..., 0], pixels[image, top:bottom, left:right])
            # the unit is in the middle, also at a border
            assert (inside[0], inside[1]) == (top - (y - 1), left - (x - 1))
            np.testing.assert_array_equal(found.originals[row, at], found.boxes[row, at])


def test_boxes_in_originals_follow_the_preprocess():
    """A picture of 48 x 24 pixels, of which the middle square goes in, two to one."""
    rng = np.random.default_rng(1)
    pictures = [Image.fromarray(rng.integers(0, 255, (48, 24), dtype=np.uint8)) for _ in range(3)]
    preprocess = Preprocess(mode="L", height=SIZE, width=SIZE, mean=(0.0,), std=(1.0,))
    found = public(opsin.Classifier(Bars(), CLASSES, preprocess), pictures, "relu", channels=2, top=2)
    expected = found.boxes[0] * 2 + np.array([12, 0, 12, 0])
    np.testing.assert_allclose(found.originals[0], expected)
    assert found.selectivity is None
    assert any("no labels" in note for note in found.notes)


def test_the_dead_channel_is_listed(found):
    assert found.dead.tolist() == [3]
    assert "dead" in found.describe(3)
    assert "1 dead: 3" in found.text()


def test_selectivity_is_the_index_of_the_paper(found, model, data):
    maps = slow_twin(model, data).mean(axis=(2, 3), dtype=np.float64)
    for channel in range(5):
        means = np.array([maps[data.labels[:60] == label, channel].mean() for label in range(2)])
        largest, rest = means.max(), means.min()
        expected = (largest - rest) / (largest + rest) if largest + rest else 0
        assert found.selectivity[channel] == pytest.approx(expected, abs=1e-5)
        np.testing.assert_allclose(found.class_means[channel], means, atol=1e-6)


def test_selective_is_said_where_chance_does_not_explain_it(found):
    assert found.selective.tolist() == [True, True, False, False, False]
    assert found.preferred[:2].tolist() == [0, 1]
    assert found.selectivity[:2].min() > 0.2
    assert "selective for row" in found.describe(0)
    assert "beyond chance" in found.describe(4)


def test_labels_that_mean_nothing_make_no_channel_selective(model, data):
    """The planted fault of a reader: some class always has the largest mean."""
    rng = np.random.default_rng(0)
    said = 0
    for seed in range(10):
        labels = rng.permutation(data.labels)
        shuffled = Dataset.from_arrays(data.pictures, labels.tolist(), CLASSES, seed=0)
        found = public(model, shuffled, "relu", top=1, seed=seed)
        assert found.selectivity.max() > 0
        said += int(found.selective.any())
    assert said <= 2  # 0.05 of ten are expected


def test_one_class_alone_has_no_selectivity(model, data):
    images = np.asarray(data.pictures)
    pair = Dataset.from_arrays(images[:20], ["a"] * 19 + ["b"], splits=["train"] * 19 + ["test"])
    found = public(model, pair.train, "relu", top=1)
    assert found.selectivity is None
    assert any("fewer than two classes" in note for note in found.notes)


def test_some_channels_only(found, model, data):
    some = public(model, data, "relu", channels=[4, 1], top=5)
    assert some.channels.tolist() == [1, 4]
    np.testing.assert_array_equal(some.places, found.places[[1, 4]])
    assert len(public(model, data, "relu", channels=[0], top=99).names) == 60


def test_tokens_are_places():
    vit = opsin.build_model("vit_small", classes=3, channels=1, size=16, seed=0)
    images = np.random.default_rng(0).integers(0, 255, (6, 16, 16), dtype=np.uint8)
    found = public(vit, list(images), "blocks.1", channels=[0], top=2)
    assert found.grid == (4, 4)
    assert found.boxes[0, 0].tolist() == [0, 0, 16, 16]
    patches = public(vit, list(images), "patches", channels=[0], top=2)
    y, x = patches.places[0, 0]
    assert patches.boxes[0, 0].tolist() == [4 * y, 4 * x, 4 * y + 4, 4 * x + 4]


def test_float_tensors_work_without_a_preprocess():
    images = torch.randn(4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    found = public(Bars(), torch.cat([images, images[:1]]), "relu", top=2)
    assert found.images == 4
    assert found.originals is None


def test_records_survive_the_disk(found, tmp_path):
    found.save(tmp_path / "top.safetensors")
    loaded = TopImages.load(tmp_path / "top.safetensors")
    assert loaded.text() == found.text()
    assert json.dumps(loaded.as_dict()) == json.dumps(found.as_dict())
    np.testing.assert_array_equal(loaded.crops, found.crops)
    with pytest.raises(OpsinError, match="holds no FeatureSpace"):
        opsin.records.FeatureSpace.load(tmp_path / "top.safetensors")


def test_crops_of_whole_images_are_kept_of_few_channels(model, data, monkeypatch):
    from opsin.explanation.inside import crops

    monkeypatch.setattr(crops, "MOST_BYTES", 2 * 5 * 3 * 3 * 3)
    found = public(model, data, "relu", top=5)
    assert len(found.crops) == 2
    assert "crops of the first 2 of 5 channels are kept" in found.notes


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"layer": "rleu"}, "no layer 'rleu'; the nearest names are relu"),
        ({"layer": "head"}, r"shape \(1, 2\) and no places of the picture"),
        ({"channels": [5]}, "from 0 to 4 of relu"),
        ({"channels": []}, "from 0 to 4 of relu"),
        ({"top": 0}, "at least 1 of each"),
        ({"data": []}, "no images were given"),
    ],
)
def test_bad_input_is_one_clear_line(model, data, settings, said):
    with pytest.raises(OpsinError, match=said):
        public(**{"model": model, "data": data, "layer": "relu", **settings})


def test_unreadable_images_are_counted_and_the_rest_is_looked_at(model, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    Image.fromarray(np.full((SIZE, SIZE), 90, np.uint8)).save(tmp_path / "good.png")
    found = public(model, [tmp_path / "broken.png", tmp_path / "good.png"], "relu", top=3)
    assert (found.images, found.unreadable) == (1, 1)
    with pytest.raises(OpsinError, match="none of the 1 images can be read"):
        public(model, [tmp_path / "broken.png"], "relu")


def test_damaged_weights_are_found_out(data):
    net = Bars()
    nn.init.constant_(net.conv.bias, 1e38)
    nn.init.constant_(net.conv.weight, 3e38)
    preprocess = Preprocess(mode="L", height=SIZE, width=SIZE, mean=(0.0,), std=(0.01,))
    with pytest.raises((CheckFailed, OpsinError), match=r"not finite|gives NaN"):
        public(opsin.Classifier(net, CLASSES, preprocess), data, "relu")
