"""Layouts of features: aligned from epoch to epoch, measured, and of the images that they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness

import opsin
from opsin.errors import CheckFailed, OpsinError
from opsin.files import read_tensors, write_tensors
from opsin.reporting.views.questions import answer
from opsin.reporting.views.space import _way
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.wire import pack


@pytest.fixture(scope="module")
def subject(digits_run) -> Subject:
    return Subject.of(digits_run)


def write_features(run, epoch, features, labels=None) -> None:
    labels = np.arange(len(features)) % 3 if labels is None else labels
    arrays = {"features": features.astype(np.float16), "labels": labels, "indices": np.arange(30, 30 + len(features))}
    write_tensors(run.path / "embeddings" / f"{epoch:04d}.safetensors", arrays, {"layer": "3"})


def test_what_can_be_laid_out(subject, digits_run):
    told = answer(subject, "spaces", {})
    assert told["kept"] == "input of fc2"
    assert told["epochs"].tolist() == digits_run.embedding_epochs == [0, 1, 2, 3]
    assert told["steps"].tolist() == [0, *(line["step"] for line in digits_run.epochs)]
    assert told["layers"][0] == "conv1"
    assert told["layers_missing"] is None
    pack(told)


def test_the_plane_is_that_of_a_pca(subject, digits_run):
    told = answer(subject, "space", {"epoch": 3})
    features = digits_run.embeddings(3).features.astype(np.float64)
    expected = PCA(2).fit_transform(features)
    # turning, mirroring and one scale change no ratio of distances
    own, wanted = pdist(told["positions"]), pdist(expected)
    np.testing.assert_allclose(own / own.mean(), wanted / wanted.mean(), atol=1e-3)
    assert told["trustworthiness"] == pytest.approx(
        trustworthiness(features, told["positions"].astype(np.float64), n_neighbors=10)
    )
    np.testing.assert_allclose(told["positions"].mean(axis=0), 0, atol=1e-5)
    assert np.sqrt((told["positions"].astype(np.float64) ** 2).sum(axis=1).mean()) == pytest.approx(1, abs=1e-5)


def test_the_same_images_have_the_same_places_in_every_answer(subject, digits_run):
    frames = [answer(subject, "space", {"epoch": epoch}) for epoch in (1, 3)]
    assert frames[0]["ids"] == frames[1]["ids"]
    seen = subject.images[frames[1]["ids"][7]]
    assert seen.label == frames[1]["labels"][7]
    kept = digits_run.predictions()["validation"]
    row = kept.index.tolist().index(int(digits_run.embeddings(3).indices[7]))
    assert frames[1]["answers"][7] == kept.probabilities[row].argmax()
    assert frames[1]["confidence"][7] == kept.probabilities[row].max()


def test_each_epoch_is_turned_onto_the_one_before(make_run):
    run = make_run()
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 5)) * [5, 3, 1, 1, 1]
    mirrored = features * [-1, 1, 1, 1, 1] * 40
    for epoch, values in ((0, features), (1, mirrored), (2, rng.permutation(features))):
        write_features(run, epoch, values)
    subject = Subject.of(run)
    first, same, other = (answer(subject, "space", {"epoch": epoch}) for epoch in (0, 1, 2))
    np.testing.assert_allclose(first["positions"], same["positions"], atol=2e-3)
    assert same["change"] < 1e-3
    assert other["change"] > 0.5
    assert first["change"] is None
    assert [frame["before"] for frame in (first, same, other)] == [None, 0, 1]


def test_asking_in_another_order_changes_nothing(digits_run):
    straight = answer(Subject.of(digits_run), "space", {"epoch": 3})
    detour = Subject.of(digits_run)
    for epoch in (0, 2, 1, 3):
        found = answer(detour, "space", {"epoch": epoch})
    np.testing.assert_array_equal(found["positions"], straight["positions"])


def test_what_was_written_again_is_laid_out_again(make_run):
    run = make_run()
    subject = Subject.of(run)
    before = answer(subject, "space", {"epoch": 1})["positions"]
    write_features(run, 0, np.random.default_rng(9).normal(size=(30, 5)))
    after = answer(subject, "space", {"epoch": 1})
    assert not np.allclose(before, after["positions"])
    np.testing.assert_allclose(pdist(before), pdist(after["positions"]), atol=1e-3)


def test_an_epoch_without_features_to_lay_out_is_passed_over(make_run):
    run = make_run()
    flat, broken = np.zeros((30, 5)), np.full((30, 5), np.nan)
    good = np.random.default_rng(0).normal(size=(30, 5))
    for epoch, values in ((0, good), (1, flat), (2, broken), (3, good)):
        write_features(run, epoch, values)
    subject = Subject.of(run)
    found = answer(subject, "space", {"epoch": 3})
    assert found["change"] < 1e-3
    assert found["before"] == 0
    with pytest.raises(OpsinError, match="the same features for all 30 images"):
        answer(subject, "space", {"epoch": 1})
    with pytest.raises(CheckFailed, match="not finite"):
        answer(subject, "space", {"epoch": 2})


def test_tsne_keeps_neighbours_and_says_what_it_does(digits_run):
    subject = Subject.of(digits_run)
    told = []
    found = answer(subject, "layout", {"epoch": 1}, lambda what, done, total: told.append((what, done, total)))
    assert found["method"] == "tsne"
    assert found["epoch"] == 1
    assert found["trustworthiness"] > answer(subject, "space", {"epoch": 1})["trustworthiness"]
    assert told[:2] == [("t-SNE, epoch 0", 0, 2), ("t-SNE, epoch 1", 1, 2)]
    told.clear()
    again = answer(subject, "layout", {"epoch": 1}, lambda what, done, total: told.append((what, done, total)))
    np.testing.assert_array_equal(again["positions"], found["positions"])
    assert [what for what, _, _ in told] == ["trustworthiness"]


def test_another_layer_shows_the_same_images(subject, digits_run):
    found = answer(subject, "layout", {"layer": "conv1", "method": "pca"})
    kept = answer(subject, "space", {})
    assert found["ids"] == kept["ids"]
    np.testing.assert_array_equal(found["labels"], kept["labels"])
    assert found["layer"] == "conv1"
    assert found["features"] == 32
    assert found["epoch"] is None
    assert kept["purity"] > found["purity"] + 0.1  # a first layer knows less of classes than a last


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ({"layer": "conv1", "epoch": 1}, "one layer only: leave epoch out"),
        ({"layer": "nope"}, "nope"),
        ({"method": "umap"}, "'pca' or 'tsne'"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(subject, args, match):
    with pytest.raises(OpsinError, match=match) as caught:
        answer(subject, "layout", args)
    assert "\n" not in str(caught.value)


def test_a_run_without_features_and_a_model_alone_say_what_to_do(make_run):
    run = make_run()
    for path in (run.path / "embeddings").iterdir():
        path.unlink()
    with pytest.raises(OpsinError, match="--embeddings"):
        answer(Subject.of(run), "spaces", {})
    with pytest.raises(OpsinError, match="open the run"):
        answer(Subject.of(opsin.build_model("lenet5", classes=2, channels=1, size=28)), "spaces", {})


def test_a_run_whose_images_are_gone_still_has_its_own_layer(make_run):
    told = answer(Subject.of(make_run()), "spaces", {})
    assert told["layers"] == []
    assert told["layers_missing"]
    found = answer(Subject.of(make_run()), "space", {})
    assert found["ids"][:2] == ["validation/0", "validation/1"]


def test_few_epochs_lie_on_the_way_and_stay_when_a_training_goes_on():
    assert _way(list(range(59)), 58) == [0, 1, 2, 4, 8, 16, 32, 58]
    assert _way(list(range(59)), 8) == [0, 1, 2, 4, 8]
    assert _way(list(range(59)), 0) == [0]
    assert _way([3, 5, 7, 9], 9) == [3, 7, 9]
    for wanted in range(40):
        assert _way(list(range(wanted + 1)), wanted) == _way(list(range(90)), wanted)
        assert (
            _way(list(range(90)), wanted)[:-1] == _way(list(range(90)), wanted + 1)[: len(_way(range(90), wanted)) - 1]
        )


def test_features_are_not_changed_on_the_way(make_run):
    run = make_run()
    path = run.path / "embeddings" / "0001.safetensors"
    before = read_tensors(path)[0]["features"]
    answer(Subject.of(run), "space", {})
    np.testing.assert_array_equal(before, read_tensors(path)[0]["features"])
