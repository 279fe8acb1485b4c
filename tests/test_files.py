"""Atomic files: the old one or the new one, never half of one."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsin.errors import OpsinError
from opsin.files import (
    plain,
    read_json,
    read_tensors,
    replacing,
    to_json,
    write_json,
    write_tensors,
    write_text,
)


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail_half_way():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OpsinError, match=r"cannot write .*choose a folder") as error:
        write_text(tmp_path / "file" / "a.txt", "x")
    assert "\n" not in str(error.value)


def test_full_disk_is_one_line(tmp_path):
    with pytest.raises(OpsinError, match="No space left"), replacing(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_numbers_that_json_lacks_become_null(tmp_path):
    write_json(tmp_path / "a.json", {"x": np.float32("nan"), "y": [np.inf, np.int64(3)], "z": (np.array([1.5]),)})
    assert read_json(tmp_path / "a.json") == {"x": None, "y": [None, 3], "z": [[1.5]]}


def test_damaged_files_are_named(tmp_path):
    (tmp_path / "a.json").write_text('{"x": ')
    with pytest.raises(OpsinError, match="not valid JSON"):
        read_json(tmp_path / "a.json")
    with pytest.raises(OpsinError, match="cannot read"):
        read_json(tmp_path / "missing.json")
    (tmp_path / "a.safetensors").write_bytes(b"nonsense")
    with pytest.raises(OpsinError, match=r"expected a \.safetensors file"):
        read_tensors(tmp_path / "a.safetensors")


def test_tensors_round_trip_also_when_strided(tmp_path):
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    write_tensors(tmp_path / "a.safetensors", {"a": array.transpose(2, 0, 1)}, {"k": "v"})
    arrays, metadata = read_tensors(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(arrays["a"], array.transpose(2, 0, 1))
    assert metadata == {"k": "v"}


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(values)
def test_every_plain_value_is_strict_json(value):
    assert json.loads(to_json(value)) == plain(value)
