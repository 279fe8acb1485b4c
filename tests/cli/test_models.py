"""`opsin models`: what networks cost here."""

import json

import pytest

from opsin.cli import main
from opsin.models import catalogue


@pytest.fixture
def two(monkeypatch):
    """Only the two cheapest networks, so that the test measures little."""
    chosen = tuple(item for item in catalogue.CANDIDATES if item.name in ("seed_cnn", "lenet5"))
    monkeypatch.setattr(catalogue, "CANDIDATES", chosen)


def test_the_table_has_parameters_macs_and_latency(two, capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["network", "input"]
    row = next(line for line in lines if line.startswith("seed_cnn"))
    assert "1x28x28" in row
    assert "0.23" in row
    assert "2.6" in row


def test_json_lists_the_same(two, capsys):
    assert main(["models", "--for", "embedded", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["seed_cnn"]["parameters"] == 225_034
    assert rows["lenet5"]["milliseconds"] > 0


def test_another_use_is_misuse(capsys):
    assert main(["models", "--for", "phones"]) == 2
    assert "phones" in capsys.readouterr().err
