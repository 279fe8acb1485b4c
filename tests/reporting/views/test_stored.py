"""What a report carries for its views: that it can be found again, and that it stays small."""

import dataclasses
import gzip
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin.errors import OpsinError
from opsin.reporting.views import stored as module
from opsin.reporting.views import wire
from opsin.reporting.views.questions import answer
from opsin.reporting.views.stored import PICTURE_SIDE, chunk, stored
from opsin.reporting.views.subject import Subject

CHOICES = Path(__file__).parents[3] / "web" / "src" / "views" / "why" / "choices.ts"


def opened(chunks) -> dict[str, object]:
    """Every answer by its key, as the browser gets it."""
    found = {}
    for one in chunks:
        content, buffers = wire.decode(gzip.decompress(one.data))
        assert tuple(content["answers"]) == one.keys
        for key, place in content["answers"].items():
            assert key not in found
            own = buffers[place["first"] : place["first"] + place["count"]]
            found[key] = wire.unpack(place["document"], own)
    return found


@pytest.fixture(scope="module")
def digits_subject(digits_run):
    return Subject.of(digits_run)


@pytest.fixture(scope="module")
def carried(digits_subject):
    return stored(digits_subject)


@pytest.fixture(scope="module")
def answers(carried):
    return opened(carried.chunks)


def test_answers_lie_in_one_message_each_with_its_own_buffers():
    one = chunk(
        "x", [("maps", {"b": 1.0, "a": "ä"}, {"v": np.ones(3, np.float32)}), ("steps", {}, {"w": [np.zeros(2)]})]
    )
    assert one.keys == ('maps {"a":"ä","b":1}', "steps {}")
    found = opened([one])
    np.testing.assert_array_equal(found["steps {}"]["w"][0], np.zeros(2, np.float32))
    np.testing.assert_array_equal(found[one.keys[0]]["v"], np.ones(3))


def test_the_same_answers_are_the_same_bytes(digits_subject):
    asked = [("subject", {}, answer(digits_subject, "subject", {}))]
    assert chunk("x", asked) == chunk("x", asked)


def test_a_small_network_is_live_and_has_all_its_views(carried, digits_run):
    assert carried.live
    assert set(carried.views) == {"flow", "why", "classes", "space", "film"}
    assert carried.image == "probe/0"
    assert carried.explained == len(digits_run.probe.images)


def test_what_is_carried_is_what_would_be_answered(answers, digits_subject):
    for key in ("subject {}", "graph {}", 'curves {"index":3,"split":"test"}', 'classes {"epoch":null,"split":"test"}'):
        question, _, args = key.partition(" ")
        document, buffers = wire.pack(answer(digits_subject, question, json.loads(args)))
        direct = wire.unpack(document, buffers)
        np.testing.assert_equal(answers[key], direct)


def test_the_film_has_the_steps_that_it_says_it_has(answers, digits_subject, digits_run):
    steps = answers["steps {}"]["snapshots"].tolist()
    assert steps == answers["probe {}"]["steps"].tolist()
    assert steps[0] == 0
    assert steps[-1] == digits_run.snapshot_steps[-1]
    assert len(steps) <= module.FILM_STEPS
    for step in steps:
        whole = answer(digits_subject, "snapshot", {"step": step})
        kept = answers[f'snapshot {{"step":{step}}}']
        assert set(kept["layers"]) == {layer["name"] for layer in answers["probe {}"]["layers"]}
        for layer in answers["probe {}"]["layers"]:
            found = kept["layers"][layer["name"]]
            assert found["values"].shape[1] == layer["kept"] == len(found["channels"])
            np.testing.assert_array_equal(found["values"], whole["layers"][layer["name"]]["values"][:, : layer["kept"]])


def test_the_film_is_made_smaller_until_it_fits(digits_subject, monkeypatch):
    carrying = module._Carrying(digits_subject)
    probe = carrying.ask("probe")
    whole = len(chunk("", module._fitting(carrying, probe)).data)
    monkeypatch.setattr(module, "MOST_BYTES", whole // 3)
    answered = module._fitting(carrying, probe)
    assert len(chunk("", answered).data) <= whole // 3
    assert {question for question, _, _ in answered} == {"snapshot", "probe"}


def test_the_pictures_are_those_that_the_views_name(answers):
    sheet = answers["pictures {}"]
    ids = set(sheet["ids"])
    assert {f"probe/{at}" for at in range(16)} <= ids
    for key, found in answers.items():
        if key.startswith(("space ", "gallery ")):
            assert set(found["ids"]) <= ids, key
    assert sheet["sheet"].type == "image/png"  # digits are small: nothing is lost
    assert sheet["sizes"].max() <= PICTURE_SIDE
    assert sheet["grey"]


def test_a_picture_lies_where_the_sheet_says(answers, digits_run):
    sheet = answers["pictures {}"]
    pixels = np.asarray(Image.open(io.BytesIO(sheet["sheet"].data)).convert("L"))
    for position, id in enumerate(sheet["ids"][:16]):
        top, left = position // sheet["columns"] * sheet["side"], position % sheet["columns"] * sheet["side"]
        height, width = sheet["sizes"][position]
        np.testing.assert_array_equal(
            pixels[top : top + height, left : left + width], digits_run.probe.images[int(id[6:])][..., 0]
        )


def test_methods_that_the_view_shows_first_are_carried(answers):
    listed = re.search(r"const FILLING = \[(.*?)\]", CHOICES.read_text("utf-8"))
    assert listed is not None
    first = re.findall(r'"(\w+)"', listed[1])
    assert tuple(first) == module.WHY_METHODS
    for method in first:
        (found,) = answers[f'why {{"images":"probe","methods":["{method}"]}}']["methods"]
        assert len(found["targets"]) == 16
    assert len(answers['answers {"images":"probe"}']["names"]) == 16


def test_too_many_methods_or_pictures_are_left_out(digits_subject, monkeypatch):
    monkeypatch.setattr(module, "WHY_BYTES", 100_000)
    carrying = module._Carrying(digits_subject)
    module._why(carrying)
    keys = carrying.chunks[0].keys
    assert 1 <= sum(key.startswith("why") for key in keys) < 8
    assert 4 <= module._explained(digits_subject) < 16


def test_a_network_that_does_not_run_in_a_browser_shows_one_picture(digits_subject, monkeypatch):
    monkeypatch.setattr(module.offline, "offline", lambda _: "it has 12 weights too many")
    found = stored(digits_subject)
    assert not found.live
    assert found.why_not == "it has 12 weights too many"
    assert "flow" in found.views
    keys = opened(found.chunks)
    assert {'maps {"image":"probe/0"}', 'input {"image":"probe/0"}', "graph {}"} <= set(keys)
    assert "offline {}" not in keys


def test_a_run_of_somebody_elses_loop_shows_what_was_recorded(foreign_run):
    found = stored(Subject.of(foreign_run))
    assert found.views == ("film",)
    assert not found.live


def test_a_mistake_of_ours_is_not_taken_for_something_missing(make_run, monkeypatch):
    subject = Subject.of(make_run())

    def broken(_):
        raise ZeroDivisionError

    monkeypatch.setattr(module, "VIEWS", {"space": broken})
    with pytest.raises(ZeroDivisionError):
        stored(subject)

    def missing(_):
        raise OpsinError("no")

    monkeypatch.setattr(module, "VIEWS", {"classes": missing, "space": missing})
    assert stored(subject).views == ("film",)


def test_many_photographs_stay_small(digits_subject, monkeypatch):
    """1,000 photographs, as different as photographs can be: noise."""
    rng = np.random.default_rng(0)
    seen = digits_subject.images["probe/0"]

    class Photographs:
        def __getitem__(self, id):
            return dataclasses.replace(seen, id=id, pixels=rng.integers(0, 256, (90, 120, 3), np.uint8))

    subject = Subject.of(digits_subject.run)
    monkeypatch.setattr(subject, "images", Photographs())
    (kept,) = module._pictures(subject, [f"test/{at}" for at in range(1000)])
    assert kept[2]["sheet"].type == "image/jpeg"
    assert len(kept[2]["sheet"].data) < 2_500_000


def test_a_whole_report_is_small(digits_report):
    assert digits_report.stat().st_size < 8_000_000
    assert opsin.__version__ in digits_report.read_text("utf-8")
