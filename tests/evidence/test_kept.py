"""What a run keeps of its explanations: it comes back, and what cannot be right is not believed."""

import dataclasses

import numpy as np
import pytest

import opsin
from opsin.errors import OpsinError
from opsin.evidence.controls import control_maps, oriented
from opsin.evidence.kept import Kept, contradiction, keep, kept, weights_hash
from opsin.files import read_json, write_json
from opsin.records import Evidence, Explanation

FAITHFUL = ("deletion", "insertion")


@pytest.fixture(scope="module")
def checked(square_model, square_images):
    """Explanation and evidence of two methods, one of which fails the sanity check by the figures that are planted."""
    images = square_images[0][:6]
    found = {}
    for method in ("input_x_gradient", "saliency"):
        explanation = opsin.explain(square_model, images, method)
        measures = (*FAITHFUL, "randomisation")
        found[method] = explanation, opsin.check(explanation, square_model, measures=measures, steps=4)
    return found


@pytest.fixture
def run(tmp_path):
    """A folder that is a run, with weights."""
    folder = tmp_path / "run"
    (folder / "weights").mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    (folder / "weights" / "best.safetensors").write_bytes(b"weights")
    return folder


def edit(path, change):
    values = read_json(path)
    change(values)
    write_json(path, values)


def test_what_was_kept_comes_back(run, checked):
    for explanation, evidence in checked.values():
        keep(run, explanation, evidence)
    found, damaged = kept(run)
    assert not damaged
    assert {item.explanation.method for item in found} == set(checked)
    for item in found:
        explanation, evidence = checked[item.explanation.method]
        np.testing.assert_array_equal(item.explanation.maps, explanation.maps)
        np.testing.assert_array_equal(item.explanation.inputs, explanation.inputs)
        assert item.evidence.verdict == item.verdict == evidence.verdict
        assert item.evidence.weights == weights_hash(run)
        assert not item.stale
    assert sorted(path.name for path in (run / "evidence").iterdir()) == [
        "input_x_gradient.json", "input_x_gradient.safetensors", "saliency.json", "saliency.safetensors",
    ]  # fmt: skip


def test_the_most_faithful_comes_first_and_a_newer_check_replaces_the_older(run, checked):
    better, worse = (dataclasses.replace(checked["saliency"][1], advantage=gain) for gain in (0.5, 0.1))
    explanation = checked["saliency"][0]
    assert [item.evidence.advantage for item in sorted_by_kept(explanation, worse, better)] == [0.5, 0.1]
    keep(run, *checked["input_x_gradient"])
    again = dataclasses.replace(checked["input_x_gradient"][0], seed=7)
    keep(run, again, checked["input_x_gradient"][1])
    found, _ = kept(run)
    assert [item.explanation.seed for item in found] == [7]


def sorted_by_kept(explanation: Explanation, *evidences: Evidence) -> list[Kept]:
    from opsin.evidence.kept import _rank

    return sorted((Kept(explanation, evidence) for evidence in evidences), key=_rank)


def test_maps_without_evidence_are_not_checked_yet(run, checked):
    keep(run, *checked["input_x_gradient"])
    keep(run, checked["input_x_gradient"][0])
    found, damaged = kept(run)
    assert not damaged
    assert [(item.evidence, item.verdict) for item in found] == [(None, "not checked yet")]


def test_other_weights_make_evidence_stale(run, checked):
    keep(run, *checked["input_x_gradient"])
    (run / "weights" / "best.safetensors").write_bytes(b"other weights")
    found, _ = kept(run)
    assert found[0].stale
    assert found[0].verdict == "not checked yet"


def test_other_files_of_the_folder_are_left_alone(run, checked):
    keep(run, *checked["input_x_gradient"])
    write_json(run / "evidence" / "shortcuts.json", {"shortcuts": []})
    (run / "evidence" / ".input_x_gradient.json.12345678.tmp").write_text("torn")
    found, damaged = kept(run)
    assert len(found) == 1
    assert not damaged
    assert kept(run.parent) == ((), {})


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("input_x_gradient.safetensors", b"torn", "cannot read"),
        ("input_x_gradient.json", b'{"verdict": ', "not valid JSON"),
        ("input_x_gradient.json", b"{}", "holds no evidence"),
        ("input_x_gradient.safetensors", None, "is missing"),
    ],
)
def test_a_damaged_file_is_a_reason_and_costs_only_its_own_method(run, checked, name, content, reason):
    for explanation, evidence in checked.values():
        keep(run, explanation, evidence)
    path = run / "evidence" / name
    path.unlink() if content is None else path.write_bytes(content)
    found, damaged = kept(run)
    assert [item.explanation.method for item in found] == ["saliency"]
    assert list(damaged) == ["input_x_gradient"]
    assert reason in damaged["input_x_gradient"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda e: e.update(verdict="no better than random"), "its verdict is no better than random"),
        (lambda e: e.update(p_value=0.9), "its figures say no better than random"),
        (lambda e: e.update(advantage=0.9), "the gain over random maps is not that of its measures"),
        (lambda e: e["measures"]["deletion"].update(mean=0.0), "the mean of deletion is not that of its values"),
        (lambda e: e.update(method="saliency"), "another method"),
        (lambda e: e["names"].reverse(), "another names"),
    ],
)
def test_a_verdict_that_its_figures_do_not_bear_is_not_shown(run, checked, change, reason):
    keep(run, *checked["input_x_gradient"])
    assert kept(run)[0][0].verdict == "better than random"
    edit(run / "evidence" / "input_x_gradient.json", change)
    found, damaged = kept(run)
    assert not found
    assert reason in damaged["input_x_gradient"]


def test_a_failed_sanity_check_cannot_be_edited_into_a_pass(run, checked):
    explanation, evidence = checked["input_x_gradient"]
    alike = dataclasses.replace(evidence.measures["randomisation"], values=np.full(6, 0.8), mean=0.8)
    failing = dataclasses.replace(
        evidence, verdict="fails the sanity check", measures={**evidence.measures, "randomisation": alike}
    )
    assert contradiction(failing) is None
    keep(run, explanation, failing)
    assert kept(run)[0][0].verdict == "fails the sanity check"
    edit(run / "evidence" / "input_x_gradient.json", lambda e: e.update(verdict="better than random"))
    assert "its figures say fails the sanity check" in kept(run)[1]["input_x_gradient"]


def test_every_honest_evidence_is_free_of_contradiction(checked, square_model, square_images):
    for explanation, evidence in checked.values():
        assert contradiction(evidence) is None
        for measures in (["randomisation"], ["infidelity"], ["deletion"], ["road_morf", "max_sensitivity"]):
            assert contradiction(opsin.check(explanation, square_model, measures=measures, steps=3)) is None


def test_a_failed_write_leaves_what_was_kept(run, checked, monkeypatch):
    keep(run, *checked["input_x_gradient"])
    before = {path.name: path.read_bytes() for path in (run / "evidence").iterdir()}
    real = Evidence.save

    def fail(self, path):
        real(self, path)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Evidence, "save", fail)
    with pytest.raises(OpsinError, match="No space left"):
        keep(run, dataclasses.replace(checked["input_x_gradient"][0], seed=9), checked["input_x_gradient"][1])
    assert {path.name: path.read_bytes() for path in (run / "evidence").iterdir()} == before


def test_what_is_refused(tmp_path, run, checked):
    explanation, evidence = checked["input_x_gradient"]
    with pytest.raises(OpsinError, match="is not a run"):
        keep(tmp_path, explanation, evidence)
    with pytest.raises(OpsinError, match="of other maps"):
        keep(run, explanation, checked["saliency"][1])
    for name in ("<lambda>", "shortcuts", "../up", ""):
        with pytest.raises(OpsinError, match="give its function a plain name"):
            keep(run, dataclasses.replace(explanation, method=name), dataclasses.replace(evidence, method=name))
    assert not (run / "evidence").exists()


def test_the_control_maps_are_those_of_the_check(checked, square_model):
    """Shown controls and measured controls are the same maps: the edges get the same deletion again."""
    explanation, evidence = checked["saliency"]
    random, edge = control_maps(explanation, evidence.seed)
    values = np.sort(explanation.maps.reshape(6, -1))
    np.testing.assert_allclose(np.sort(random.reshape(6, -1)), values, rtol=1e-6)
    shown = dataclasses.replace(explanation, maps=edge, method="drawn")
    again = opsin.check(shown, square_model, measures=["deletion"], steps=4).measures["deletion"]
    np.testing.assert_allclose(again.values, evidence.measures["deletion"].controls["edge"].values, atol=1e-6)
    assert oriented(np.ones(1), "lower") == -1
