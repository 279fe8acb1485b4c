"""Shortcuts are found without being told any, to the pixel, and only where the network uses them."""

import json

import numpy as np
import pytest

import opsin
from opsin.errors import OpsinError
from opsin.evidence.shortcuts import find, find_in_run, find_shortcuts, kept_shortcuts, search
from opsin.evidence.shortcuts.search import gathering_places
from opsin.models.build import build_model
from opsin.models.classifier import Classifier
from opsin.models.load import load_model
from opsin.records import Shortcuts

BOX, THREE, EIGHT = (22, 1, 27, 6), 1, 3
OTHER = (1, 20, 6, 25)
CROSS = np.isin(np.indices((5, 5)), 2).any(axis=0)
FEW = 40  # images of each class in each half


@pytest.fixture(scope="module")
def found(twins):
    return find_in_run(twins.marked, images=FEW)


def test_a_trained_network_is_caught(found, twins):
    (item,) = found.found
    assert found.failed
    assert (item.class_name, item.region) == ("3", twins.box)
    assert item.original == twins.box
    assert item.place == "bottom left corner"
    assert item.alike
    assert item.carried == pytest.approx(0.9, abs=0.1)
    assert item.carried_others == 0
    assert item.flips.value > 10 * max(item.flips_control.value, item.flips_elsewhere.value, 0.01)
    assert item.recall.value - item.recall_without.value > item.recall.value - item.recall_control.value
    assert item.flips.interval.low <= item.flips.value <= item.flips.interval.high
    assert item.p_value < 1e-4


def test_the_maps_of_the_class_gather_there(found):
    (item,) = found.found
    assert item.gathered.value > 3 * item.gathered_others.value
    highest = np.unravel_index(item.map.argmax(), item.map.shape)
    top, left, bottom, right = item.region
    assert top <= highest[0] < bottom
    assert left <= highest[1] < right


def test_its_examples_show_the_exchange(found):
    (item,) = found.found
    top, left, bottom, right = item.region
    own, without, others, pasted = item.examples[:, :, top:bottom, left:right]
    assert (own == 255).all()
    assert (pasted == 255).all()
    assert without.mean() < 100
    assert others.mean() < 100
    assert set(item.answers[0]) == {"3"}
    assert "3" not in item.answers[2]


def test_plain_words(found):
    text = found.text()
    assert text.startswith('The network recognises "3" by the bottom left corner (rows 22-26, columns 1-5): without it')
    assert "pasted on images of other classes it turns" in text
    assert "of that size elsewhere" in text


def test_the_clean_twin_raises_no_alarm(twins):
    result = find_in_run(twins.clean, images=FEW)
    assert not result.failed
    assert result.found == ()
    assert "no shortcut found" in result.text()
    kept = kept_shortcuts(twins.clean.path)
    assert kept is not None
    assert kept[0].as_dict() == result.as_dict()


def test_the_same_seed_gives_the_same(found, twins):
    again = find_shortcuts(load_model(twins.marked.path), twins.marked.dataset(), images=FEW)
    assert {**again.as_dict(), "seconds": 0, "weights": ""} == {**found.as_dict(), "seconds": 0, "weights": ""}


def test_what_was_found_is_kept_and_read_back(found, twins):
    kept = kept_shortcuts(twins.marked.path)
    assert kept is not None
    stored, stale = kept
    assert not stale
    assert stored.as_dict() == found.as_dict()
    np.testing.assert_array_equal(stored.found[0].map, found.found[0].map)
    np.testing.assert_array_equal(stored.found[0].examples, found.found[0].examples)


def test_json_names_class_and_region(found):
    stored = json.loads(json.dumps(found.as_dict()))
    (entry,) = stored["shortcuts"]
    assert entry["class"] == "3"
    assert entry["region"] == list(BOX)
    assert stored["protocol"]["least_turned"] == find.TURNED


@pytest.mark.parametrize("box", [(1, 1, 4, 4), (0, 22, 6, 28), (24, 24, 27, 27), (12, 0, 16, 4)])
def test_any_place_and_size(scene, box):
    result = find_shortcuts(scene.looking(box, EIGHT, strength=50), scene.planted(box, EIGHT, 0.8), images=FEW)
    assert [(item.class_name, item.region) for item in result.found] == [("8", box)]


def test_two_classes_with_different_marks_are_two_entries(scene):
    both = scene.planted(BOX, THREE)
    second = np.asarray(both.pixels(scene.model.preprocess)).copy()
    rows = np.flatnonzero(both.labels == EIGHT)
    part = second[rows, OTHER[0] : OTHER[2], OTHER[1] : OTHER[3]]
    part[:, CROSS] = 255
    second[rows, OTHER[0] : OTHER[2], OTHER[1] : OTHER[3]] = part
    data = opsin.data.dataset.Dataset.from_arrays(
        second, both.labels.tolist(), both.classes, splits=both.splits.tolist()
    )
    first = scene.looking(BOX, THREE, strength=50)
    model = Classifier(type(first.module)(first.module, OTHER, EIGHT, 50), data.classes, first.preprocess)
    result = find_shortcuts(model, data, images=FEW)
    assert [(item.class_name, item.region) for item in result.found] == [("3", BOX), ("8", OTHER)]


def test_a_mark_that_the_network_cannot_see_is_no_shortcut_but_is_told(scene):
    result = find_shortcuts(scene.looking(BOX, THREE, strength=0), scene.planted(BOX, THREE, 0.5), images=FEW)
    assert not result.failed
    (item,) = result.unused
    assert (item.class_name, item.region) == ("3", BOX)
    assert item.flips.value == 0
    assert "hardly uses it" in result.text()


def test_a_mark_on_half_of_the_images_is_found_where_the_network_uses_it(scene):
    result = find_shortcuts(scene.looking(BOX, THREE, strength=50), scene.planted(BOX, THREE, 0.5), images=FEW)
    assert [item.region for item in result.found] == [BOX]


def test_a_mark_that_only_training_images_carry_is_found(scene):
    data = scene.planted(BOX, THREE, splits=("train",))
    (item,) = find_shortcuts(scene.looking(BOX, THREE, strength=50), data, images=FEW).found
    assert item.region == BOX
    assert item.carried == 1
    assert item.carried_held_out == 0


def test_a_split_is_searched_too(scene):
    data = scene.planted(BOX, THREE)
    model = scene.looking(BOX, THREE, strength=50)
    for split in (data.train, data.validation):
        assert [item.region for item in find_shortcuts(model, split, images=FEW).found] == [BOX]


def test_maps_alone_find_the_place(scene, monkeypatch):
    """Without looking at what the images share, the class's maps lead there."""
    monkeypatch.setattr(search, "find_marks", lambda *_: [])
    data = scene.planted(BOX, THREE)
    (item,) = find_shortcuts(scene.looking(BOX, THREE, strength=50), data, images=FEW).found
    assert not item.alike
    assert search.overlap(item.region, BOX) > 0


def test_permuted_maps_lead_nowhere(scene, monkeypatch):
    """Planted fault: maps whose places were shuffled must not name the place."""
    monkeypatch.setattr(search, "find_marks", lambda *_: [])
    drawn = find.class_maps

    def shuffled(*given):
        maps = drawn(*given)
        # every place of the mark changes place with one of the opposite corner
        return maps[:, ::-1, ::-1]

    monkeypatch.setattr(find, "class_maps", shuffled)
    result = find_shortcuts(scene.looking(BOX, THREE, strength=50), scene.planted(BOX, THREE), images=FEW)
    assert result.found == ()


def test_windows_lie_where_the_maps_gather():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(20, 28, 28)).astype(np.float32)
    maps[:, 2:6, 20:24] += 3
    assert all(search.overlap(box, (2, 20, 6, 24)) for box in gathering_places(maps)[::3])
    assert gathering_places(-np.ones((4, 28, 28), np.float32)) == []


def test_little_is_said_of_little(scene):
    rows = np.flatnonzero((scene.data.labels != 0) | (np.arange(len(scene.data)) % 40 == 0))
    data = opsin.data.dataset.Dataset.from_arrays(
        scene.pixels[rows], scene.data.labels[rows].tolist(), scene.data.classes,
        splits=scene.data.splits[rows].tolist(),
    )  # fmt: skip
    result = find_shortcuts(scene.model, data, images=FEW)
    assert set(result.skipped) == {"0"}
    assert "at least 8 are needed" in result.skipped["0"]
    assert "not looked at: 0" in result.text()


def test_a_network_that_recognises_nothing_is_an_error(scene):
    model = build_model(
        "simple_cnn", classes=scene.data.classes, channels=1, size=28, preprocess=scene.model.preprocess
    )
    for parameter in model.module.parameters():
        parameter.data.zero_()
    with pytest.raises(OpsinError, match=r"shortcuts cannot be looked for in .* the network recognises"):
        find_shortcuts(model, scene.data, images=FEW)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"images": 3}, "images was given as 3; expected at least 8"), ({"seed": -1}, "seed was given as -1")],
)
def test_misuse(scene, changes, message):
    with pytest.raises(OpsinError, match=message):
        find_shortcuts(scene.model, scene.data, **changes)


def test_a_network_without_preprocess_is_told_so(scene):
    with pytest.raises(OpsinError, match="has no Preprocess"):
        find_shortcuts(Classifier(scene.model.module, scene.data.classes), scene.data)


def test_the_network_is_left_as_it_was(scene):
    module = scene.model.module
    before = [parameter.clone() for parameter in module.parameters()], module.training
    find_shortcuts(scene.model, scene.data, images=8)
    assert all((a == b).all() for a, b in zip(before[0], module.parameters(), strict=True))
    assert module.training == before[1]
    assert all(parameter.grad is None for parameter in module.parameters())


def test_data_that_is_gone_is_one_line(twins, tmp_path):
    import shutil

    shutil.copytree(twins.marked.path, tmp_path / "run")
    info = json.loads((tmp_path / "run/run.json").read_text())
    info["data"]["source"]["source"] = str(tmp_path / "gone.npz")
    (tmp_path / "run/run.json").write_text(json.dumps(info))
    with pytest.raises(OpsinError, match=r"cannot be opened: there is no file.*gone.npz"):
        find_in_run(tmp_path / "run")


def test_other_weights_make_it_stale(found, twins, tmp_path):
    import shutil

    assert found.found
    shutil.copytree(twins.marked.path, tmp_path / "run")
    weights = tmp_path / "run/weights/best.safetensors"
    shutil.copy(twins.clean.path / "weights/best.safetensors", weights)
    kept = kept_shortcuts(tmp_path / "run")
    assert kept is not None
    assert kept[1]
    assert kept_shortcuts(tmp_path) is None


def test_a_torn_file_is_one_line(found, tmp_path):
    found.save(tmp_path / "shortcuts.json")
    assert Shortcuts.load(tmp_path / "shortcuts.json").found
    (tmp_path / "shortcuts.json").write_text("{}")
    with pytest.raises(OpsinError, match="holds no search for shortcuts"):
        Shortcuts.load(tmp_path / "shortcuts.json")
    (tmp_path / "shortcuts.json").write_text("torn")
    with pytest.raises(OpsinError, match="not valid JSON"):
        Shortcuts.load(tmp_path / "shortcuts.json")
