"""Curves: the recorded numbers, in order, and what happened, in words."""

import numpy as np
from tests.reporting.conftest import epoch_line

import opsin
from opsin.reporting.parts.curves import MOST_LAYERS, alarm_text, curves, event_text, flags
from opsin.reporting.parts.material import Material, Missing
from opsin.reporting.texts import packaged
from opsin.training.recorder.writer import append_line


def panels(part):
    return {panel.name: panel for panel in part.panels}


def test_the_lines_are_the_recorded_numbers(make_run):
    run = make_run()
    part = curves(Material(run))
    loss = {line.role: line.points for line in panels(part)["loss"].lines}
    np.testing.assert_allclose(loss["validation"], [[2, 1.1], [4, 0.55], [6, 1.1 / 3]])
    np.testing.assert_allclose(loss["step"], [(line["step"], line["loss"]) for line in run.steps if line["loss"]])
    gradients = panels(part)["gradients"]
    assert [line.name for line in gradients.lines] == ["0", "3"]
    assert [line.depth for line in gradients.lines] == [0.0, 1.0]
    assert gradients.band == (1e-3, 1e-1)
    first = next(line for line in run.steps if "gradient_norms" in line)
    assert gradients.lines[1].points[0].tolist() == [first["step"], first["gradient_norms"]["3"]]
    assert part.last == 6


def test_a_recorded_loop_has_its_steps_and_no_accuracy(foreign_run):
    found = panels(curves(Material(foreign_run)))
    assert "accuracy" not in found
    assert {line.role for line in found["loss"].lines} == {"step"}


def test_nothing_recorded_is_said(tmp_path, make_run):
    run = make_run(epochs=())
    (run.path / "steps.jsonl").unlink()
    part = curves(Material(opsin.Run(run.path)))
    assert isinstance(part, Missing)
    assert part.reason.key == "curves.missing"


def test_many_layers_are_thinned_and_counted(make_run):
    run = make_run()
    (run.path / "steps.jsonl").unlink()
    append_line(run.path / "steps.jsonl", {"step": 1, "loss": 1.0, "gradient_norms": {f"l{i}": 1.0 for i in range(40)}})
    panel = panels(curves(Material(opsin.Run(run.path))))["gradients"]
    assert len(panel.lines) == MOST_LAYERS
    assert panel.left_out == 40 - MOST_LAYERS
    assert [panel.lines[0].name, panel.lines[-1].name] == ["l0", "l39"]


def test_only_layers_with_silent_channels_are_drawn(make_run):
    run = make_run()
    (run.path / "steps.jsonl").unlink()
    for step, dead in ((0, 0), (5, 2)):
        counts = {"dead": {"a": [dead, 8], "b": [0, 8]}, "saturated": {}}
        append_line(run.path / "steps.jsonl", {"step": step, "loss": 1.0, **counts})
    part = curves(Material(opsin.Run(run.path)))
    panel = panels(part)["dead"]
    assert [line.name for line in panel.lines] == ["a"]
    assert panel.lines[0].points.tolist() == [[0, 0], [5, 0.25]]


def test_events_and_alarms_are_told_in_their_order():
    steps = [{"step": 4, "events": [{"kind": "dead", "layer": "c", "channels": list(range(20))}]},
             {"step": 9, "events": [{"kind": "nan", "layer": "the loss itself", "message": "loss nan"}]}]  # fmt: skip
    lost = epoch_line(2, step=6, confusion=[[1, 9, 0], [0, 10, 0], [0, 0, 10]],
                      alarms=[{"kind": "forgotten", "classes": ["cat"], "message": "old words"}])  # fmt: skip
    found = flags(steps, [epoch_line(1, step=3), lost], ("cat", "dog", "eel"))
    said = [packaged().lower(flag.text, "en") for flag in found]
    assert [flag.step for flag in found] == [4, 6, 9]
    assert [flag.grave for flag in found] == [False, True, True]
    assert said[0] == "c: 20 channels fell silent (0, 1, 2, 3, 4, 5, 6, 7 …)"
    assert "cat was recognised 90\u202f% of the time and is now at 10\u202f%" in said[1]
    assert "the loss itself" in said[2]


def test_what_is_unknown_is_quoted():
    assert packaged().lower(event_text({"kind": "new", "message": "text"}), "zh-CN") == "text"
    assert "text" in packaged().lower(alarm_text({"kind": "new", "message": "text"}, [epoch_line(1)], ()), "en")
    assert "a" in packaged().lower(alarm_text({"kind": "swapped", "classes": ["a", "b"]}, [epoch_line(1)], ()), "en")
