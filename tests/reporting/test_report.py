"""`opsin.report`: where it writes, what it refuses, and that damage costs only its own part."""

import pytest

import opsin
from opsin.errors import OpsinError
from opsin.reporting.parts.material import Missing
from opsin.reporting.report import PARTS, make_parts


def test_it_writes_into_the_run_folder_or_where_it_is_told(make_run, tmp_path):
    run = make_run()
    assert opsin.report(run) == run.path / "report.html"
    assert (
        opsin.report(run.path, out=tmp_path / "new" / "page.html", language="zh-CN")
        .read_text("utf-8")
        .startswith('<!DOCTYPE html>\n<html lang="zh-CN"')
    )
    assert opsin.report(str(run.path)).read_text("utf-8").startswith('<!DOCTYPE html>\n<html lang="en"')


def test_what_is_refused(make_run, tmp_path):
    run = make_run()
    with pytest.raises(OpsinError, match="is not a run"):
        opsin.report(tmp_path / "nowhere")
    with pytest.raises(OpsinError, match="language 'fr' was given; expected one of en, zh-CN"):
        opsin.report(run, language="fr")
    with pytest.raises(OpsinError, match="is a folder; give the name of the file"):
        opsin.report(run, out=tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OpsinError, match="cannot write"):
        opsin.report(run, out=tmp_path / "file" / "page.html")


def test_a_failed_report_leaves_the_old_one(make_run, monkeypatch):
    run = make_run()
    page = opsin.report(run)
    before = page.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OpsinError, match="No space left"):
        opsin.report(run)
    assert page.read_bytes() == before
    assert not list(run.path.glob(".*.tmp"))


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("snapshots/00000006.safetensors", "film"),
        ("embeddings/0001.safetensors", "embeddings"),
        ("batches/0000.safetensors", "inputs"),
    ],
)
def test_a_damaged_file_costs_only_its_own_part(make_run, file, part):
    run = make_run()
    (run.path / file).write_bytes(b"torn")
    parts = make_parts(opsin.Run(run.path))
    assert isinstance(parts[part], Missing)
    assert parts[part].reason.key == "missing.damaged"
    assert file.rpartition("/")[2] in parts[part].reason.values["why"]
    unchecked = {"why", "shortcuts"}  # nothing was checked on this run
    shared = {"filters"} if file.startswith("snapshots") else set()  # the last snapshot holds the filters, too
    assert {name for name in PARTS if isinstance(parts[name], Missing)} == {part, *shared, *unchecked}
    assert "safetensors" in opsin.report(run).read_text("utf-8")


def test_parts_know_no_html(make_run):
    """Another drawing will take the place of this page: no part may hold a piece of it."""
    import dataclasses

    def texts(value):
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            for item in dataclasses.fields(value):
                yield from texts(getattr(value, item.name))
        elif isinstance(value, dict):
            for item in value.values():
                yield from texts(item)
        elif isinstance(value, tuple | list):
            for item in value:
                yield from texts(item)
        elif isinstance(value, str):
            yield value

    parts = make_parts(make_run(score_changes={"baselines": (), "notes": ()}, info={"choices": []}))
    found = list(texts(parts))
    assert found
    assert not [text for text in found if "<" in text or hasattr(text, "__html__")]
