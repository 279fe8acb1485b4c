"""How a worker opens runs, files and a person's own classes, and what it refuses."""

import numpy as np
import pytest

import opsin
from opsin.errors import OpsinError
from opsin.files import read_json, write_json, write_tensors
from opsin.reporting.views.questions import answer
from opsin.studio.opening import open_subject
from opsin.studio.runs import Entry, Place, Shelf, identify
from opsin.training.view import Quiet

NET = """
import pathlib
from torch import nn

class CNN(nn.Module):
    def __init__(self, classes, channels=3):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3)
        self.fc = nn.Linear(4, classes)
    def forward(self, x):
        return self.fc(self.conv(x).relu().mean((2, 3)))

with pathlib.Path(__file__).with_suffix(".ran").open("a") as handle:
    handle.write("x")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder in which somebody works: my.py, and runs/ with one run of it and one of a network of Opsin's own."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "my.py").write_text(NET)
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 24), ("val", 12), ("test", 12)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, 12, 12), dtype=np.uint8)
        arrays[f"y_{split}"] = np.arange(count) % 2
    np.savez(folder / "data.npz", **arrays)
    data = opsin.load_data(folder / "data.npz")
    recipe = opsin.Recipe(epochs=1, embeddings=0)
    for name, network in (("own", f"{folder / 'my.py'}:CNN"), ("zoo", "simple_cnn")):
        model = opsin.build_model(network, classes=data.classes, channels=1, size=12)
        opsin.train(model, data, recipe, out=folder / "runs" / name, view=Quiet())
    return folder


@pytest.fixture
def here(home, monkeypatch):
    monkeypatch.chdir(home)
    (home / "my.ran").unlink(missing_ok=True)
    return home


def opened(place, name):
    entry = next(entry for entry in place.shelf.entries() if entry.name == name)
    return open_subject({**place.told(), "id": entry.id})


def given(**asked):
    entry = Entry(identify(b"x"), asked["model"], "model", "", 0.0, None, asked)
    return open_subject({**Place(Shelf(None, entry)).told(), "id": entry.id})


def test_a_run_is_opened_and_answers(here):
    subject = opened(Place(Shelf(here / "runs")), "zoo").fresh()
    found = answer(subject, "subject", {})
    assert found["name"] == "zoo"
    assert subject.model.classes == ("0", "1")


def test_a_model_file_is_opened_and_answers(here):
    (here / "models").mkdir(exist_ok=True)
    opsin.load_model("runs/zoo").save("models/net.safetensors")
    subject = opened(Place(Shelf(here / "models")), "net.safetensors").fresh()
    assert answer(subject, "subject", {})["parameters"] == answer_of_zoo(here)


def answer_of_zoo(here):
    return answer(opened(Place(Shelf(here / "runs")), "zoo").fresh(), "subject", {})["parameters"]


def test_code_of_a_run_is_not_run_unless_the_command_line_names_it(here):
    subject = opened(Place(Shelf(here / "runs")), "own").fresh()
    with pytest.raises(OpsinError, match=r"was trained on .*my.py:CNN, a class of its own.*opsin studio runs --code"):
        subject.model  # noqa: B018
    assert subject.run.status == "finished"  # what was recorded can be looked at
    assert not (here / "my.ran").exists()


@pytest.mark.parametrize("code", ["my.py:CNN", "./my.py:CNN"])
def test_code_that_the_command_line_names_opens_its_runs(here, code):
    subject = opened(Place(Shelf(here / "runs"), ("other.py:CNN", code)), "own").fresh()
    assert type(subject.model.module).__name__ == "CNN"
    assert (here / "my.ran").exists()


@pytest.mark.parametrize("code", ["my.py:Net", "other.py:CNN", "my:CNN"])
def test_other_code_does_not(here, code):
    with pytest.raises(OpsinError, match="which is run only when"):
        opened(Place(Shelf(here / "runs"), (code,)), "own").fresh().model  # noqa: B018


def test_code_beside_a_run_is_never_what_the_run_says(here, tmp_path):
    """A run that somebody sent, with code of theirs in the folder, does not bring it in under another name."""
    (here / "runs" / "evil.py").write_text(NET)
    info = read_json(here / "runs" / "own" / "run.json")
    before = dict(info)
    info["model"]["name"] = f"{here / 'runs' / 'evil.py'}:CNN"
    write_json(here / "runs" / "own" / "run.json", info)
    try:
        with pytest.raises(OpsinError, match="which is run only when"):
            opened(Place(Shelf(here / "runs"), ("my.py:CNN",)), "own").fresh().model  # noqa: B018
    finally:
        write_json(here / "runs" / "own" / "run.json", {**before, "model": {**before["model"], "name": "my.py:CNN"}})
        (here / "runs" / "evil.py").unlink()
    assert not (here / "runs" / "evil.ran").exists()


def test_a_class_with_weights_from_the_command_line(here):
    subject = given(model="my.py:CNN", weights="runs/own/weights/best.safetensors", size=12).fresh()
    assert subject.model.preprocess.channels == 1
    with pytest.raises(OpsinError, match=r"--channels has no effect: runs/zoo says that itself; it is for my.py:CNN"):
        given(model="runs/zoo", channels=1)


def test_weights_that_hold_code_do_not_run_it(here, tmp_path):
    """A pickle that would write a file when it is read."""
    import pickle

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "cnn.pth").write_bytes(pickle.dumps({"conv.weight": Trap()}))
    with pytest.raises(OpsinError):
        given(model="my.py:CNN", weights=str(tmp_path / "cnn.pth"), size=12)
    assert not (tmp_path / "ran").exists()


def test_another_subject_of_the_folder_can_be_compared_with_and_none_outside(here):
    place = Place(Shelf(here / "runs"), ("my.py:CNN",))
    subject = opened(place, "zoo").fresh()
    ((id, name),) = subject.other_names().items()
    assert name == "own"
    assert subject.other(id).model.classes == ("0", "1")
    with pytest.raises(OpsinError, match="is not here any more"):
        subject.other("../own")


def test_a_run_is_read_anew_after_it_wrote_and_its_network_only_with_its_weights(here):
    worker = opened(Place(Shelf(here / "runs")), "zoo")
    before, model = worker.fresh().run, worker.fresh().model
    assert worker.fresh().run is before
    run = here / "runs" / "zoo"
    with (run / "steps.jsonl").open("a") as handle:
        handle.write('{"torn')
    after = worker.fresh()
    assert after.run is not before
    assert after.run.steps == before.steps
    assert after.model is model
    (run / "weights" / "best.safetensors").rename(run / "weights" / "x")
    (run / "weights" / "x").rename(run / "weights" / "best.safetensors")
    assert worker.fresh().model is not model


def test_what_a_person_drew_stays_while_a_run_goes_on(here):
    worker = opened(Place(Shelf(here / "runs")), "zoo")
    id = worker.fresh().images.put(np.zeros((12, 12), np.uint8), "drawn").id
    (here / "runs" / "zoo" / "epochs.jsonl").write_bytes((here / "runs" / "zoo" / "epochs.jsonl").read_bytes() + b"\n")
    assert worker.fresh().images[id].name == "drawn"


def test_a_model_file_brings_no_code_in_either(here):
    (here / "models").mkdir(exist_ok=True)
    opsin.load_model("runs/own").save("models/own.safetensors")
    (here / "my.ran").unlink()
    with pytest.raises(OpsinError, match=r"^own.safetensors was trained on .*opsin studio models --code"):
        opened(Place(Shelf(here / "models")), "own.safetensors").fresh().model  # noqa: B018
    assert not (here / "my.ran").exists()
    opened(Place(Shelf(here / "models"), ("my.py:CNN",)), "own.safetensors").fresh().model  # noqa: B018
    assert (here / "my.ran").exists()


@pytest.mark.parametrize("about", ["", "[]", "{}", '{"architecture": 3}', "{"])
def test_a_damaged_description_is_one_line(here, about):
    write_tensors(here / "models" / "bad.safetensors", {"w": np.zeros(1, np.float32)}, {"opsin": about})
    with pytest.raises(OpsinError) as error:
        opened(Place(Shelf(here / "models")), "bad.safetensors").fresh().model  # noqa: B018
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_damaged_run_is_one_line(tmp_path, content):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text(content)
    with pytest.raises(OpsinError, match=r"^bad cannot be opened: its run.json was edited or cut off"):
        opened(Place(Shelf(tmp_path)), "bad")
