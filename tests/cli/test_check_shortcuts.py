"""`opsin check RUN --shortcuts` from the outside."""

import json
import shutil
import subprocess
import sys

import pytest

from opsin.cli import main
from opsin.records import Shortcuts


@pytest.fixture
def runs(twins, tmp_path):
    """Copies of the two runs, to write into."""
    return {
        name: shutil.copytree(getattr(twins, name).path, tmp_path / name, dirs_exist_ok=True)
        for name in ("marked", "clean")
    }


def test_a_shortcut_exits_with_one_and_is_named(runs, capsys):
    assert main(["check", str(runs["marked"]), "--shortcuts"]) == 1
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0].startswith('The network recognises "3" by the bottom left corner (rows 22-26, columns 1-5): ')
    assert lines[-1] == f"kept in the run; show it with: opsin report {runs['marked']}"


def test_none_exits_with_zero(runs, capsys):
    assert main(["check", str(runs["clean"]), "--shortcuts"]) == 0
    assert capsys.readouterr().out.startswith("no shortcut found: ")


def test_one_json_document_one_entry_per_class(runs, twins):
    command = [sys.executable, "-c", "from opsin.cli import main; raise SystemExit(main())"]
    codes, found = [], []
    for name in ("marked", "clean"):
        done = subprocess.run(
            [*command, "check", str(runs[name]), "--shortcuts", "--json"], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        codes.append(done.returncode)
        found.append(json.loads(done.stdout)["shortcuts"])
    assert codes == [1, 0]
    assert [(entry["class"], entry["region"]) for entry in found[0]] == [("3", list(twins.box))]
    assert found[1] == []


def test_it_is_kept_and_reported(runs, tmp_path, capsys):
    out = tmp_path / "copy.json"
    assert main(["check", str(runs["marked"]), "--shortcuts", "--report", "--out", str(out)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == f"open {runs['marked'] / 'report.html'}"
    kept = Shortcuts.load(runs["marked"] / "evidence" / "shortcuts.json")
    assert kept.as_dict() == json.loads(out.read_text("utf-8"))
    page = (runs["marked"] / "report.html").read_text("utf-8")
    assert "bottom left corner" in page
    assert "左下角" in page
    assert not list((runs["marked"] / "evidence").glob(".*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{run}", "--shortcuts", "--method", "rise"], "--method has no effect with --shortcuts"),
        (["{run}", "--shortcuts", "--steps", "5"], "--steps has no effect with --shortcuts"),
        (["{run}", "picture.png", "--shortcuts"], "leave out the images"),
        (["{run}", "--shortcuts", "--weights", "x.pth"], "leave out the flags of my.py:CNN"),
        (["no/such/run", "--shortcuts"], "no/such/run is not a run: expected a folder with run.json"),
    ],
)
def test_misuse_is_one_line(runs, words, message, capsys):
    assert main(["check", *(word.format(run=runs["clean"]) for word in words)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert message in said.err


def test_data_that_is_gone_is_one_line_and_exit_2(runs, capsys):
    kept = sorted((runs["clean"] / "evidence").glob("*"))  # an earlier search may have left its own
    before = [path.read_bytes() for path in kept]
    info = json.loads((runs["clean"] / "run.json").read_text("utf-8"))
    info["data"]["source"]["source"] = str(runs["clean"] / "gone.npz")
    (runs["clean"] / "run.json").write_text(json.dumps(info), "utf-8")
    assert main(["check", str(runs["clean"]), "--shortcuts"]) == 2
    said = capsys.readouterr()
    assert len(said.err.strip().splitlines()) == 1
    assert "a run's own images, which cannot be opened" in said.err
    assert sorted((runs["clean"] / "evidence").glob("*")) == kept
    assert [path.read_bytes() for path in kept] == before
