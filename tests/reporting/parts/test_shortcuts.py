"""Shortcuts in the report: what is said, in both languages, and what stands there when nobody has looked."""

import dataclasses

import numpy as np
import pytest

import opsin
from opsin.evidence.shortcuts import find_in_run
from opsin.evidence.shortcuts.of_run import FILE
from opsin.records import Interval, Share, Shortcut, Shortcuts
from opsin.records.shortcuts import PLACES
from opsin.reporting.parts.material import Material, Missing
from opsin.reporting.parts.shortcuts import Searched, searched, sentence_of, shortcuts
from opsin.reporting.parts.summary import summary
from opsin.reporting.texts import packaged, say

REMEDY = say("shortcuts.remedy", command="opsin check")


def share(value: float, images: int = 50) -> Share:
    return Share(value, Interval(max(0, value - 0.1), min(1, value + 0.1)), images)


def make_shortcut(**changes) -> Shortcut:
    rng = np.random.default_rng(0)
    values = {
        "class_name": "shirt", "label": 1, "region": (1, 1, 6, 6), "original": None, "size": (28, 28), "used": True,
        "alike": True, "carried": 0.9, "carried_held_out": 0.8, "carried_others": 0.0, "recall": share(0.98),
        "recall_without": share(0.31), "recall_control": share(0.97), "flips": share(0.87, 180),
        "flips_control": share(0.01, 180), "flips_elsewhere": share(0.02, 180), "gathered": share(0.4),
        "gathered_others": share(0.03), "p_value": 1e-4, "map": rng.normal(size=(28, 28)).astype(np.float32),
        "examples": rng.integers(0, 256, (4, 3, 28, 28, 1)).astype(np.uint8),
        "answers": (("shirt",) * 3, ("coat", "shirt", "coat"), ("bag",) * 3, ("shirt", "bag", "shirt")),
    }  # fmt: skip
    return Shortcut(**{**values, **changes})


def make_shortcuts(*found: Shortcut, unused: tuple[Shortcut, ...] = (), **changes) -> Shortcuts:
    values = {
        "found": found, "unused": unused, "model": "tiny", "data": "clothes", "classes": ("bag", "shirt", "coat"),
        "skipped": {"coat": "3 images in one half"}, "protocol": {"seed": 0}, "notes": ("a <note>",),
    }  # fmt: skip
    return Shortcuts(**{**values, **changes})


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_sentence_says_what_the_record_says(language):
    text = packaged().lower(sentence_of(make_shortcut()), language)
    for part in ("shirt", "98", "31", "87", "1–5"):
        assert part in text
    assert ("top left corner" if language == "en" else "左上角") in text


def test_recall_that_stays_is_not_said_to_fall():
    item = make_shortcut(recall_without=share(0.98))
    assert "stays at 98 %" in item.text()
    assert "stays at 98" in packaged().lower(sentence_of(item), "en")
    assert "falls" not in item.text()


def test_a_mark_that_is_hardly_used_is_said_to_be():
    item = make_shortcut(used=False, flips=share(0.0))
    assert "hardly uses it" in item.text()
    assert "hardly uses it" in packaged().lower(sentence_of(item), "en")


@pytest.mark.parametrize(
    ("region", "place"),
    [
        ((0, 0, 4, 4), "top left corner"), ((0, 12, 4, 16), "top edge"), ((1, 23, 5, 27), "top right corner"),
        ((12, 0, 16, 4), "left edge"), ((12, 12, 16, 16), "middle"), ((12, 24, 16, 28), "right edge"),
        ((24, 0, 28, 4), "bottom left corner"), ((24, 12, 28, 16), "bottom edge"),
        ((22, 22, 28, 28), "bottom right corner"),
    ],
)  # fmt: skip
def test_places_have_names(region, place):
    item = make_shortcut(region=region)
    assert item.place == place
    assert place in packaged().lower(sentence_of(item), "en")


def test_every_place_is_in_the_catalogue():
    for place in (name for row in PLACES for name in row):
        assert packaged().lower(say(f"place.{place.replace(' ', '_')}"), "en") == place


def test_bold_is_what_the_exchange_changed():
    (place,) = searched(make_shortcuts(make_shortcut()), stale=False, remedy=REMEDY).found
    assert [strip.turned for strip in place.strips] == [
        (False,) * 3, (True, False, True), (False,) * 3, (True, False, True),
    ]  # fmt: skip
    assert place.frame == pytest.approx((1 / 28, 1 / 28, 5 / 28, 5 / 28))


def test_nobody_has_looked(make_material, foreign_run):
    part = shortcuts(make_material())
    assert isinstance(part, Missing)
    assert part.remedy is not None
    assert "--shortcuts --report" in part.remedy.values["command"]
    assert isinstance(shortcuts(Material(foreign_run)), Missing)


@pytest.mark.parametrize("found", [(), (make_shortcut(),)], ids=["none", "one"])
def test_the_page_shows_the_search(make_run, found):
    run = make_run()
    unused = (make_shortcut(used=False, class_name="<coat>"),)
    make_shortcuts(*found, unused=unused, weights="others").save(run.path / "evidence" / FILE)
    page = opsin.report(run).read_text("utf-8")
    assert ("The network recognises “shirt”" in page) == bool(found)
    assert ("No small place of the picture decides" in page) == (not found)
    assert "A mark on “&lt;coat&gt;” that the network hardly uses" in page
    assert "<coat>" not in page
    assert "3 images in one half" in page
    assert "a &lt;note&gt;" in page
    assert page.count('class="framed"') == 13 * (len(found) + 1)
    assert "The weights have changed since this search" in page
    assert all(item.section != "shortcuts" for item in summary(Material(run)).distrust)


def test_a_damaged_file_costs_only_this_part(make_run):
    run = make_run()
    (run.path / "evidence").mkdir()
    (run.path / "evidence" / FILE).write_text("torn")
    assert "is not valid JSON" in opsin.report(run).read_text("utf-8")
    assert summary(Material(run)).headlines


def test_a_real_search_is_current(twins):
    find_in_run(twins.marked, images=30)
    part = shortcuts(Material(twins.marked))
    assert isinstance(part, Searched)
    assert not part.stale
    assert part.found[0].class_name == "3"
    (told,) = [item for item in summary(Material(twins.marked)).distrust if item.section == "shortcuts"]
    assert (told.text, told.tone) == (part.found[0].sentence, "bad")


def test_the_record_is_read_back(tmp_path):
    record = make_shortcuts(make_shortcut(original=(0.5, 0.5, 3.0, 3.0)), unused=(make_shortcut(used=False),))
    record.save(tmp_path / "shortcuts.json")
    again = Shortcuts.load(tmp_path / "shortcuts.json")
    assert again.as_dict() == record.as_dict()
    np.testing.assert_array_equal(again.unused[0].examples, record.unused[0].examples)
    assert dataclasses.replace(again.found[0], map=0, examples=0) == dataclasses.replace(
        record.found[0], map=0, examples=0
    )
