"""The answers of the film: lines as they were written, parts of snapshots as they lie on the disk."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import opsin
from opsin.errors import OpsinError
from opsin.files import read_json, read_tensors, write_json
from opsin.reporting.views.questions import answer
from opsin.reporting.views.recorded import opened, outline
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.wire import pack
from opsin.training.recorder.writer import append_line, cut_lines
from opsin.training.run import Run

from ..conftest import EVIL, epoch_line, record_tiny


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A tiny network in a person's own loop: snapshots at 0, 2, 4 and 6, no epochs, no dataset."""
    folder = tmp_path_factory.mktemp("film") / "mine"
    record_tiny(folder, classes=EVIL)
    return folder


@pytest.fixture
def copy(recorded, tmp_path):
    return shutil.copytree(recorded, tmp_path / "run")


def ask(folder, question, **args):
    return answer(Subject.of(Run(folder)), question, args)


def stored(folder, step):
    return read_tensors(folder / "snapshots" / f"{step:08d}.safetensors")[0]


# -- steps ------------------------------------------------------------------------------------------------------


def test_every_line_comes_as_it_was_written(recorded):
    told, lines = ask(recorded, "steps"), Run(recorded).steps
    assert told["rows"] == len(lines) == len(told["step"])
    assert told["step"].tolist() == [line["step"] for line in lines]
    for name in ("loss", "lr", "images_per_second"):
        expected = [np.nan if line.get(name) is None else line[name] for line in lines]
        assert np.allclose(told[name], expected, equal_nan=True)
    layers = [line["gradient_norms"]["0"] if "gradient_norms" in line else np.nan for line in lines]
    assert np.allclose(told["gradient_norms"]["0"], layers, equal_nan=True)
    assert told["dead"]["0"]["total"] == 4
    counted = [line["dead"]["0"][0] if "dead" in line else np.nan for line in lines]
    assert np.allclose(told["dead"]["0"]["count"], counted, equal_nan=True)
    assert told["snapshots"].tolist() == [0, 2, 4, 6]
    assert (told["last"], told["planned"], told["status"]) == (6, None, "finished")
    pack(told)


def test_more_lines_join_to_the_whole(recorded):
    whole, rest = ask(recorded, "steps"), ask(recorded, "steps", start=3)
    assert rest["start"] == 3
    assert np.array_equal(rest["step"], whole["step"][3:])
    assert np.array_equal(rest["loss"], whole["loss"][3:], equal_nan=True)
    assert len(ask(recorded, "steps", start=whole["rows"])["step"]) == 0


def test_a_training_that_went_back_is_told_anew(copy):
    before = ask(copy, "steps")["rows"]
    cut_lines(copy / "steps.jsonl", lambda row: row["step"] <= 2)
    told = ask(copy, "steps", start=before)
    assert told["start"] == 0
    assert told["rows"] == len(told["step"]) < before


def test_new_lines_are_seen_once_the_subject_forgets(copy):
    subject = Subject.of(Run(copy))
    before = answer(subject, "steps", {})
    append_line(copy / "steps.jsonl", {"step": 8, "loss": 0.5, "gradient_norms": {"late": 2.0}})
    assert answer(subject, "steps", {"start": before["rows"]})["rows"] == before["rows"]
    subject.forget(model=False)
    told = answer(subject, "steps", {"start": before["rows"]})
    assert told["step"].tolist() == [8]
    assert told["gradient_norms"]["late"].tolist() == [2.0]
    assert told["last"] == 8


def test_events_and_alarms_are_told_with_their_figures(copy):
    events = [
        {"kind": "dead", "layer": "0", "step": 7, "channels": list(range(11))},
        {"kind": "nan", "layer": "the loss itself", "message": "loss nan"},
    ]
    append_line(copy / "steps.jsonl", {"step": 7, "loss": None, "events": events})
    write_json(copy / "run.json", {**read_json(copy / "run.json"), "classes": ["cat", "dog", "eel"]})
    append_line(copy / "epochs.jsonl", epoch_line(1))
    lost = {"kind": "forgotten", "classes": ["cat"], "message": "<b>cat</b> is lost"}
    confusion = [[2, 8, 0], [0, 10, 0], [1, 0, 9]]
    append_line(copy / "epochs.jsonl", epoch_line(2, confusion=confusion, alarms=[lost]))
    told = ask(copy, "steps")
    dead, nan = told["events"][-2:]
    assert (dead["kind"], dead["count"], dead["channels"], dead["grave"]) == ("dead", 11, list(range(8)), False)
    assert (nan["layer"], nan["grave"], nan["step"]) == ("the loss itself", True, 7)
    (alarm,) = told["alarms"]
    assert (alarm["step"], alarm["best"], alarm["now"], alarm["grave"]) == (4, 0.9, 0.2, True)
    assert told["epochs"]["accuracy"].tolist() == pytest.approx([0.9, 0.9])


def test_where_a_training_is_to_end_is_known_from_its_first_epoch(copy):
    write_json(copy / "run.json", {**read_json(copy / "run.json"), "recipe": {"epochs": 7}})
    assert ask(copy, "steps")["planned"] is None
    append_line(copy / "epochs.jsonl", epoch_line(1, step=55))
    told = ask(copy, "steps")
    assert (told["planned"], told["last"]) == (7 * 55, 55)


def test_a_run_that_has_nothing_yet(copy):
    (copy / "steps.jsonl").unlink()
    shutil.rmtree(copy / "snapshots")
    told = ask(copy, "steps")
    assert (told["rows"], told["last"], told["snapshots"].tolist()) == (0, 0, [])
    with pytest.raises(OpsinError, match="has no snapshots; train with record=true"):
        ask(copy, "probe")


@pytest.mark.parametrize("question", ["steps", "probe", "snapshot"])
def test_a_model_without_a_run_has_no_film(question):
    subject = Subject.of(opsin.build_model("lenet5", classes=2, channels=1, size=28))
    with pytest.raises(OpsinError, match="model without a run"):
        answer(subject, question, {"step": 0} if question == "snapshot" else {})


# -- the probe over time ----------------------------------------------------------------------------------------


def test_the_probe_over_time_is_what_the_snapshots_hold(recorded):
    told = ask(recorded, "probe")
    assert told["classes"] == list(EVIL)
    assert told["ids"] == [f"probe/{i}" for i in range(6)]
    for position, step in enumerate(told["steps"].tolist()):
        snapshot = Run(recorded).snapshot(step)
        assert np.array_equal(told["best"][position], snapshot.probabilities.argmax(axis=1))
        assert np.allclose(told["best_share"][position], snapshot.probabilities.max(axis=1))
        rows = np.arange(6)
        assert np.allclose(told["label_share"][position], snapshot.probabilities[rows, told["labels"]])
        for layer in told["layers"]:
            values = snapshot.activations[layer["name"]]
            assert layer["low"][position] == pytest.approx(values.min(), abs=1e-5)
            assert layer["high"][position] == pytest.approx(values.max(), abs=1e-5)
    names = [(layer["name"], layer["kind"], layer["shape"], layer["kept"]) for layer in told["layers"]]
    assert names[0] == ("0", "Conv2d", [4, 6, 6], 4)
    pack(told)


def test_without_labels_their_share_is_unknown(tmp_path):
    record_tiny(tmp_path / "run", labels=False, steps=2)
    told = ask(tmp_path / "run", "probe")
    assert told["labels"].tolist() == [-1] * 6
    assert np.isnan(told["label_share"]).all()
    assert told["classes"] == ["0", "1", "2"]


def test_a_snapshot_that_was_written_anew_is_read_anew(copy):
    first = outline(Run(copy), 2).probabilities
    path = copy / "snapshots" / "00000002.safetensors"
    shutil.copy(copy / "snapshots" / "00000006.safetensors", path)
    assert not np.array_equal(outline(Run(copy), 2).probabilities, first)


# -- snapshots --------------------------------------------------------------------------------------------------


def test_values_come_as_they_lie_on_the_disk(recorded):
    told, arrays = ask(recorded, "snapshot", step=4), stored(recorded, 4)
    guide = read_json(recorded / "snapshots" / "00000004.json")
    assert set(told["layers"]) == {"0", "1", "3"}
    for name, layer in told["layers"].items():
        assert layer["values"].dtype == np.uint8
        assert np.array_equal(layer["values"], arrays[f"activations/{name}"])
        assert (layer["low"], layer["high"]) == (guide["activations"][name]["min"], guide["activations"][name]["max"])
    assert np.array_equal(told["probabilities"], arrays["probabilities"])


def test_parts_are_parts_of_the_whole(recorded):
    whole = ask(recorded, "snapshot", step=2)
    part = ask(recorded, "snapshot", step=2, layers=["0"], images=[4, 1], channels=[3, 0, 99])
    assert part["images"].tolist() == [4, 1]
    assert part["layers"]["0"]["channels"].tolist() == [0, 3]
    assert np.array_equal(part["layers"]["0"]["values"], whole["layers"]["0"]["values"][[4, 1]][:, [0, 3]])
    assert np.array_equal(part["probabilities"], whole["probabilities"][[4, 1]])
    assert ask(recorded, "snapshot", step=2, layers=[])["layers"] == {}


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ({"step": 3}, "step 3 of mine has no snapshot; the nearest are 2 and 4"),
        ({"step": 9}, "the nearest are 6"),
        ({"step": -1}, "greater than or equal to 0"),
        ({"step": 2, "layers": ["nope"]}, "hold no layer 'nope'; they hold 0, 1, 3"),
        ({"step": 2, "images": [6]}, "image 6 of the probe was asked for; it has 6"),
        ({"step": 2, "images": [-1]}, "greater than or equal to 0"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(recorded, args, match):
    with pytest.raises(OpsinError, match=match) as caught:
        ask(recorded, "snapshot", **args)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_torn_snapshot_is_said_to_be_one(copy, content):
    (copy / "snapshots" / "00000002.safetensors").write_bytes(content)
    with pytest.raises(OpsinError, match=r"00000002.safetensors cannot be read .* copied in full"):
        ask(copy, "snapshot", step=2)


def test_errors_of_who_reads_pass_through(recorded):
    with pytest.raises(OpsinError, match="mine alone"), opened(Run(recorded), 2):
        raise OpsinError("mine alone")
