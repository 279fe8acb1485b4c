"""The command line itself: exit codes, one line per error, help that is quick and complete."""

import subprocess
import sys

import pytest

from opsin.cli import VERBS, main


def test_help_names_every_verb(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_its_help(verb, capsys):
    assert main([verb, "--help"]) == 0
    assert verb in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (["trian", "x"], "trian"),
        (["train", "mnist5k", "--epoch", "3"], "--epoch"),
        (["train", "mnist5k", "--epochs", "zero"], "zero"),
        (["train", "mnist5k", "--epochs", "0"], "--epochs 0 cannot be used"),
        (["train", "mnist5k", "--momentum", "0.5"], "momentum=0.5 has no effect here: it needs optimizer=sgd"),
        (["train", "mnist5k", "--record", "false"], "false belongs to no setting; a switch takes no value"),
        (["train"], "nothing to train on"),
        (["train", "no/such/folder"], "no/such/folder"),
        (["train", "--resume"], "--resume needs to know which run"),
        (["predict", "no-model", "x.jpg"], "no-model"),
        (["evaluate", "no-model", "mnist5k"], "no-model"),
        (["report", "no/such/run"], "no/such/run"),
    ],
)
def test_misuse_is_one_line_and_exit_2(tokens, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(tokens) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.strip().splitlines()
    assert lines[-1].startswith("opsin: ")
    assert message in lines[-1]
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_is_no_error():
    command = [sys.executable, "-c", "from opsin.cli import main; raise SystemExit(main(['datasets']))"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, errors = process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in errors
