"""The records of a graph and of one number's arithmetic, without any network."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from opsin.errors import OpsinError
from opsin.records import Graph, Node, Term, Trace
from opsin.records.trace import join_terms, no_terms, term_array


@pytest.fixture
def trace() -> Trace:
    window = term_array(
        "input", [(0, -1, 0), (0, 1, 0)], [0.0, 1.5], [2.0, -2.0], [0.0, -3.0], "conv.weight",
        [(0, 0, 0, 0), (0, 0, 0, 1)], [True, False],
    )  # fmt: skip
    row = term_array("tokens", [(4,)], [0.5], [math.nan], [0.25])
    return Trace(
        "conv", "conv2d", (0, 0, 2), -2.65, join_terms([window, row]), bias=0.1, receptive_field=(0, 0, 2, 2),
        fields={"input": ((0, 1), (0, 2), (0, 2))}, details={"mean": 0.5}, shape=(1, 4, 4), image="a.png",
    )  # fmt: skip


def test_the_sums(trace):
    assert trace.total == pytest.approx(-2.65)
    assert trace.magnitude == pytest.approx(3.35)
    assert trace.opens
    assert trace.agrees
    assert len(trace) == 3


def test_a_total_that_is_not_the_value_does_not_agree(trace):
    import dataclasses

    assert not dataclasses.replace(trace, value=-2.6501).agrees
    assert dataclasses.replace(trace, value=-2.6501, precision="bfloat16").agrees
    assert dataclasses.replace(trace, value=-2.65 - 3e-5).agrees


def test_terms_come_back_with_their_places(trace):
    assert trace.term(0) == Term("input", (0, -1, 0), 0.0, 2.0, 0.0, "conv.weight", (0, 0, 0, 0), True)
    assert trace.term(2)[:3] == ("tokens", (4,), 0.5)
    assert trace.term(2).weight_position == ()
    assert [term.product for term in trace.largest(2)] == [-3.0, 0.25]


def test_plain_values_are_json(trace):
    found = json.loads(json.dumps(trace.as_dict(), allow_nan=False))
    assert found["terms"][2]["weight"] is None
    assert found["terms"][0]["position"] == [0, -1, 0]
    assert (found["agrees"], found["opens"], found["receptive_field"]) == (True, True, [0, 0, 2, 2])


def test_a_saved_trace_is_the_same(trace, tmp_path):
    trace.save(tmp_path / "one.safetensors")
    again = Trace.load(tmp_path / "one.safetensors")
    assert [again.term(at)[:3] for at in range(3)] == [trace.term(at)[:3] for at in range(3)]
    assert np.array_equal(again.terms.product, trace.terms.product)
    assert again.as_dict() == trace.as_dict()
    assert again.fields == trace.fields


def test_one_that_does_not_open_is_saved_too(tmp_path):
    closed = Trace("sort", "sort", (1,), math.nan, no_terms(), note="sort is not opened")
    closed.save(tmp_path / "closed.safetensors")
    again = Trace.load(tmp_path / "closed.safetensors")
    assert math.isnan(again.value)
    assert (again.total, again.error, again.agrees, again.opens, len(again)) == (None, None, False, False, 0)


def test_another_file_is_refused(trace, tmp_path):
    from opsin.files import write_tensors

    write_tensors(tmp_path / "other.safetensors", {"maps": np.zeros(3)})
    with pytest.raises(OpsinError, match=r"holds no Trace; expected a file that Trace\.save wrote"):
        Trace.load(tmp_path / "other.safetensors")
    write_tensors(tmp_path / "old.safetensors", {"input": np.zeros(3)}, {"Trace": "{}"})
    with pytest.raises(OpsinError, match="is no Trace of this version"):
        Trace.load(tmp_path / "old.safetensors")


def test_a_graph_finds_nodes_by_name_and_by_module():
    nodes = (
        Node("input", "", "input", (), (1, 4, 4)),
        Node("block.conv", "block.conv", "conv2d", ("input",), (2, 4, 4)),
        Node("block.add", "block", "add", ("block.conv", "input"), (2, 4, 4)),
    )
    graph = Graph(nodes, "block.add")
    assert graph.node("block.conv") is nodes[1]
    assert graph.node("block") is nodes[2]
    with pytest.raises(OpsinError, match=r"no layer 'block.cov' \(did you mean block.conv"):
        graph.node("block.cov")
    assert json.loads(json.dumps(graph.as_dict()))["nodes"][1]["shape"] == [2, 4, 4]
