"""Checking a run on images of its own: which they are, and what is kept."""

import numpy as np
import pytest

import opsin
from opsin.errors import OpsinError
from opsin.evidence.held_out import check_run, sample
from opsin.evidence.kept import kept

pytestmark = pytest.mark.filterwarnings("ignore::opsin.explanation.guards.MapWarning")
QUICK = {"measures": ["deletion"], "steps": 3, "images": 12}


def dataset(counts: dict[str, list[int]]):
    """Images of three classes, `counts[split][class]` of each."""
    labels = np.concatenate([np.repeat(np.arange(3), counts[split]) for split in counts])
    splits = np.concatenate([np.repeat(split, sum(counts[split])) for split in counts])
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8), np.uint8)
    return opsin.Dataset.from_arrays(images, labels, ("a", "b", "c"), splits=splits)


def test_the_sample_is_of_validation_images_and_as_even_as_possible():
    data = dataset({"train": [9, 9, 9], "validation": [30, 2, 8], "test": [9, 9, 9]})
    chosen = sample(data, 12, seed=0)
    assert set(data.splits[chosen]) == {"validation"}
    assert np.bincount(data.labels[chosen]).tolist() == [5, 2, 5]
    assert len(set(chosen.tolist())) == 12
    assert (np.diff(data.labels[chosen]) >= 0).all()


def test_the_sample_is_fixed_by_its_seed():
    data = dataset({"train": [9, 9, 9], "validation": [30, 20, 30], "test": [1, 1, 1]})
    np.testing.assert_array_equal(sample(data, 9, 3), sample(data, 9, 3))
    assert sample(data, 9, 3).tolist() != sample(data, 9, 4).tolist()
    assert len(sample(data, 500, 0)) == 80
    assert len({int(data.labels[sample(data, 1, seed)[0]]) for seed in range(20)}) == 3


def test_without_validation_images_it_says_so():
    data = dataset({"train": [9, 9, 9], "validation": [1, 1, 1], "test": [9, 9, 9]})
    data.splits = np.where(data.splits == "validation", "train", data.splits)
    with pytest.raises(OpsinError, match="has no validation images; give images"):
        sample(data, 5, 0)


@pytest.fixture(scope="module")
def own_run(digits_run, tmp_path_factory):
    """A copy of the run of digits, which others must find as it was."""
    import shutil

    folder = tmp_path_factory.mktemp("checked") / "digits"
    shutil.copytree(digits_run.path, folder)
    return opsin.Run(folder)


def test_it_keeps_what_it_checks(own_run):
    found = check_run(own_run, ["grad_cam", "saliency"], **QUICK)
    assert [item.explanation.method for item in found] == ["grad_cam", "saliency"]
    again, damaged = kept(own_run.path)
    assert not damaged
    assert {item.explanation.method: item.evidence.as_dict()["measures"] for item in again} == {
        item.explanation.method: item.evidence.as_dict()["measures"] for item in found
    }
    explanation = found[0].explanation
    data = own_run.dataset()
    positions = [data.names.index(name) for name in explanation.names]
    assert set(data.splits[positions]) == {"validation"}
    # what was explained is what the run itself answered to these images
    answers = own_run.predictions()["validation"]
    rows = {int(index): row for row, index in enumerate(answers.index)}
    expected = [answers.probabilities[rows[at]].argmax() for at in positions]
    assert explanation.targets.tolist() == expected


def test_the_recommended_method_is_the_default(own_run):
    from opsin.explanation.recommend import recommend

    found = check_run(own_run.path, **QUICK)
    assert [item.explanation.method for item in found] == [recommend(opsin.load_model(own_run.path)).method]


def test_what_is_refused(own_run, tmp_path):
    for settings, message in (
        ({"images": 0}, "images was given as 0"),
        ({"methods": []}, "no methods were given"),
        ({"methods": "grad_cat"}, "did you mean grad_cam"),
        ({"target": "all"}, "one of each can be kept"),
    ):
        with pytest.raises(OpsinError, match=message):
            check_run(own_run, **{**QUICK, **settings})
    with pytest.raises(OpsinError, match="is not a run"):
        check_run(tmp_path)
