"""Which questions a change on the disk concerns."""

import os

import pytest

from opsin.studio.follow import PARTS, QUESTIONS, changed_questions, written


@pytest.fixture
def run(tmp_path, make_run):
    (tmp_path / "snapshots").mkdir()
    return make_run(tmp_path)


def test_nothing_changes_by_looking(run):
    assert changed_questions(written(run), written(run)) == []


@pytest.mark.parametrize("part", PARTS)
def test_every_part_concerns_its_questions(run, part):
    before = written(run)
    path = run / PARTS[part][0]
    if path.suffix:
        path.write_text("something else, and longer than before" * 3)
    else:
        path.mkdir(exist_ok=True)
        (path / "new").write_text("")
        os.utime(path, (9, 9))  # a coarse clock
    assert changed_questions(before, written(run)) == sorted(QUESTIONS[part])


def test_a_line_more_is_seen_within_one_tick_of_the_clock(run):
    (run / "steps.jsonl").write_text("{}\n")
    before = written(run)
    state = (run / "steps.jsonl").stat()
    with (run / "steps.jsonl").open("a") as handle:
        handle.write("{")
    os.utime(run / "steps.jsonl", ns=(state.st_mtime_ns, state.st_mtime_ns))
    assert changed_questions(before, written(run)) == sorted(QUESTIONS["steps"])


def test_a_run_that_is_deleted_changes_everything(run, tmp_path):
    before = written(run)
    (run / "run.json").unlink()
    assert "subject" in changed_questions(before, written(run))


def test_every_part_has_its_questions():
    assert PARTS.keys() == QUESTIONS.keys()
