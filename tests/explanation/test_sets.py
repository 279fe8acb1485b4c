"""Sets of explanations: right maps, one row each, and nothing lost or repeated whenever the process is killed."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import warnings
import weakref
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import nn

import opsin
from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.explanation import sets
from opsin.explanation.set_folder import ExplanationSet
from opsin.explanation.sets import explain_set
from opsin.files import read_json

IMAGES, SHARD = 14, 4


def network(seed: int = 0) -> opsin.Classifier:
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    module = nn.Sequential(*layers, nn.Linear(8, 3))
    return opsin.Classifier(module.eval(), ("猫", "dog", "cow"), Preprocess.simple(3, 20))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Pictures of several shapes in two folders, one of them torn."""
    rng = np.random.default_rng(3)
    place = tmp_path / "pictures"
    for at in range(IMAGES - 1):
        path = place / "ab"[at % 2] / f"{at}.{'png' if at % 3 else 'jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = rng.integers(0, 256, (6, 5 + at % 4, 3), np.uint8)
        Image.fromarray(coarse).resize((60 + 5 * (at % 4), 50), Image.Resampling.BICUBIC).save(path)
    (place / "b" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    return place


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_set_holds_what_explain_gives(folder, tmp_path):
    model = network()
    methods = ("grad_cam", "saliency")
    found = explain_set(model, folder, tmp_path / "out", methods=methods, shard_size=SHARD)
    table = found.index()
    readable = [path for path in sorted(folder.rglob("*.*")) if path.stem != "torn"]
    assert found.count == len(readable) == IMAGES - 1
    assert [Path(item.path).name for item in found.unreadable] == ["torn.png"]
    assert table.num_rows == 2 * len(readable) + 1
    assert pq.read_table(tmp_path / "out" / "index.parquet").equals(table)
    for method in methods:
        kept = found.explanation(method)
        direct = opsin.explain(model, [folder / name for name in kept.names], method)
        assert isinstance(direct, opsin.Explanation)
        peak = np.abs(direct.maps).max(axis=(1, 2), keepdims=True)
        assert (np.abs(kept.maps - direct.maps) <= peak / 2**11 + 1e-6).all()
        for name in ("inputs", "targets", "geometry"):
            assert np.array_equal(getattr(kept, name), getattr(direct, name)), name
        assert np.allclose(kept.probabilities, direct.probabilities, atol=1e-6)
        assert (kept.layer, kept.classes, kept.display) == (direct.layer, direct.classes, direct.display)
    row = table.to_pylist()[0]
    assert (row["name"], row["class"], row["blank"]) == ("a/0.jpg", model.classes[row["target"]], False)
    assert row["low"] == 0 < row["high"]
    assert found.explanation("grad_cam", 5).names == tuple(
        found.explanation("grad_cam").names[at * 13 // 5] for at in range(5)
    )


def test_overlays_lie_on_the_originals_and_bear_their_names(folder, tmp_path):
    found = explain_set(network(), [folder], tmp_path / "out", shard_size=SHARD)
    rows = [row for row in found.index().to_pylist() if row["unreadable"] is None]
    assert rows[0]["overlay"] == "overlays/grad_cam/a/0.png"
    for row in rows:
        with Image.open(row["path"]) as photo, Image.open(found.path / row["overlay"]) as drawn:
            times = 224 // max(photo.size)
            assert drawn.size == (photo.width * times, photo.height * times)
            if Path(row["path"]).suffix == ".png":
                sides = slice(0, int(row["left"]))
                assert np.array_equal(np.asarray(drawn)[::times, ::times][:, sides], np.asarray(photo)[:, sides])
    quiet = explain_set(network(), [folder], tmp_path / "quiet", overlays=False)
    assert not (quiet.path / "overlays").exists()
    assert set(quiet.index()["overlay"].to_pylist()) == {None}


def test_images_of_one_name_get_overlays_of_their_own(folder, tmp_path):
    Image.new("RGB", (40, 40), (200, 30, 30)).save(folder / "a" / "0.png")
    Image.new("RGB", (40, 40), (30, 200, 30)).save(tmp_path / "0.png")
    found = explain_set(network(), [folder / "a" / "0.jpg", folder / "a" / "0.png", tmp_path / "0.png"], tmp_path / "o")
    assert found.index()["overlay"].to_pylist() == [f"overlays/grad_cam/0{end}.png" for end in ("", "-2", "-3")]
    # a file that was given twice is one image
    again = explain_set(network(), [tmp_path / "0.png", tmp_path / "0.png"], tmp_path / "o2")
    assert again.count == 1


# -- killed and gone on with --

KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_sets
from opsin import files
from opsin.explanation import set_folder, sets

point, shard = sys.argv[1], int(sys.argv[2])
die = lambda: os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
write_maps, write_rows = set_folder.ExplanationSet.write_maps, set_folder.ExplanationSet.write_rows

def maps(self, method, at, values):
    if point == "half a file" and at == shard:
        with files.replacing(self.maps_file(method, at)) as temporary:
            temporary.write_bytes(b"half")
            die()
    write_maps(self, method, at, values)
    if point == "maps" and at == shard:
        die()

def rows(self, at, values):
    if point == "before rows" and at == shard:
        die()
    write_rows(self, at, values)
    if point == "after rows" and at == shard:
        die()

set_folder.ExplanationSet.write_maps, set_folder.ExplanationSet.write_rows = maps, rows
sets.explain_set(
    test_sets.network(), Path(sys.argv[3]), Path(sys.argv[4]), methods=test_sets.METHODS, shard_size=test_sets.SHARD
)
"""
METHODS = ("grad_cam", "saliency")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_killed_again_and_again_it_ends_as_if_nothing_had_happened(folder, tmp_path, monkeypatch):
    whole = explain_set(network(), folder, tmp_path / "whole", methods=METHODS, shard_size=SHARD)
    script = KILLED.format(tests=str(Path(__file__).parent))
    out = tmp_path / "killed"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for point, shard in [("half a file", 0), ("before rows", 1), ("after rows", 2)]:
        command = [sys.executable, "-c", script, point, str(shard), str(folder), str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert contents(out) != contents(whole.path)
    explained = counted(monkeypatch)
    resumed = explain_set(network(), folder, out, methods=METHODS, shard_size=SHARD)
    assert sum(explained) == 1  # the last shard holds one readable picture and the torn one
    assert contents(resumed.path) == contents(whole.path)
    # the comparison itself sees one changed bit
    file = next((out / "maps").rglob("*.safetensors"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert contents(out) != contents(whole.path)


def counted(monkeypatch) -> list[int]:
    """How many images each call of `explain` is given."""
    counts: list[int] = []
    real = sets.explain

    def explain(model, images, **given):
        counts.append(len(images))
        return real(model, images, **given)

    monkeypatch.setattr(sets, "explain", explain)
    return counts


def test_a_finished_set_is_not_explained_again_and_new_or_changed_images_are(folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    explain_set(network(), folder, out, shard_size=SHARD)
    kept = contents(out)
    counts = counted(monkeypatch)
    explain_set(network(), folder, out, shard_size=SHARD)
    assert (counts, contents(out)) == ([], kept)
    Image.new("RGB", (30, 30), (9, 99, 199)).save(folder / "a" / "new.png")
    Image.new("RGB", (50, 50), (99, 9, 199)).save(folder / "b" / "1.png")
    (folder / "b" / "3.jpg").unlink()
    after = explain_set(network(), folder, out, shard_size=SHARD)
    assert counts == [2]
    assert after.count == IMAGES  # one is new, and what is gone stays explained
    names = after.index()["name"].to_pylist()
    assert sorted(names) == sorted({*names})
    changed = next(row for row in after.index().to_pylist() if row["name"] == "b/1.png")
    assert (changed["shard"], changed["overlay"]) == (4, "overlays/grad_cam/b/1.png")
    assert after.explanation("grad_cam", 1).names == ("a/0.jpg",)
    with pytest.raises(OpsinError, match=r"3\.jpg can no longer be read"):
        after.explanation("grad_cam")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"methods": ("layer_cam",)}, r"differ in methods, options \(there grad_cam, now layer_cam\)"),
        ({"target": "dog"}, "differ in target"),
        ({"target": ("dog", "cow")}, "differ in target, against"),
        ({"layer": "1"}, "differ in layer"),
        ({"seed": 3}, "differ in seed"),
        ({"relu": False}, "differ in options"),
    ],
)
def test_other_settings_do_not_mix(given, message, folder, tmp_path):
    explain_set(network(), folder / "a", tmp_path / "out")
    kept = contents(tmp_path / "out")
    with pytest.raises(OpsinError, match=message):
        explain_set(network(), folder / "a", tmp_path / "out", **given)
    assert contents(tmp_path / "out") == kept


def test_another_models_maps_do_not_mix(folder, tmp_path):
    explain_set(network(), folder / "a", tmp_path / "out")
    with pytest.raises(OpsinError, match="differ in weights"):
        explain_set(network(seed=1), folder / "a", tmp_path / "out")
    larger = network()
    larger.preprocess = Preprocess.simple(3, 24)
    with pytest.raises(OpsinError, match="differ in preprocess"):
        explain_set(larger, folder / "a", tmp_path / "out")


def test_what_no_folder_can_be_made_of(folder, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("")
    model = network()
    with pytest.raises(OpsinError, match="is not empty and holds no explanations"):
        explain_set(model, folder, tmp_path / "notes")
    with pytest.raises(OpsinError, match="is a file"):
        explain_set(model, folder, tmp_path / "file")
    with pytest.raises(OpsinError, match="holds no explanations"):
        ExplanationSet.open(tmp_path / "notes")
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"methods": ()}, "expected names of methods"),
        ({"methods": "grad_cam"}, "expected names of methods"),
        ({"methods": ("grad_cam", "grad_cam")}, "each once"),
        ({"methods": ("grad_cat",)}, "did you mean grad_cam"),
        ({"layer": "9"}, "there is no layer '9'"),
        ({"target": "cat"}, "there is no class 'cat'"),
        ({"target": 3}, "target 3 is beyond the 3 classes"),
        ({"windows": 3}, "no setting 'windows'"),
        ({"shard_size": 0}, "shard_size was given as 0"),
        ({"batch_size": 0}, "batch_size was given as 0"),
    ],
)
def test_misuse_leaves_nothing_behind(given, message, folder, tmp_path):
    with pytest.raises(OpsinError, match=message):
        explain_set(network(), folder, tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_wrong_images(folder, tmp_path):
    with pytest.raises(OpsinError, match="no images were given"):
        explain_set(network(), [], tmp_path / "out")
    with pytest.raises(OpsinError, match="there is no file or folder"):
        explain_set(network(), tmp_path / "gone", tmp_path / "out")
    with pytest.raises(OpsinError, match=r"opsin\.explain"):
        explain_set(network(), [np.zeros((4, 4, 3), np.uint8)], tmp_path / "out")  # type: ignore[list-item]
    bare = opsin.Classifier(network().module, ("a", "b", "c"))
    with pytest.raises(OpsinError, match="has no Preprocess"):
        explain_set(bare, folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_torn_files(tmp_path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    found = explain_set(network(), tmp_path / "torn.png", tmp_path / "out")
    assert (found.count, len(found.unreadable)) == (0, 1)


def test_blank_maps_are_in_the_index_and_no_warning_per_shard(folder, tmp_path):
    model = network()
    with torch.no_grad():
        model.module[-1].weight.zero_()  # type: ignore[operator]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = explain_set(model, folder, tmp_path / "out", shard_size=SHARD)
    blank = found.index()["blank"].to_pylist()
    assert blank.count(True) == IMAGES - 1
    assert not found.explanation("grad_cam").maps.any()


def test_the_default_folder_is_named_after_the_images(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = explain_set(network(), "pictures")
    assert first.path == Path("explanations/pictures")
    assert explain_set(network(), "pictures").path == first.path
    assert explain_set(network(), "pictures", seed=1).path == Path("explanations/pictures-2")
    assert explain_set(network(), [folder / "a" / "0.jpg"]).path == Path("explanations/0")
    monkeypatch.chdir(folder)
    assert explain_set(network(), ".").path == Path("explanations/pictures")


def test_progress_counts_every_image_and_begins_where_it_was(folder, tmp_path):
    told: list[tuple[str, int, int]] = []
    explain_set(network(), folder, tmp_path / "out", shard_size=SHARD, progress=lambda *each: told.append(each))
    assert told == [("explaining", done, IMAGES) for done in (0, 4, 8, 12, 14)]
    told.clear()
    explain_set(network(), folder, tmp_path / "out", shard_size=SHARD, progress=lambda *each: told.append(each))
    assert told == [("explaining", IMAGES, IMAGES)]


def test_nothing_of_a_shard_is_kept(folder, tmp_path, monkeypatch):
    alive: list[weakref.ref] = []
    most: list[int] = []
    real = sets.explain

    def explain(model, images, **given):
        gc.collect()
        most.append(sum(item() is not None for item in alive))
        found = real(model, images, **given)
        alive.extend(map(weakref.ref, [images, *found, *(item.maps for item in found)]))
        return found

    monkeypatch.setattr(sets, "explain", explain)
    explain_set(network(), folder, tmp_path / "out", shard_size=2)
    assert len(most) == 7
    assert max(most) == 0
    # the measure itself sees what is kept
    hoard: list = []
    monkeypatch.setattr(sets, "explain", lambda *given, **named: hoard.extend(kept := explain(*given, **named)) or kept)
    explain_set(network(), folder, tmp_path / "other", shard_size=2)
    assert max(most) > 0


def test_small_values_keep_their_precision(tmp_path):
    found = ExplanationSet(tmp_path, {"methods": ["saliency"]})
    maps = np.random.default_rng(0).normal(size=(2, 8, 8)).astype(np.float32) * np.float32(1e-9)
    maps[1] = 0
    found.write_maps("saliency", 0, maps)
    preprocess = Preprocess.simple(3, 8)
    kept = found._maps("saliency", [{"shard": 0, "row": 1}, {"shard": 0, "row": 0}], preprocess)
    assert not kept[0].any()
    assert (np.abs(kept[1] - maps[0]) <= np.abs(maps[0]).max() / 2**11).all()


def test_the_settings_file_says_what_was_asked(folder, tmp_path):
    found = explain_set(network(), folder, tmp_path / "out", target=("dog", "cow"), methods=("occlusion",), window=5)
    about = read_json(tmp_path / "out" / "explain.json")
    assert [about[name] for name in ("target", "against", "methods")] == [1, 2, ["occlusion"]]
    assert about["options"]["occlusion"]["window"] == 5
    why = found.explanation("occlusion")
    assert (why.targets == 1).all()
    assert why.against is not None
    assert (why.against == 2).all()
    assert why.layer == ""
    assert why.options["window"] == 5
    assert "baseline" in why.options  # those that were not given too
