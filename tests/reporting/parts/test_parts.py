"""The other parts: filters, inputs, scores, mistakes, calibration, embeddings, data and provenance."""

import dataclasses

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

import opsin
from opsin.reporting.parts.calibration import calibration
from opsin.reporting.parts.data import data
from opsin.reporting.parts.embeddings import COLOURED, HIGHLIGHTED, embeddings, pca, tsne
from opsin.reporting.parts.filters import filters
from opsin.reporting.parts.inputs import inputs
from opsin.reporting.parts.material import Material, Missing
from opsin.reporting.parts.mistakes import mistakes
from opsin.reporting.parts.provenance import provenance, seconds_text
from opsin.reporting.parts.scores import confused_pairs, rule_text, scores
from opsin.reporting.texts import packaged, say


def test_filters_are_those_of_the_first_and_the_last_step(make_run):
    run = make_run()
    part = filters(Material(run))
    assert part.steps == (0, 6)
    bank = part.banks[0]
    np.testing.assert_array_equal(bank.start, run.snapshot(0).filters["0"])
    np.testing.assert_array_equal(bank.end, run.snapshot(6).filters["0"])
    assert bank.peak == pytest.approx(max(np.abs(bank.start).max(), np.abs(bank.end).max()))
    assert (bank.kind, bank.total) == ("maps", (4, 1))


def test_mixed_targets_are_told_from_smoothed_ones(make_material):
    part = inputs(make_material())
    assert [item.target for item in part.batch[:3]] == [(("cat", pytest.approx(0.96)),)] * 3
    assert part.batch[3].target == (("cat", pytest.approx(0.58)), ("dog", pytest.approx(0.4)))
    assert part.mixed == 1
    assert part.missing is not None
    assert part.missing.key == "missing.data"


def test_a_recorded_loop_shows_its_probe_and_says_what_it_is(foreign_run):
    part = inputs(Material(foreign_run))
    assert part.missing == say("missing.foreign_data")
    assert [pair.original for pair in part.pairs] == [None] * 6
    assert part.batch == ()


def test_originals_stand_beside_the_input_with_the_pixels_that_were_lost(digits_run):
    part = inputs(Material(digits_run))
    assert part.missing is None
    for pair in part.pairs:
        np.testing.assert_array_equal(pair.original.pixels, pair.seen)  # 28 x 28 in, 28 x 28 out
        assert pair.ratio == 1
    assert part.loss == say("inputs.same")
    assert len(part.batch) == 32


def test_confused_pairs_are_every_mistake_once():
    confusion = np.array([[5, 2, 0], [1, 6, 1], [0, 2, 8]])
    pairs = confused_pairs(confusion, ("a", "b", "c"))
    expected = sorted((-int(confusion[t, a]), -confusion[t, a] / confusion[t].sum(), "abc"[t], "abc"[a])
                       for t in range(3) for a in range(3) if t != a and confusion[t, a])  # fmt: skip
    assert [(pair.truth, pair.answer) for pair in pairs] == [(t, a) for _, _, t, a in expected]
    assert sum(pair.count for pair in pairs) == confusion.sum() - np.trace(confusion)
    assert confused_pairs(np.diag([3, 4]), ("a", "b")) == ()


def test_scores_put_the_worst_class_first_and_survive_infinite_thresholds(make_material):
    part = scores(make_material(right=0.7))
    recalls = [row.recall for row in part.worst_first]
    assert recalls == sorted(recalls)
    assert part.shares.sum(axis=1) == pytest.approx(1)
    assert len(part.curves[0].roc) == 3
    assert part.thresholds[0][0] == say("scores.rule_specificity", wanted=0.95)
    assert rule_text("Youden's J") == "Youden's J"


def test_mistakes_are_the_wrong_answers_by_confidence(digits_run):
    part = mistakes(Material(digits_run))
    answers = digits_run.predictions()["test"]
    wrong = answers.probabilities.argmax(axis=1) != answers.label
    assert (part.split, part.images, part.wrong) == ("test", 1000, wrong.sum())
    shown = [item.probability for item in part.shown]
    assert shown == sorted(shown, reverse=True)
    assert shown[0] == pytest.approx(answers.probabilities.max(axis=1)[wrong].max())
    assert all(item.truth != item.answer for item in part.shown)
    first = int(answers.index[np.flatnonzero(wrong)[answers.probabilities.max(axis=1)[wrong].argmax()]])
    np.testing.assert_array_equal(part.shown[0].picture.pixels, digits_run.dataset().picture(first).pixels)


def test_images_with_planted_wrong_labels_are_found_hard(digits, tmp_path):
    """The purpose of the list: a few labels are changed, and their images must be on it."""
    from opsin.training.view import Quiet

    rows = digits.train.indices[:: len(digits.train) // 1300][:1300]
    labels = digits.labels[rows].copy()
    splits = np.where(np.arange(len(rows)) < 1200, "train", "validation")
    changed = np.random.default_rng(0).choice(1200, 8, replace=False)
    labels[changed] = (labels[changed] + 5) % 10
    images = np.stack([digits.picture(int(i)).pixels for i in rows])
    spoilt = opsin.Dataset.from_arrays(images, labels, digits.classes, splits=splits)
    model = opsin.build_model("seed_cnn", classes=spoilt.classes, channels=1, size=28, seed=0)
    recipe = opsin.Recipe(epochs=4, batch_size=32, record=False)
    run = opsin.train(model, spoilt, recipe, out=tmp_path / "run", view=Quiet())
    material = Material(run)
    part = mistakes(material)
    assert part.hard[0].picture is None  # arrays cannot be opened again by name; the list needs no pictures
    listed = {item.name for item in part.hard}
    assert len({material.name(int(i)) for i in changed} & listed) >= 6
    assert part.split == "validation"
    assert part.usual_loss < part.hard[-1].mean


def test_the_reliability_after_tempering_has_the_recorded_error(digits_run):
    part = calibration(Material(digits_run))
    for table, error in ((part.before, part.ece), (part.after, part.ece_calibrated)):
        gap = np.abs(table[:, 0] - table[:, 1]) @ table[:, 2] / table[:, 2].sum()
        assert gap == pytest.approx(error, abs=1e-5)
    assert part.before[:, 2].sum() == part.after[:, 2].sum() == 1000
    assert len(part.history) == 3


@pytest.mark.parametrize(("right", "confidence", "sign"), [(0.5, 0.9, 1), (1.0, 0.7, -1)])
def test_bias_is_confidence_minus_accuracy(make_material, right, confidence, sign):
    part = calibration(make_material(right=right, confidence=confidence))
    assert part.bias == pytest.approx(confidence - right, abs=1e-6)
    assert np.sign(part.bias) == sign


def test_embeddings_are_projected_with_their_figures(make_run):
    run = make_run()
    part = embeddings(Material(run))
    assert [(item.kind, item.epoch) for item in part.maps] == [("pca", 0), ("pca", 1), ("tsne", 1)]
    assert part.maps[1].kept > part.maps[0].kept  # the classes of the later epoch lie apart
    assert 0 < part.maps[0].variance <= 1
    assert all(item.points.min() >= 0 and item.points.max() <= 1 for item in part.maps)
    assert part.right.sum() == 27


def test_pca_is_that_of_the_covariance():
    values = np.random.default_rng(0).normal(size=(40, 6)) * [5, 3, 1, 1, 1, 1]
    found = pca(values, 0)
    centred = values - values.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(centred.T))
    expected = centred @ axes[:, ::-1][:, :2]
    assert found.variance == pytest.approx(variances[::-1][:2].sum() / variances.sum())
    for axis in range(2):  # up to sign and the common scale
        assert abs(np.corrcoef(found.points[:, axis], expected[:, axis])[0, 1]) == pytest.approx(1, abs=1e-5)
    assert found.kept == pytest.approx(trustworthiness(values, expected, n_neighbors=12), abs=1e-6)


def test_tsne_gives_the_same_map_again_and_survives_copies_and_constants():
    values = np.repeat(np.random.default_rng(0).normal(size=(10, 4)), 3, axis=0)
    np.testing.assert_array_equal(tsne(values, 1).points, tsne(values, 1).points)
    for flat in (np.zeros((25, 4)), np.zeros((25, 1))):
        assert np.isfinite(pca(flat, 0).points).all()
        assert np.isfinite(tsne(flat, 0).points).all()


def test_of_many_classes_the_worst_are_coloured(make_material):
    material = make_material()
    count = COLOURED + 6
    confusion = np.eye(count, dtype=int) * 9
    confusion[3, 3] = confusion[20, 20] = 0
    confusion[3, 0] = confusion[20, 0] = 9
    material.run.info["classes"] = [f"c{i}" for i in range(count)]
    vars(material.run)["epochs"] = [{"confusion": confusion.tolist()}]
    part = embeddings(material)
    assert len(part.coloured) == HIGHLIGHTED
    assert {3, 20} <= set(part.coloured)


def test_data_counts_the_duplicates_between_splits(make_material):
    pairs = [{"kind": kind, "first": "a", "second": "b", "first_split": "train", "second_split": split, "distance": 0.0}
             for kind, split in (("exact", "train"), ("near", "test"), ("exact", "validation"))]  # fmt: skip
    part = data(make_material(data={"duplicates": pairs}))
    assert part.crossing == 2
    assert part.duplicates[-1]["second_split"] == "train"
    assert part.totals == {"train": 30, "validation": 30, "test": 30}
    assert part.sizes["median"] == (20, 30)
    assert not part.grouped


def test_provenance_has_the_settings_and_puts_what_is_off_in_one_row(make_run):
    run = make_run()
    part = provenance(Material(run))
    groups = {group.title.key: dict(group.rows) for group in part.groups if group.title.key == "provenance.recipe"}
    recipe = groups["provenance.recipe"]
    assert recipe["epochs"] == "3"
    assert list(recipe.values())[-1] == "mixup"
    assert part.choices == ("a reason with <b>markup</b>",)
    assert part.command.endswith(f"{run.path.as_posix()}/run.json")


def test_provenance_of_a_recorded_loop_invents_nothing(foreign_run):
    part = provenance(Material(foreign_run))
    assert {group.title.key for group in part.groups} == {"provenance.run", "provenance.model", "provenance.versions"}
    assert part.command is None


@pytest.mark.parametrize(("seconds", "text"), [(12.4, "12 s"), (300, "5.0 min"), (9000, "2.5 h")])
def test_durations(seconds, text):
    assert packaged().lower(seconds_text(seconds), "en") == text


@pytest.mark.parametrize("make", [scores, calibration, mistakes, embeddings, data])
def test_what_a_recorded_loop_lacks_is_said(foreign_run, make):
    part = make(Material(foreign_run))
    assert isinstance(part, Missing)
    assert part.reason.key.endswith("foreign")


def test_parts_are_frozen(make_material):
    part = data(make_material())
    with pytest.raises(dataclasses.FrozenInstanceError):
        part.name = "other"
