"""How commands show what they found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from opsin.cli.show import program


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Path:
    """An environment of which `python` runs, with `opsin` beside it."""
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "opsin").write_text("#!/bin/sh\n")
    (folder / "opsin").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    return folder


def test_a_program_that_is_not_found_by_name_is_called_with_its_folder(installed, tmp_path, monkeypatch):
    assert program() == str(Path(".venv/bin/opsin"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert program() == str(installed / "opsin")


def test_a_program_that_is_found_by_name_is_called_by_it(installed, monkeypatch):
    monkeypatch.setenv("PATH", str(installed))
    assert program() == "opsin"


def test_another_program_of_that_name_is_not_called(installed, tmp_path, monkeypatch):
    other = tmp_path / "opsin"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == str(Path(".venv/bin/opsin"))


def test_without_a_program_beside_python_its_name_is_all_there_is(installed):
    (installed / "opsin").unlink()
    assert program() == "opsin"
