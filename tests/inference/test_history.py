"""What a run tells about the images that its model has seen."""

import numpy as np
import pytest
import torch

from opsin.errors import OpsinError
from opsin.inference.answers import answer
from opsin.inference.history import read_history, stored_validation, unseen


def test_a_run_tells_what_was_trained_and_tuned_on(model, data):
    history = read_history(model)
    assert history.trained == set(data.train.hashes)
    assert history.tuned == set(data.validation.hashes)
    left = unseen(data, np.arange(len(data)), [history, None])
    assert {data.hashes[i] for i in left} == set(data.hashes) - history.seen
    assert len(left) == len(data.test)


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_weights_file_inside_the_run_has_the_same_history(model, name):
    expected = read_history(model)
    model.origin = model.origin / "weights" / f"{name}.safetensors"
    assert read_history(model) == expected


def test_where_nothing_is_known_there_is_no_history(model, tmp_path):
    model.save(tmp_path / "elsewhere" / "model.safetensors")
    (model.origin / "splits.parquet").unlink()
    for origin in (None, tmp_path / "elsewhere" / "model.safetensors", model.origin):
        model.origin = origin
        assert read_history(model) is None


def test_stored_answers_are_those_of_the_network(model, data):
    stored = stored_validation(model, read_history(model))
    np.testing.assert_array_equal(stored.labels, data.validation.labels)
    # probabilities were stored: what vanished in float32 cannot come back
    expected = answer(model, data, data.validation.indices)
    np.testing.assert_allclose(np.exp(stored.log_probabilities), np.exp(expected), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("change", ["weights", "classes", "preprocess", "file", "precision"])
def test_another_network_does_not_get_them(model, change):
    history = read_history(model)
    assert stored_validation(model, history) is not None
    if change == "weights":
        with torch.no_grad():
            model.module[1].bias[0] += 1e-6
    elif change == "classes":
        model._classes = tuple(reversed(model.classes))
    elif change == "preprocess":
        model.preprocess = model.preprocess.model_copy(update={"mean": (0.4,)})
    elif change == "precision":
        model.module.double()
    else:
        (history.run / "predictions.parquet").unlink()
    assert stored_validation(model, history) is None


def test_a_damaged_file_is_named(model):
    (model.origin / "splits.parquet").write_bytes(b"nothing")
    with pytest.raises(OpsinError, match=r"cannot read .*splits\.parquet.*the run is damaged") as error:
        read_history(model)
    assert "\n" not in str(error.value)
