"""Documents with arrays and pictures beside them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from opsin.errors import OpsinError
from opsin.reporting.views.wire import Picture, canonical, decode, encode, pack, unpack

arrays = hnp.arrays(
    st.sampled_from([np.uint8, np.int32, np.float32]), hnp.array_shapes(min_side=0), elements=st.just(7)
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | arrays
    | st.builds(Picture, st.binary(), st.just("image/png")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text().filter(lambda key: "$" not in key), inner),
    max_leaves=12,
)


def same(one, other) -> bool:
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@given(values)
def test_a_packed_value_comes_back_through_a_message(value):
    document, buffers = pack(value)
    content, received = decode(encode({"kind": "answer", "answer": document}, buffers))
    assert content["kind"] == "answer"
    assert same(value, unpack(content["answer"], received))


@pytest.mark.parametrize(
    ("given", "sent"),
    [(np.float64(2.5), 2.5), (np.int64(3), 3), (np.bool_(True), True), (float("nan"), None), (float("inf"), None),
     ((1, 2), [1, 2]), ({3: "x"}, {"3": "x"})],
)  # fmt: skip
def test_plain_values(given, sent):
    document, buffers = pack(given)
    assert document == sent
    assert not buffers


@pytest.mark.parametrize(
    ("given", "dtype"), [(np.bool_, "uint8"), (np.int64, "int32"), (np.float64, "float32"), (np.float16, "float32")]
)
def test_arrays_become_the_nearest_type(given, dtype):
    assert pack(np.zeros((2, 3), given))[0] == {"$array": 0, "dtype": dtype, "shape": [2, 3]}


@pytest.mark.parametrize("value", [object(), np.zeros(2, complex), {"deep": [object()]}])
def test_something_else_is_a_mistake(value):
    with pytest.raises(TypeError):
        pack(value)


@pytest.mark.parametrize(
    ("document", "buffers"),
    [
        ({"$array": 0, "dtype": "float32", "shape": [2]}, [b"1234"]),
        ({"$array": 0, "dtype": "float64", "shape": [1]}, [b"12345678"]),
        ({"$array": 0, "dtype": "uint8", "shape": [-1]}, [b"1"]),
        ({"$array": 0, "dtype": "uint8", "shape": "4"}, [b"1234"]),
        ({"$array": 1, "dtype": "uint8", "shape": [1]}, [b"1"]),
        ({"$array": True, "dtype": "uint8", "shape": [1]}, [b"1", b"1"]),
        ({"$picture": -1, "type": "image/png"}, [b"1"]),
    ],
)
def test_a_document_that_does_not_fit_its_buffers(document, buffers):
    with pytest.raises(OpsinError, match="load the page again"):
        unpack(document, buffers)


@given(st.binary(max_size=64))
def test_no_message_crashes_the_reader(message):
    try:
        content, buffers = decode(message)
    except OpsinError as error:
        assert "load the page again" in str(error)  # noqa: PT017
    else:
        assert isinstance(content, dict)
        assert isinstance(buffers, list)


def test_a_buffer_outside_of_the_message():
    header = json.dumps({"kind": "ask", "buffers": [100]}).encode()
    with pytest.raises(OpsinError, match="outside of the message"):
        decode(len(header).to_bytes(4, "little") + header + b"short")


def test_questions_that_mean_the_same_have_one_text():
    assert canonical({"b": 1.0, "a": [1, {"d": 2.5}]}) == '{"a":[1,{"d":2.5}],"b":1}'
    assert canonical({"a": (1, 2)}) == canonical({"a": [1.0, 2.0]})
    assert canonical("中") == '"中"'
