from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from opsin.data.sources.manifest import find
from opsin.errors import OpsinError


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """`images/0.png` ... `images/5.png`, and one outside."""
    root = tmp_path_factory.mktemp("m") / "data"
    (root / "images").mkdir(parents=True)
    for number in range(6):
        Image.new("L", (3, 3), number).save(root / "images" / f"{number}.png")
    Image.new("L", (3, 3)).save(root.parent / "outside.png")
    return root


def csv(folder: Path, text: str | bytes, name: str = "labels.csv") -> Path:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def parquet(folder: Path, **columns: Sequence[Any]) -> Path:
    pq.write_table(pa.table(columns), folder / "labels.parquet")
    return folder / "labels.parquet"


PATHS = [f"images/{number}.png" for number in range(4)]


def test_csv(folder: Path):
    found = find(csv(folder, "path,label\nimages/1.png,dog\nimages/0.png,cat\n"))
    assert found.name == "labels"
    assert found.pictures == [folder / "images/1.png", folder / "images/0.png"]
    assert (found.labels, found.names) == (["dog", "cat"], ["images/1.png", "images/0.png"])
    assert (found.splits, found.groups, found.notes, found.unreadable) == (None, None, (), ())


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_dialect_reads_the_same(folder: Path, delimiter: str, start: str, end: str):
    rows = [
        ["Label", " path", "GROUP", "Split"],
        ['"a, b; c"', "images/0.png", "p1", "Train"],
        [],
        ["x", "images/1.png", "", ""],
    ]
    text = start + end.join(delimiter.join(row) for row in rows)
    found = find(csv(folder, text))
    assert found.labels == ["a, b; c", "x"]
    assert found.splits == ["train", None]
    assert found.groups == ["p1", ""]


def test_split_words_and_unused_columns(folder: Path):
    text = "path,label,split,age\n" + "".join(
        f"images/{at}.png,a,{word},3\n" for at, word in enumerate(["train", "VAL", "valid", "validation", "test", ""])
    )
    found = find(csv(folder, text))
    assert found.splits == ["train", "validation", "validation", "validation", "test", None]
    assert found.notes == ("columns that are not used: age",)


def test_empty_splits_are_none(folder: Path):
    assert find(csv(folder, "path,label,split\nimages/0.png,a,\nimages/1.png,b,\n")).splits is None


@pytest.mark.parametrize(
    ("labels", "texts"),
    [
        ([3, 10, 3, 2], ["3", "10", "3", "2"]),
        ([1.0, 0.0, 1.0, 0.0], ["1", "0", "1", "0"]),
        ([True, False, True, True], ["True", "False", "True", "True"]),
        (pa.array(["cat", "dog", "cat", "dog"]).dictionary_encode(), ["cat", "dog", "cat", "dog"]),
    ],
)
def test_parquet_with_labels_of_any_type(folder: Path, labels: Any, texts: list[str]):
    found = find(
        parquet(folder, path=PATHS, label=labels, group=[7, 7, None, 8], split=["train", "train", None, "val"])
    )
    assert found.labels == texts
    assert found.groups == ["7", "7", "", "8"]
    assert found.splits == ["train", "train", None, "validation"]


def test_csv_and_parquet_say_the_same(folder: Path):
    one = find(csv(folder, "path,label\n" + "".join(f"{path},{at}\n" for at, path in enumerate(PATHS))))
    other = find(parquet(folder, path=PATHS, label=range(4)))
    assert vars(one) == vars(other)


def test_missing_files_are_listed(folder: Path):
    found = find(csv(folder, "path,label\nimages/0.png,a\ngone.png,a\nimages,b\nimages/1.png,b\n"))
    assert found.names == ["images/0.png", "images/1.png"]
    assert [tuple(item) for item in found.unreadable] == [
        ("gone.png", "there is no such file"),
        ("images", "there is no such file"),
    ]


def test_a_path_may_be_absolute_or_wind_inside_the_folder(folder: Path):
    inside = folder / "images" / "0.png"
    found = find(csv(folder, f"path,label\n{inside},a\nimages/../images/1.png,b\n"))
    assert found.names == ["images/0.png", "images/1.png"]


def test_repeated_rows_count_once(folder: Path):
    found = find(csv(folder, "path,label\nimages/0.png,a\n./images/0.png,a\nimages/1.png,b\n"))
    assert found.names == ["images/0.png", "images/1.png"]
    assert found.notes == ("rows that repeat another one count once (1)",)


BAD = {
    "no header": ("images/0.png,cat\n", "lacks the column path, label, it has images/0.png, cat; expected a header"),
    "no label column": ("path,class\nimages/0.png,cat\n", "lacks the column label, it has path, class; expected"),
    "twice": ("path,label,Label\na,b,c\n", "has the column label more than once"),
    "empty": ("", "is empty; expected a header with the columns path and label"),
    "blank": ("\n \n", "is empty"),
    "only a header": ("path,label\n", "has no rows; expected one per image"),
    "empty label": ("path,label\nimages/0.png,a\n\nimages/1.png, \n", "has no label in line 4; fill it"),
    "empty path": ("path,label\n,a\n", "has no path in line 2"),
    "split": ("path,label,split\nimages/0.png,a,dev\n", "the split 'dev' in line 2; expected train, val"),
    "few": ("path,label\nimages/0.png,a\nimages/1.png\n", "has 1 entries in line 3; expected 2"),
    "many": ("path,label\nimages/0.png,a,b\n", "has 3 entries in line 2; expected 2, .* put quotes around"),
    "two labels": (
        "path,label\nimages/0.png,a\nimages/0.png,b\n",
        "with the label a in line 2 and b in line 3",
    ),
    "two splits": (
        "path,label,split\nimages/0.png,a,train\nimages/0.png,a,test\n",
        "images/0.png with the split train in line 2 and test in line 3",
    ),
    "torn group": (
        "path,label,split,group\nimages/0.png,a,train,p\nimages/1.png,a,,p\nimages/2.png,b,test,p\n",
        r"the group p in train \(line 2\) and in test \(line 4\); a group is never divided",
    ),
    "looks equal": (
        "path,label\nimages/0.png,Cat \nimages/1.png,cat\n",
        "the classes 'Cat ' and 'cat', which are",
    ),
    "up": ("path,label\n../outside.png,a\n", r"names ../outside.png in line 2, which is outside its folder; expected"),
    "itself": ("path,label\n.,a\n", "names . in line 2, which is outside its folder"),
    "absolute": ("path,label\n/etc/passwd,a\n", "names /etc/passwd in line 2, which is outside"),
    "hidden up": ("path,label\nimages/../../outside.png,a\n", "line 2, which is outside"),
    "windows up": ("path,label\n..\\outside.png,a\n", "line 2, which is outside"),
    "zero": ("path,label\na\0b,a\n", "a path with a zero character in line 2"),
    "none there": ("path,label\nx.png,a\ny.png,b\n", "names 2 files and none of them exists, first x.png; expected"),
    "class gone": ("path,label\nimages/0.png,a\nx.png,b\n", "none of the files of the class b exists, first x.png"),
    "huge": (f"path,label\nimages/0.png,{'a' * 200_000}\n", "cannot be read in line 2: field larger than"),
    "not text": (b"path,label\nimages/0.png,caf\xe9\n", r"is not UTF-8 text \(byte 27\); save it as CSV UTF-8"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_csv_is_one_line_that_names_the_row(folder: Path, name: str):
    text, says = BAD[name]
    with pytest.raises(OpsinError, match=says) as caught:
        find(csv(folder, text))
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"path": PATHS}, "lacks the column label, it has path"),
        ({"path": PATHS, "label": ["a", None, "b", "b"]}, "has no label in row 2"),
        ({"path": PATHS, "label": [1.0, 2.0, 3.0, float("nan")]}, "has no label in row 4"),
        ({"path": PATHS, "label": [["a"]] * 4}, "in the column label; expected one text or number per image"),
        ({"path": PATHS, "label": list("abcd"), "split": ["train", "x", "", ""]}, "the split 'x' in row 2"),
        ({"path": ["a", "../b", "c", "d"], "label": list("abcd")}, "names ../b in row 2, which is outside"),
        ({"path": [], "label": []}, "has no rows"),
    ],
)
def test_a_bad_parquet_is_one_line_that_names_the_row(folder: Path, columns: dict[str, Any], says: str):
    with pytest.raises(OpsinError, match=says) as caught:
        find(parquet(folder, **columns))
    assert "\n" not in str(caught.value)


def test_a_damaged_parquet(folder: Path):
    file = parquet(folder, path=PATHS, label=list("abab"))
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(OpsinError, match="cannot be read as Parquet"):
        find(file)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_must_not_lead_out_either(folder: Path):
    link, way = folder / "images" / "link.png", folder / "way"
    link.symlink_to(folder.parent / "outside.png")
    way.symlink_to(folder.parent, target_is_directory=True)
    try:
        for path in ("images/link.png", "way/outside.png"):
            with pytest.raises(OpsinError, match=f"names {path} in line 2, which is outside its folder"):
                find(csv(folder, f"path,label\n{path},a\n"))
        link.unlink()
        link.symlink_to(folder / "images" / "0.png")
        assert find(csv(folder, "path,label\nimages/link.png,a\nimages/1.png,b\n")).names[0] == "images/0.png"
    finally:
        link.unlink()
        way.unlink()


@pytest.mark.skipif(os.sep != "/", reason="there a backslash is the separator")
def test_backslashes_of_windows(folder: Path):
    assert find(csv(folder, "path,label\nimages\\0.png,a\nimages\\1.png,b\n")).names == ["images/0.png", "images/1.png"]


LABELS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)


@given(st.lists(LABELS, min_size=4, max_size=4), st.sampled_from(",;\t"))
def test_any_label_survives(tmp_path_factory, folder: Path, labels: list[str], delimiter: str):
    import csv as writer
    import io
    import unicodedata

    out = io.StringIO()
    table = writer.writer(out, delimiter=delimiter)
    table.writerows([("path", "label"), *zip(PATHS, labels, strict=True)])
    try:
        found = find(csv(folder, out.getvalue(), "any.csv"))
    except OpsinError as error:
        assert "equal but for" in str(error)  # noqa: PT017
        return
    assert found.labels == [unicodedata.normalize("NFC", label) for label in labels]


@given(st.binary(max_size=60))
def test_no_bytes_whatever_end_in_a_traceback(folder: Path, data: bytes):
    for name in ("any.csv", "any.parquet"):
        with pytest.raises(OpsinError):
            find(csv(folder, data, name))
