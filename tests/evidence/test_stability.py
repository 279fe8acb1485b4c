"""Infidelity and max-sensitivity: closed forms and slow twins."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from opsin.evidence import stability
from opsin.evidence.stability import infidelity, max_sensitivity, random_squares, relative_change, unexplained
from opsin.evidence.subject import subject_of

SIZE = 16


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_map_that_says_what_the_score_is_made_of_has_no_infidelity(region_model, region_map, explained):
    """On ones the score is the sum of the quarter: each place of it is worth 1, whatever the map's unit is."""
    maps = np.stack([7 * region_map, region_map])
    subject = subject_of(explained(maps, np.ones((2, 1, SIZE, SIZE))), region_model, "logit")
    stack = torch.from_numpy(np.stack([maps, 1 - maps]))
    found = infidelity(subject, stack, generator())
    assert found.shape == (2, 2)
    assert float(found[0].max()) < 1e-9
    assert float(found[1].min()) > 1


def test_infidelity_is_that_of_the_slow_twin(square_model, square_images, explained):
    inputs, labels = square_images[0][:2], square_images[1][:2].numpy()
    maps = np.random.default_rng(0).normal(size=(2, SIZE, SIZE)).astype(np.float32)
    subject = subject_of(explained(maps, inputs.numpy(), square_model.classes, labels), square_model, "probability")
    fast = infidelity(subject, torch.from_numpy(maps)[None], generator(4))[0]
    squares = random_squares(2, (SIZE, SIZE), generator(4))
    for i in range(2):
        said, lost = [], []
        before = float(square_model.logits(inputs[i : i + 1]).double().softmax(dim=1)[0, labels[i]])
        for square in squares[i]:
            changed = inputs[i].clone()
            changed[:, square] = 0
            said.append(float(maps[i][square.numpy()].astype(np.float64).sum()))
            lost.append(before - float(square_model.logits(changed[None]).double().softmax(dim=1)[0, labels[i]]))
        factor = np.dot(said, lost) / np.dot(said, said)
        slow = np.mean((factor * np.array(said) - np.array(lost)) ** 2)
        assert float(fast[i]) == pytest.approx(slow, rel=1e-5, abs=1e-9)


def test_the_factor_is_the_best_one():
    said, dropped = torch.randn(1, 1, 20, dtype=torch.float64), torch.randn(1, 20, dtype=torch.float64)
    best = float(unexplained(said, dropped)[0, 0])
    for factor in np.linspace(-3, 3, 61):
        assert best <= float((factor * said[0, 0] - dropped[0]).square().mean()) + 1e-12
    assert float(unexplained(0 * said, dropped)[0, 0]) == pytest.approx(float(dropped.square().mean()))


def test_squares_are_squares_of_many_sizes():
    squares = random_squares(20, (12, 30), generator())
    rows, columns = squares.any(dim=3).sum(dim=2), squares.any(dim=2).sum(dim=2)
    assert torch.equal(rows, columns)
    assert torch.equal(squares.sum(dim=(2, 3)), rows * columns)
    assert set(rows.unique().tolist()) == {1, 2, 3, 4}
    assert bool(squares.any(dim=(0, 1)).all())


def test_sensitivity_of_known_maps(square_model, square_images, explained):
    inputs = square_images[0][:3]
    maps = inputs[:, 0].numpy()
    subject = subject_of(explained(maps, inputs.numpy(), square_model.classes), square_model, "probability")
    constant = max_sensitivity(subject, torch.from_numpy(maps), lambda _: maps, generator())
    np.testing.assert_array_equal(constant[0], 0)
    assert (constant[1] > 1).all()  # random maps drawn anew have nothing in common
    itself = max_sensitivity(subject, torch.from_numpy(maps), lambda moved: moved[:, 0].numpy(), generator())
    largest = stability.RADIUS * SIZE / np.linalg.norm(maps, axis=(1, 2))
    assert (itself[0] < largest).all()
    assert (itself[0] > largest / np.sqrt(3) * 0.9).all()  # noise that is uniform has that norm


def test_the_worst_of_the_neighbours_counts(square_model, square_images, explained):
    inputs = square_images[0][:1]
    maps = inputs[:, 0].numpy()
    subject = subject_of(explained(maps, inputs.numpy(), square_model.classes), square_model, "probability")
    factors = iter([1.0, 1.5, *[1.0] * stability.NEIGHBOURS])
    found = max_sensitivity(subject, torch.from_numpy(maps), lambda _: next(factors) * maps, generator())
    assert found[0, 0] == pytest.approx(0.5, abs=1e-6)


def test_a_blank_map_has_changed_by_nothing_or_by_all():
    blank, full = torch.zeros(1, 4, 4), torch.ones(1, 4, 4)
    assert relative_change(blank, blank).item() == 0
    assert relative_change(blank, full).item() == 1
    assert relative_change(full, blank).item() == 1
