"""The built views that the package ships belong to the sources beside them."""

import json
import re
from pathlib import Path

import pytest

from opsin.errors import OpsinError
from opsin.reporting import built
from opsin.reporting.built import ROOTS, script, sources_digest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
STATIC = ROOT / "src" / "opsin" / "reporting" / "static"


def test_the_built_files_are_those_of_the_sources():
    """`make web` builds them."""
    stamp = json.loads((STATIC / "sources.json").read_text("utf-8"))
    assert stamp["sha256"] == sources_digest(WEB), "the views were built of other sources: run make web"


def test_any_change_of_a_source_is_seen(tmp_path):
    (tmp_path / "src" / "views").mkdir(parents=True)
    for name in ROOTS[1:]:
        (tmp_path / name).write_text("x")
    source = tmp_path / "src" / "views" / "a.ts"
    source.write_text("1")
    first = sources_digest(tmp_path)
    assert sources_digest(tmp_path) == first
    source.write_text("2")
    changed = sources_digest(tmp_path)
    source.rename(source.with_name("b.ts"))
    renamed = sources_digest(tmp_path)
    (tmp_path / "package-lock.json").write_text("y")
    assert len({first, changed, renamed, sources_digest(tmp_path)}) == 4


def test_both_sides_look_at_the_same_sources():
    listed = re.search(r"const ROOTS = (\[.*?\]);", (WEB / "build.js").read_text("utf-8"))
    assert listed is not None
    assert tuple(json.loads(listed[1])) == ROOTS


@pytest.mark.parametrize("name", ["widget.js", "report.js"])
def test_each_host_of_one_file_is_one_file(name):
    text = script(name)
    fetched = re.search(r"\bimport\(|^import\s|[;}]import\s*[\"'{*]", text, re.MULTILINE)
    assert fetched is None, "it would fetch another file"
    assert not re.search(r"</?script", text, re.IGNORECASE)  # it can stand in a page
    assert "OPSIN_STYLE" not in text  # its style sheet is in it
    assert "--accent" in text


def test_the_studio_is_a_page_and_its_files():
    page = (STATIC / "studio.html").read_text("utf-8")
    wanted = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page)
    assert wanted
    for path in wanted:
        assert path.startswith("static/")
        assert (STATIC / path.removeprefix("static/")).is_file()
    assert "<style" not in page
    assert not re.search(r"<script(?![^>]* src=)", page)  # the studio's policy allows no script in the page


def test_no_address_is_fetched_from_elsewhere():
    for path in STATIC.rglob("*.css"):
        assert not re.search(r"url\((?!data:)|@import", path.read_text("utf-8")), path


def test_what_was_not_built_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(built, "files", lambda _: tmp_path)
    with pytest.raises(OpsinError, match=r"the views are not built \(widget.js is missing\); run make web"):
        script("widget.js")
