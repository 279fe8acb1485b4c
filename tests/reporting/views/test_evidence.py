"""What is measured of maps: kept only where a person says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.reporting.conftest import make_evidence, make_explanation

import opsin
from opsin.errors import OpsinError
from opsin.evidence.kept import Kept, keep, kept
from opsin.reporting.views.evidence import SHOWN, evidence_of
from opsin.reporting.views.questions import answer
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.wire import pack

IDS = ["probe/0", "probe/1", "probe/2"]


def files(folder: Path) -> dict[str, tuple[int, int]]:
    found = {path.relative_to(folder).as_posix(): path.stat() for path in folder.rglob("*") if path.is_file()}
    return {name: (state.st_mtime_ns, state.st_size) for name, state in found.items()}


@pytest.fixture
def subject(digits_run, tmp_path) -> Subject:
    shutil.copytree(digits_run.path, tmp_path / "digits")
    return Subject.of(tmp_path / "digits")


def test_a_check_of_what_is_shown_writes_nothing(subject):
    before, told = files(subject.run.path), []
    found = answer(subject, "check", {"method": "grad_cam", "images": IDS, "target": 3}, lambda *now: told.append(now))
    pack(found)
    assert files(subject.run.path) == before
    explanation = opsin.explain(subject.model, subject.inputs(IDS), "grad_cam", target=3)
    expected = opsin.check(explanation, subject.model)
    assert found["verdict"] == expected.verdict
    assert found["gain"] == pytest.approx(expected.advantage, abs=1e-3)
    figures = {figure["name"]["en"]: figure for figure in found["figures"]}
    deletion = expected.measures["deletion"]
    assert figures["deletion"]["value"] == pytest.approx(deletion.mean, abs=1e-3)
    assert figures["deletion"]["random"]["value"] == pytest.approx(deletion.controls["random"].mean, abs=1e-3)
    assert figures["deletion"]["edge"]["advantage"] == pytest.approx(deletion.controls["edge"].advantage, abs=1e-3)
    assert len(found["curves"]) >= 4
    assert any(what.startswith("measuring") for what, _, _ in told)
    assert answer(subject, "methods", {})["kept"] == {}


def test_what_is_kept_is_shown_at_once(kept_check):
    subject, found = kept_check
    assert len(found["names"]) == 32
    assert [item.explanation.method for item in kept(subject.run.path)[0]] == ["grad_cam"]
    again = answer(subject, "evidence", {"method": "grad_cam"})
    assert again["verdict"] == found["verdict"]
    assert again["figures"] == found["figures"]
    assert answer(subject, "methods", {})["kept"]["grad_cam"]["verdict"] == found["verdict"]


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ({"method": "grad_cam"}, "give either images or keep"),
        ({"method": "grad_cam", "images": IDS, "keep": True}, "give either images or keep"),
        ({"method": "grad_cam", "keep": True, "target": 3}, "no target with keep"),
        ({"method": "softmax_cam", "images": IDS}, "its last linear layer"),
    ],
)
def test_what_cannot_be_checked(subject, args, match):
    before = files(subject.run.path)
    with pytest.raises(OpsinError, match=match):
        answer(subject, "check", args)
    assert files(subject.run.path) == before


def test_a_model_without_a_run_can_be_checked_but_not_kept():
    model = opsin.build_model("lenet5", classes=("a", "b"), channels=1, size=28, seed=0)
    subject = Subject.of(model)
    found = answer(subject, "check", {"method": "eigen_cam", "images": ["example/0"]})
    assert found["names"] == ("example/0",)
    with pytest.raises(OpsinError, match="a model without a run"):
        answer(subject, "check", {"method": "saliency", "keep": True})
    with pytest.raises(OpsinError, match="a model without a run"):
        answer(subject, "evidence", {"method": "saliency"})


def test_nothing_kept_and_damaged_evidence_are_told(subject):
    with pytest.raises(OpsinError, match="keeps nothing of grad_cam; check it first"):
        answer(subject, "evidence", {"method": "grad_cam"})
    explanation = make_explanation()
    keep(subject.run.path, explanation, make_evidence(explanation))
    (subject.run.path / "evidence" / "grad_cam.json").write_text("torn")
    subject.forget(model=False)
    with pytest.raises(OpsinError, match=r"grad_cam\.json"):
        answer(subject, "evidence", {"method": "grad_cam"})
    assert "grad_cam" in answer(subject, "methods", {})["damaged"]


def test_stale_evidence_gives_no_figures():
    explanation = make_explanation()
    found = evidence_of(Kept(explanation, make_evidence(explanation), stale=True))
    assert (found["verdict"], found["figures"], found["gain"]) == ("not checked yet", [], None)
    assert "weights have changed" in found["reasons"][0]["en"]


def test_maps_lie_beside_their_controls():
    explanation = make_explanation(signed=True)
    found = evidence_of(Kept(explanation, make_evidence(explanation)))
    shown = found["shown"]
    at = [explanation.names.index(name) for name in shown["names"]]
    assert len(at) == SHOWN
    assert np.array_equal(shown["maps"]["largest"], explanation.maps[at].max(axis=(1, 2)))
    # a random map has the values of the map itself, in other places
    assert np.allclose(shown["random"]["largest"], shown["maps"]["largest"])
    assert not np.array_equal(shown["random"]["maps"], shown["maps"]["maps"])
    assert (shown["edges"]["smallest"] >= 0).all()
