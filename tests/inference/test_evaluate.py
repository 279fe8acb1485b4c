"""What is scored, what is left out, and where temperature, thresholds and baselines come from."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from opsin.data.dataset import Dataset
from opsin.data.preprocess import Preprocess
from opsin.errors import CheckFailed, OpsinError
from opsin.inference import answers as answers_module
from opsin.inference import evaluate as module
from opsin.inference.evaluate import evaluate
from opsin.models.classifier import Classifier
from opsin.models.load import load_model
from opsin.records import Scores

UNKNOWN = "it is not known which images the model was trained on"


def has_note(scores, start):
    return any(note.startswith(start) for note in scores.notes)


def same(first: Scores, second: Scores, *, but: tuple[str, ...] = ()) -> bool:
    a, b = first.as_dict(), second.as_dict()
    return all(a[name] == b[name] for name in a if name not in but)


class Memory(nn.Module):
    """Knows the given pictures by heart and guesses by their brightness otherwise."""

    def __init__(self, inputs, labels, classes):
        super().__init__()
        self.register_buffer("inputs", inputs.flatten(1))
        self.register_buffer("answers", nn.functional.one_hot(torch.as_tensor(labels), classes).float())
        self.classes = classes

    def forward(self, x):
        x = x.flatten(1)
        distance, nearest = torch.cdist(x, self.inputs, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1)
        guess = nn.functional.one_hot((x.abs().sum(dim=1) * 7).long() % self.classes, self.classes).float()
        return 5 * torch.where(distance[:, None] < 1e-4, self.answers[nearest], guess)


def memory_of(data: Dataset, rows) -> Classifier:
    preprocess = Preprocess.simple(1, 8)
    inputs = preprocess.normalise(data.pixels(preprocess)[rows])
    return Classifier(Memory(inputs, data.labels[rows], len(data.classes)), data.classes, preprocess)


# --- what is scored ---------------------------------------------------------------------------------------------------


def test_real_digits(model, data):
    scores = evaluate(model, data)
    assert scores.images == len(data.test)
    assert scores.excluded == len(data.train) + len(data.validation)
    assert scores.accuracy > 0.9
    assert scores.accuracy_interval.low < scores.accuracy < scores.accuracy_interval.high
    assert scores.macro["f1"] == pytest.approx(scores.accuracy, abs=0.05)
    assert scores.top_k[1] == scores.accuracy < scores.top_k[3] <= scores.top_k[5]
    assert scores.confusion.sum() == scores.images
    assert np.trace(scores.confusion) / scores.images == pytest.approx(scores.accuracy)
    assert scores.auroc > 0.98
    assert [row.name for row in scores.per_class] == list(data.classes)
    assert sum(row.support for row in scores.per_class) == scores.images
    assert scores.temperature is not None
    assert scores.ece_calibrated is not None
    assert {point.class_name for point in scores.thresholds} == set(data.classes)
    assert [baseline.name for baseline in scores.baselines] == [
        "majority class", "nearest class mean", "HOG + logistic regression",
    ]  # fmt: skip
    assert scores.notes == ()


def test_a_split_gives_the_scores_of_what_is_left_of_all(model, data):
    assert same(evaluate(model, data), evaluate(model, data.test), but=("excluded",))
    assert evaluate(model, data.test).excluded == 0


def test_images_that_were_trained_on_would_raise_the_accuracy_and_are_left_out(data, tmp_path, write_run):
    """The planted fault: a network that knows by heart what it has seen, and nothing else."""
    seen = np.concatenate([data.train.indices, data.validation.indices])
    memory = memory_of(data, seen)
    assert evaluate(memory, data, baselines=False).accuracy > 0.75
    memory.origin = write_run(memory, data, tmp_path / "memory")
    scores = evaluate(memory, data, baselines=False)
    assert scores.accuracy < 0.25
    assert scores.excluded == len(seen)


def test_a_copy_of_a_trained_image_is_left_out_of_another_dataset_too(model, data):
    test, train = data.test.indices[:30], data.train.indices[:12]
    rows = np.concatenate([test, train])
    other = Dataset.from_arrays(data.pictures[rows], data.labels[rows], classes=data.classes, splits=["test"] * 42)
    scores = evaluate(model, other.test)
    assert (scores.images, scores.excluded) == (30, 12)
    # they are not scored, but baselines may learn from them
    assert has_note(scores, f"baselines know only 12 of the {len(data.train):,} training images")
    assert evaluate(model, other).images == 30


def test_shuffled_labels_are_chance(model, data, monkeypatch):
    monkeypatch.setattr(data, "labels", np.random.default_rng(0).permutation(data.labels))
    scores = evaluate(model, data)
    assert scores.accuracy < 0.2
    assert scores.auroc == pytest.approx(0.5, abs=0.1)


def test_classes_are_matched_by_name_and_may_be_a_part(model, data):
    order = ("seven", "one", "nine")
    rows = np.array([i for i in data.test.indices if data.classes[data.labels[i]] in order])
    labels = [data.classes[data.labels[i]] for i in rows]
    scores = evaluate(model, Dataset.from_arrays(data.pictures[rows], labels, classes=order))
    assert scores.images == len(rows)
    assert scores.accuracy > 0.85
    assert scores.classes == data.classes
    assert [row.support > 0 for row in scores.per_class] == [name in order for name in data.classes]
    assert has_note(scores, "7 classes have no image here (zero, two, three, ...)")
    assert scores.auroc is None
    assert {row.name for row in scores.per_class if row.auroc is None} == set(data.classes) - set(order)
    assert set(scores.roc) == set(order)
    recalls = [row.recall for row in scores.per_class if row.support]
    assert scores.macro["recall"] == pytest.approx(np.mean(recalls))


def test_a_class_that_the_model_does_not_know_is_refused(model):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    with pytest.raises(OpsinError, match=r"does not know the class 'cat' and 1 more.*its 10: zero, one") as error:
        evaluate(model, Dataset.from_arrays(pixels, ["cat", "dog", "one"] * 2))
    assert "\n" not in str(error.value)


def test_nothing_left_to_score_is_said(model, data):
    with pytest.raises(CheckFailed, match="images of the train split of digits were used to train or tune the model"):
        evaluate(model, data.train)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8)
    empty = Dataset.from_arrays(pixels, [0, 1] * 3, classes=data.classes, splits=["train"] * 6)
    with pytest.raises(CheckFailed, match="the test split of arrays has no images"):
        evaluate(model, empty.test)


# --- where it comes from ----------------------------------------------------------------------------------------------


def test_a_run_and_its_weights_file_give_the_same_scores(model, data):
    expected = evaluate(model, data)
    module_like = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    run = load_model(model.origin, module=module_like)
    file = load_model(model.origin / "weights" / "best.safetensors", module=module_like)
    assert same(evaluate(run, data), expected)
    assert same(evaluate(file, data), expected)


def test_a_model_without_a_history_is_scored_on_everything_with_a_note(unknown, data):
    scores = evaluate(unknown, data)
    assert (scores.images, scores.excluded) == (len(data), 0)
    assert has_note(scores, UNKNOWN)
    assert has_note(scores, "no baselines")
    assert has_note(scores, "no temperature and no thresholds")
    assert scores.temperature is None
    assert scores.baselines == scores.thresholds == ()


def test_a_split_without_a_history_has_the_other_splits_beside_it(unknown, data):
    scores = evaluate(unknown, data.test)
    assert scores.temperature is not None
    assert len(scores.baselines) == 3
    assert scores.notes == tuple(note for note in scores.notes if note.startswith(UNKNOWN))
    validation = evaluate(unknown, data.validation)
    assert validation.temperature is None
    assert len(validation.baselines) == 3


def test_the_history_makes_no_difference_where_it_is_the_datasets_own(model, unknown, data):
    with_history, without = evaluate(model, data.test), evaluate(unknown, data.test)
    assert same(with_history, without, but=("notes", "temperature", "ece_calibrated", "thresholds"))
    assert with_history.temperature == pytest.approx(without.temperature, rel=1e-4)


def test_stored_answers_serve_only_the_network_that_gave_them(model, data, monkeypatch):
    expected = evaluate(model, data, baselines=False)
    asked = []
    answer = module.answer

    def watched(classifier, dataset, indices, progress):
        asked.append(len(indices))
        return answer(classifier, dataset, indices)

    monkeypatch.setattr(module, "answer", watched)
    assert same(evaluate(model, data, baselines=False), expected)
    assert asked == [len(data.test)]
    (model.origin / "predictions.parquet").unlink()
    again = evaluate(model, data, baselines=False)
    assert asked[1:] == [len(data.test), len(data.validation)]
    assert again.temperature == pytest.approx(expected.temperature, rel=1e-4)
    assert [point.threshold for point in again.thresholds] == pytest.approx(
        [point.threshold for point in expected.thresholds], rel=1e-5
    )


def test_changed_weights_do_not_get_the_temperature_of_the_old_ones(model, data):
    before = evaluate(model, data, baselines=False)
    with torch.no_grad():
        for tensor in model.module.parameters():
            tensor.mul_(3)
    after = evaluate(model, data, baselines=False)
    assert after.accuracy == before.accuracy
    assert after.temperature == pytest.approx(3 * before.temperature, rel=1e-3)


def test_the_scored_images_decide_neither_temperature_nor_thresholds(model, data, monkeypatch):
    before = evaluate(model, data, baselines=False)
    labels = data.labels.copy()
    labels[data.test.indices] = np.roll(labels[data.test.indices], 1)
    monkeypatch.setattr(data, "labels", labels)
    after = evaluate(model, data, baselines=False)
    assert after.accuracy != before.accuracy
    assert after.temperature == before.temperature
    assert [point.threshold for point in after.thresholds] == [point.threshold for point in before.thresholds]


def test_baselines_are_fitted_on_training_images_alone(model, data, monkeypatch):
    given = {}

    def spy(pixels, train, train_labels, scored, labels, **settings):
        given.update(train=train, labels=train_labels, scored=scored)
        return ()

    monkeypatch.setattr(module, "score_baselines", spy)
    evaluate(model, data)
    np.testing.assert_array_equal(given["train"], data.train.indices)
    np.testing.assert_array_equal(given["scored"], data.test.indices)
    np.testing.assert_array_equal(given["labels"], data.train.labels)


def test_no_baseline_learns_from_a_copy_of_a_scored_image(unknown, data, monkeypatch):
    rows = np.concatenate([data.train.indices[:40], data.test.indices[:20], data.test.indices[:20]])
    splits = ["train"] * 40 + ["train"] * 20 + ["test"] * 20
    copied = Dataset.from_arrays(data.pictures[rows], data.labels[rows], classes=data.classes, splits=splits)
    given = {}
    monkeypatch.setattr(module, "score_baselines", lambda _, train, *_rest, **_settings: given.update(rows=train) or ())
    evaluate(unknown, copied.test)
    assert given["rows"].tolist() == list(range(40))


def test_few_validation_images_are_said(unknown, data):
    splits = np.array(data.splits)
    splits[data.validation.indices[30:]] = "train"
    few = Dataset.from_arrays(data.pictures, data.labels, classes=data.classes, splits=splits.tolist())
    assert has_note(evaluate(unknown, few.test, baselines=False), "temperature and thresholds rest on only 30")


def test_groups_widen_the_interval_and_are_said(unknown, data):
    groups = [f"writer {i // 100}" for i in range(len(data))]
    grouped = Dataset.from_arrays(data.pictures, data.labels, classes=data.classes, groups=groups)
    rows = grouped.test
    scores, alone = evaluate(unknown, rows), evaluate(unknown, data.test)
    assert has_note(scores, f"{len(set(np.array(groups)[rows.indices]))} groups")
    width, narrow = (np.ptp(item.accuracy_interval) * np.sqrt(item.images) for item in (scores, alone))
    assert width > narrow


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_scores_survive_the_disk(model, data, tmp_path):
    scores = evaluate(model, data)
    scores.save(tmp_path / "scores.json")
    loaded = Scores.load(tmp_path / "scores.json")
    assert same(loaded, scores)
    for field in dataclasses.fields(Scores):
        assert type(getattr(loaded, field.name)) is type(getattr(scores, field.name)), field.name


def test_the_same_seed_gives_the_same_scores_and_another_moves_the_interval_only(model, data):
    first, other = evaluate(model, data, seed=1), evaluate(model, data, seed=2)
    assert same(first, evaluate(model, data, seed=1))
    assert same(first, other, but=("accuracy_interval", "baselines"))
    assert (first.accuracy_interval, first.baselines) != (other.accuracy_interval, other.baselines)


def test_a_path_is_loaded_with_the_seed(model, data, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "load_data", lambda source, seed, **_: asked.append((source, seed)) or data)
    told = []
    scores = evaluate(model, "digits/", baselines=False, seed=3, progress=lambda *work: told.append(work))
    assert scores.images == len(data.test)
    assert asked == [("digits/", 3)]
    assert told[-1] == ("answering", len(data.test), len(data.test))


def test_images_go_through_in_batches(unknown, data, monkeypatch):
    monkeypatch.setattr(answers_module, "BATCH", 50)
    largest = 0
    logits = unknown.logits

    def watched(tensor, batch_size):
        nonlocal largest
        largest = max(largest, len(tensor))
        return logits(tensor, batch_size)

    monkeypatch.setattr(unknown, "logits", watched)
    expected = evaluate(unknown, data.test, baselines=False)
    assert largest == 50
    monkeypatch.undo()
    again = evaluate(unknown, data.test, baselines=False)
    assert again.accuracy == expected.accuracy
    assert again.nll == pytest.approx(expected.nll)


def test_a_network_that_never_said_its_classes_is_asked(data):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    numbered = Dataset.from_arrays(data.pictures, data.labels, classes=[str(i) for i in range(10)])
    scores = evaluate(Classifier(network, preprocess=Preprocess.simple(1, 8)), numbered.test, baselines=False)
    assert scores.classes == tuple("0123456789")


def test_what_cannot_be_scored_is_refused(unknown, data):
    with torch.no_grad():
        unknown.module[1].bias[3] = float("inf")
    with pytest.raises(CheckFailed, match="answers with values that are not finite"):
        evaluate(unknown, data.test)
    with pytest.raises(OpsinError, match="has no Preprocess and cannot read pictures"):
        evaluate(Classifier(unknown.module, data.classes), data.test)


def test_a_damaged_splits_file_is_named(model, data):
    (model.origin / "splits.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(OpsinError, match=r"cannot read .*splits\.parquet.*damaged"):
        evaluate(model, data)


def test_two_classes(data):
    rows = np.flatnonzero(data.labels < 2)
    pair = Dataset.from_arrays(data.pictures[rows], data.labels[rows], classes=("zero", "one"))
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    torch.manual_seed(0)
    scores = evaluate(Classifier(network, pair.classes, Preprocess.simple(1, 8)), pair.test)
    assert set(scores.top_k) == {1}
    assert scores.per_class[0].auroc == pytest.approx(scores.per_class[1].auroc)
    assert len(scores.thresholds) == 4
