"""Reading a run folder: what is there, what is not, and what is refused."""

import numpy as np
import pytest

import opsin
from opsin.errors import OpsinError
from opsin.files import read_json, write_json
from opsin.training.run import FORMAT, Run
from opsin.training.view import Quiet


def test_a_folder_without_a_run_and_a_newer_format_are_refused(tmp_path):
    with pytest.raises(OpsinError, match=r"is not a run: expected a folder with run\.json"):
        Run(tmp_path)
    write_json(tmp_path / "run.json", {"format": FORMAT + 1, "opsin": "9.9", "status": "finished"})
    with pytest.raises(OpsinError, match=r"was written by opsin 9\.9; update opsin to read it"):
        Run(tmp_path)


def test_what_is_not_there_is_none_or_empty(tmp_path):
    write_json(tmp_path / "run.json", {"format": FORMAT, "status": "running", "classes": ["a", "b"]})
    run = Run(tmp_path)
    assert run.status == "running"
    assert run.classes == ("a", "b")
    assert (run.probe, run.batch, run.scores, run.preprocess) == (None, None, None, None)
    assert (run.steps, run.epochs, run.snapshot_steps, run.embedding_epochs, run.loss_epochs) == ([], [], [], [], [])
    assert run.predictions() == {}
    with pytest.raises(OpsinError, match="does not say what it was trained on"):
        run.dataset()
    with pytest.raises(OpsinError, match="cannot read"):
        run.snapshot(100)


def test_its_data_opens_again_and_a_change_is_noticed(digits_run, tmp_path, monkeypatch):
    data = digits_run.dataset()
    assert data.fingerprint == digits_run.info["data"]["fingerprint"]
    assert [data.hashes[i] for i in digits_run.probe.indices] == digits_run.info["probe"]["hashes"]
    changed = Run(digits_run.path)
    changed.info = {**changed.info, "data": {**changed.info["data"], "fingerprint": "0" * 32}}
    with pytest.raises(OpsinError, match="has changed since training"):
        changed.dataset()


def test_arrays_in_memory_cannot_be_opened_again_and_it_says_so(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 12, 12), np.uint8)
    data = opsin.Dataset.from_arrays(images, [["a", "b"][i % 2] for i in range(60)])
    model = opsin.build_model("lenet5", classes=data.classes, channels=1, size=28, seed=0)
    recipe = opsin.Recipe(epochs=1, batch_size=32, record=False, embeddings=0)
    run = opsin.train(model, data, recipe, out=tmp_path / "run", view=Quiet())
    assert read_json(run.path / "run.json")["data"]["source"] == {}
    with pytest.raises(OpsinError, match="arrays") as error:
        run.dataset()
    assert "\n" not in str(error.value)
