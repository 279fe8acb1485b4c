from __future__ import annotations

import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsin.data.sources.classes import class_names, file_text, label_text
from opsin.errors import OpsinError

COMPOSED, TAKEN_APART = "caf\u00e9", "cafe\u0301"


def test_names_are_composed_and_trimmed():
    assert class_names([" cat", TAKEN_APART, "Ärger", " cat"], "x") == {
        " cat": "cat",
        TAKEN_APART: COMPOSED,
        "Ärger": "Ärger",
    }


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ("Cat ", "cat", "'Cat ' and 'cat'"),
        ("STRASSE", "straße", "'STRASSE' and 'straße'"),
        ("a\t", "a", r"'a\\t' and 'a'"),
        (COMPOSED, TAKEN_APART, r"'caf\\xe9' and 'cafe\\u0301'"),
        ("Caf\u00e9", TAKEN_APART, "'Café' and 'cafe\u0301'"),
    ],
)
def test_names_that_only_look_different_are_refused(first: str, second: str, shown: str):
    with pytest.raises(OpsinError, match=f"flowers has the classes {shown}, which are equal but for") as caught:
        class_names(["dog", first, second], "flowers")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("empty", ["", "  ", "\t"])
def test_a_class_needs_a_name(empty: str):
    with pytest.raises(OpsinError, match="flowers has a class without a name"):
        class_names(["cat", empty], "flowers")


@given(st.lists(st.text(max_size=4), max_size=8))
def test_names_differ_or_are_refused(raw: list[str]):
    try:
        names = class_names(raw, "x")
    except OpsinError:
        return
    assert set(names) == set(raw)
    keys = [unicodedata.normalize("NFC", name.casefold().strip()) for name in names.values()]
    assert len(set(keys)) == len(keys)
    assert all(name and name == unicodedata.normalize("NFC", name).strip() for name in names.values())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"), (3.0, "3"), ("3", "3"), (np.int64(3), "3"), (np.float32(3), "3"), (2.5, "2.5"), (True, "True"),
        (None, ""), (float("nan"), ""), (np.float32("nan"), ""), (b"cat", "cat"), (np.str_("cat"), "cat"), (-1, "-1"),
    ],
)  # fmt: skip
def test_label_text(value: object, text: str):
    assert label_text(value) == text


@pytest.mark.skipif(sys.platform == "win32", reason="there names are text")
def test_a_name_that_is_no_utf8_can_be_stored():
    assert file_text("caf\udce9").encode() == b"caf\\xe9"
    assert file_text("café 猫") == "café 猫"
