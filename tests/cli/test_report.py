"""`opsin report`."""

import json

import pytest

from opsin.cli import main


@pytest.fixture
def run_folder(tmp_path):
    """A recorded loop: the smallest run there is."""
    import torch
    from torch import nn

    import opsin

    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with opsin.record(net, torch.rand(2, 1, 4, 4), out=tmp_path / "run", labels=[0, 1]) as recording:
        recording.step(loss=1.0)
    return tmp_path / "run"


def test_it_prints_the_page_that_it_wrote(run_folder, capsys):
    assert main(["report", str(run_folder)]) == 0
    page = run_folder / "report.html"
    assert capsys.readouterr().out.strip() == str(page)
    assert page.read_text("utf-8").startswith("<!DOCTYPE html>")


def test_the_file_the_language_and_json(run_folder, tmp_path, capsys):
    page = tmp_path / "out" / "page.html"
    assert main(["report", str(run_folder), "--out", str(page), "--language", "zh-CN", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": page.as_posix()}
    assert '<html lang="zh-CN"' in page.read_text("utf-8")


def test_misuse_is_one_line_and_code_2(run_folder, tmp_path, capsys):
    for arguments, part in (
        ([str(tmp_path)], "is not a run"),
        ([str(run_folder), "--language", "fr"], "fr"),
        ([str(run_folder), "--out", str(tmp_path)], "is a folder"),
    ):
        assert main(["report", *arguments]) == 2
        error = capsys.readouterr().err
        assert part in error
        assert error.count("\n") == 1
