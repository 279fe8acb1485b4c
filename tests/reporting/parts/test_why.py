"""Why it answers: which maps are shown, with which badge, figures and reasons, and what is said where none are."""

import dataclasses

import numpy as np
import pytest
from tests.reporting.conftest import CLASSES, make_evidence, make_explanation

from opsin.evidence.kept import Kept, keep
from opsin.files import read_json, write_json
from opsin.reporting.explained import page_of
from opsin.reporting.page.render import render
from opsin.reporting.parts.material import Material, Missing
from opsin.reporting.parts.summary import summary
from opsin.reporting.parts.why import MOST_IMAGES, MOST_METHODS, SIDE, Answered, why, why_of
from opsin.reporting.texts import packaged, say


def keys(texts) -> list[str]:
    return [text.key for text in texts]


def test_nothing_kept_says_the_one_command(make_run):
    run = make_run()
    part = why(Material(run))
    assert isinstance(part, Missing)
    assert (part.reason.key, part.remedy.key) == ("why.missing", "why.remedy")
    assert part.remedy.values["command"] == f"opsin check {run.path.as_posix()} --report"


def test_a_recorded_loop_is_told_what_it_can_do(foreign_run):
    part = why(Material(foreign_run))
    assert isinstance(part, Missing)
    assert part.reason.key == "why.foreign"


def test_methods_stand_side_by_side_with_their_verdicts_the_most_faithful_first(make_run):
    run = make_run()
    for method, changes in (
        ("saliency", {"gain": 0.1}),
        ("grad_cam", {}),
        ("guided_backprop", {"likeness": 0.8}),
        ("rise", {"p_value": 0.4}),
    ):
        explanation = make_explanation(method)
        keep(run.path, explanation, make_evidence(explanation, **changes))
    unchecked = make_explanation("occlusion", signed=True)
    keep(run.path, unchecked)
    part = why(Material(run))
    assert len(part.groups) == 1
    methods = part.groups[0].methods
    assert [(method.name, method.verdict) for method in methods] == [
        ("grad_cam", "better"), ("saliency", "better"), ("rise", "no_better"), ("guided_backprop", "fails"),
        ("occlusion", "unchecked"),
    ]  # fmt: skip
    assert [method.signed for method in methods] == [False] * 4 + [True]
    assert part.remedy == say("why.remedy", command=f"opsin check {run.path.as_posix()} --report")
    assert methods[-1].gain is None
    assert methods[-1].maps[0].gain is None
    assert keys(methods[-1].reasons) == ["why.nothing_measured"]
    assert methods[0].figures[0].measure.mean == pytest.approx(0.3)


def test_the_rows_are_images_with_what_the_run_answered(make_run):
    run = make_run()
    explanation = make_explanation()
    keep(run.path, explanation, make_evidence(explanation))
    group = why(Material(run)).groups[0]
    assert (group.images, len(group.rows)) == (12, MOST_IMAGES)
    answers = run.predictions()["validation"]
    for row, shown in zip(group.rows, group.methods[0].maps, strict=True):
        at = explanation.names.index(row.name)
        np.testing.assert_array_equal(shown.values, explanation.maps[at])
        np.testing.assert_array_equal(row.pixels, np.round(explanation.inputs[at].transpose(1, 2, 0) * 255))
        assert row.target == CLASSES[explanation.targets[at]]
        assert row.answered.label == CLASSES[at % 3]
        best, share = row.answered.best[0]
        assert share == pytest.approx(answers.probabilities[at].max())
        assert best == CLASSES[answers.probabilities[at].argmax()]
        assert shown.gain == pytest.approx(0.3)


def test_reasons_follow_the_figures():
    explanation = make_explanation()
    cases = [
        ({}, ["why.gain", "why.sanity_passed"]),
        ({"likeness": 0.7}, ["why.gain", "why.sanity_failed"]),
        ({"likeness": None}, ["why.gain", "why.sanity_unmade"]),
        ({"edge": -0.2}, ["why.gain", "why.sanity_passed", "why.edges"]),
    ]
    for changes, expected in cases:
        # the edges' values are those of the method, less 0.3, plus `edge`: far lower is far better in deletion
        evidence = make_evidence(explanation, **{"edge": 0.7, **changes})
        method = why_of([Kept(explanation, evidence)]).groups[0].methods[0]
        assert keys(method.reasons) == expected
    stale = why_of([Kept(explanation, make_evidence(explanation), stale=True)]).groups[0].methods[0]
    assert keys(stale.reasons) == ["why.stale"]
    assert (stale.verdict, stale.figures, stale.gain) == ("unchecked", (), None)


def test_other_images_or_classes_stand_in_a_table_of_their_own():
    first, second = make_explanation(), make_explanation("saliency")
    other = dataclasses.replace(make_explanation("rise"), targets=np.zeros(12, np.int64))
    fewer = make_explanation("occlusion", images=5)
    part = why_of([Kept(item, None) for item in (first, second, other, fewer)])
    assert [[method.name for method in group.methods] for group in part.groups] == [
        ["grad_cam", "saliency"], ["rise"], ["occlusion"]
    ]  # fmt: skip


def test_many_methods_and_large_pictures_stay_light():
    found = [Kept(make_explanation(f"method{i}", side=8), None) for i in range(MOST_METHODS + 2)]
    part = why_of(found)
    assert sum(len(group.methods) for group in part.groups) == MOST_METHODS
    assert part.left_out == ("method6", "method7")
    large = make_explanation(images=2, side=224)
    evidence = make_evidence(large)
    group = why_of([Kept(large, evidence)]).groups[0]
    assert group.rows[0].pixels.shape == (SIDE, SIDE, 1)
    shown = group.methods[0].maps[0]
    assert shown.values.shape == (SIDE, SIDE)
    assert (shown.low, shown.high) == (large.maps[0].min(), large.maps[0].max())
    html = render(page_of([large] * 6, [evidence] * 6, name="six"), "en")
    assert len(html) < 1_500_000


def test_methods_are_compared_by_the_measures_that_any_of_them_has():
    first, second = make_explanation(), make_explanation("saliency")
    one, two = make_evidence(first), make_evidence(second, likeness=None)
    compared = why_of([Kept(first, one), Kept(second, two)]).groups[0].compared
    assert [name.key for name, _ in compared.columns] == ["measure.deletion", "measure.randomisation"]
    assert compared.cells[0][0].value == pytest.approx(0.3)
    assert compared.cells[0][0].random == pytest.approx(0.6)
    assert compared.cells[1][1].value is None
    assert compared.edges == (pytest.approx(0.2), None)
    differing = why_of([Kept(first, one), Kept(second, make_evidence(second, edge=0.5))]).groups[0].compared
    assert differing.edges == (None, None)
    assert why_of([Kept(first, one)]).groups[0].compared is None


def test_an_edited_verdict_shows_no_badge_but_a_reason(make_run):
    run = make_run()
    explanation = make_explanation()
    keep(run.path, explanation, make_evidence(explanation, p_value=0.4))
    path = run.path / "evidence" / "grad_cam.json"
    write_json(path, {**read_json(path), "verdict": "better than random"})
    part = why(Material(run))
    assert part.groups == ()
    assert [name for name, _ in part.damaged] == ["grad_cam"]
    assert part.remedy is not None
    html = render(page_of([explanation], name="x"), "en")  # the page itself can show it as not checked
    assert "not checked yet" in html
    assert 'class="badge better"' not in html


def test_the_summary_says_the_verdicts_in_one_line(make_run):
    run = make_run()
    assert "trust.nothing" in keys(sentence.text for sentence in summary(Material(run)).able)
    for method, changes in (("grad_cam", {}), ("guided_backprop", {"likeness": 0.8})):
        explanation = make_explanation(method)
        keep(run.path, explanation, make_evidence(explanation, **changes))
    sentence = next(item for item in summary(Material(run)).able if item.text.key == "trust.methods")
    assert (sentence.tone, sentence.section) == ("good", "why")
    said = packaged().lower(sentence.text, "en")
    assert "grad_cam: better than random, guided_backprop: fails the sanity check" in said


def test_what_the_page_of_explanations_refuses():
    from opsin.errors import OpsinError

    with pytest.raises(OpsinError, match="there is nothing to show"):
        page_of([], name="x")
    with pytest.raises(OpsinError, match="2 evidences were given for 1 explanations"):
        page_of([make_explanation()], [None, None], name="x")


def test_the_answers_of_a_page_are_those_given():
    explanation = make_explanation(images=1)
    name = explanation.names[0]
    answered = Answered("eel", (("dog", 0.7), ("cat", 0.2)))
    part = page_of([explanation], answers={name: answered}, name="x").parts["why"]
    assert part.groups[0].rows[0].answered == answered
    html = render(page_of([explanation], answers={name: answered}, name="x"), "zh-CN")
    assert "<title>解释 · x" in html
    assert "70.0%" in html
