from __future__ import annotations

import pytest

from opsin.errors import OpsinError
from opsin.models import catalogue
from opsin.models.zoo.index import ZOO


def test_the_whole_zoo_is_listed():
    assert set(ZOO) <= {item.name for item in catalogue.CANDIDATES}
    assert len({item.name for item in catalogue.CANDIDATES}) == len(catalogue.CANDIDATES)


def test_rows_are_measured_here_and_sorted(monkeypatch: pytest.MonkeyPatch):
    small = tuple(item for item in catalogue.CANDIDATES if item.size < 64)
    monkeypatch.setattr(catalogue, "CANDIDATES", small)
    seen = []
    rows = catalogue.catalogue("embedded", repeats=2, threads=1, progress=lambda *step: seen.append(step))
    assert [step[0] for step in seen] == [item.name for item in small]
    assert [row.milliseconds for row in rows] == sorted(row.milliseconds for row in rows)
    row = next(row for row in rows if row.name == "seed_cnn")
    assert (row.parameters, row.macs, row.threads) == (225_034, 2_631_040, 1)
    assert row.megabytes == pytest.approx(0.9, abs=0.01)
    assert row.milliseconds > 0
    assert row.note


def test_each_use_has_networks_and_an_unknown_one_is_refused():
    assert {use for item in catalogue.CANDIDATES for use in item.uses} == {"embedded", "server"}
    with pytest.raises(OpsinError, match="'laptop'; expected embedded or server"):
        catalogue.catalogue("laptop")  # type: ignore[arg-type]
