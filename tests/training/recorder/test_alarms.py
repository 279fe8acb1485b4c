"""Alarms ring when they should, and only then."""

import numpy as np

from opsin.training.recorder.alarms import epoch_alarms

CLASSES = ("cat", "dog", "hen")


def epoch(confusion, train_loss=1.0, loss=1.0):
    return {"confusion": confusion, "train_loss": train_loss, "loss": loss}


def kinds(epochs):
    return [alarm["kind"] for alarm in epoch_alarms(epochs, CLASSES)]


GOOD = [[9, 1, 0], [1, 9, 0], [0, 1, 9]]


def test_a_good_epoch_is_quiet():
    assert kinds([epoch(GOOD), epoch(GOOD)]) == []


def test_a_forgotten_class_is_named():
    alarms = epoch_alarms([epoch(GOOD), epoch([[9, 1, 0], [8, 2, 0], [0, 1, 9]])], CLASSES)
    assert [(alarm["kind"], alarm["classes"]) for alarm in alarms] == [("forgotten", ["dog"])]
    assert "90%" in alarms[0]["message"]


def test_a_class_of_few_images_raises_no_alarm():
    few = [[10, 0, 0], [0, 5, 0], [0, 0, 10]]
    assert kinds([epoch(few), epoch([[10, 0, 0], [5, 0, 0], [0, 0, 10]])]) == []
    assert kinds([epoch([[1, 9, 0], [4, 1, 0], [0, 0, 10]])]) == []


def test_a_class_that_was_never_learnt_is_not_forgotten():
    weak = [[9, 1, 0], [8, 2, 0], [0, 1, 9]]
    assert kinds([epoch(weak), epoch(weak)]) == []


def test_a_swapped_pair_is_named():
    alarms = epoch_alarms([epoch([[1, 9, 0], [8, 2, 0], [0, 0, 10]])], CLASSES)
    assert [(alarm["kind"], alarm["classes"]) for alarm in alarms] == [("swapped", ["cat", "dog"])]


def test_over_fitting_needs_both_directions():
    falling, rising = np.linspace(1, 0.2, 5), np.linspace(1, 1.5, 5)
    assert kinds([epoch(GOOD, t, v) for t, v in zip(falling, rising, strict=True)]) == ["over-fitting"]
    assert kinds([epoch(GOOD, t, v) for t, v in zip(rising, rising, strict=True)]) == []
    assert kinds([epoch(GOOD, t, v) for t, v in zip(falling, falling, strict=True)]) == []
