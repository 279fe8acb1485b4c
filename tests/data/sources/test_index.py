from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from tests.conftest import missing

from opsin.data.sources.index import INDEX
from opsin.data.sources.published import SETS


def test_every_set_has_a_name_that_can_be_typed():
    assert set(SETS) < set(INDEX)
    assert all(name == name.lower() and " " not in name for name in INDEX)


@pytest.mark.parametrize("name", ["mnist5k", "photos", "faces", "fashion-mnist"])
def test_what_is_listed_is_what_there_is(name: str):
    entry = INDEX[name]
    if not entry.here():
        missing(entry.needs)
    found = entry.find()
    assert found.name == name
    assert len(found) == entry.images
    assert len(set(found.labels)) == entry.classes
    pictures = np.asarray(found.pictures)
    colour = "grey" if pictures.ndim == 3 else "colour"
    assert entry.size == f"{pictures.shape[1]} x {pictures.shape[2]} {colour}"
    assert set(Counter(found.splits)) == {"train", "validation", "test"}
    assert len({found.names[at] for at in range(len(found))}) == len(found)
