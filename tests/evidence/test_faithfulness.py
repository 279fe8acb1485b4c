"""Deletion and insertion: closed forms, a slow twin, and the order of equal values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opsin.evidence import faithfulness
from opsin.evidence import subject as subjects
from opsin.evidence.faithfulness import area_under, baseline_of, curves, ranks, step_counts
from opsin.evidence.subject import Subject, subject_of

SIZE, PLACES, INSIDE = 16, 256, 64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def areas(subject: Subject, maps: np.ndarray, *, insert: bool, steps: int = 64) -> np.ndarray:
    stack = torch.from_numpy(np.asarray(maps, np.float32))[None]
    base = baseline_of(subject.inputs, "constant")
    curve = curves(subject, stack, ranks(stack, generator()), base, steps, insert=insert)
    return area_under(curve)[0].numpy()


def test_the_area_of_a_known_region_has_a_closed_form(region_model, region_map, explained):
    """On ones, deleting the quarter first leaves max(64 - k, 0) after k places, last 64 until 192 are gone."""
    maps = np.stack([region_map, -region_map])
    subject = subject_of(explained(maps, np.ones((2, 1, SIZE, SIZE))), region_model, "logit")
    small, large = INSIDE**2 / 2 / PLACES, INSIDE - INSIDE**2 / 2 / PLACES
    np.testing.assert_allclose(areas(subject, maps, insert=False), [small, large])
    np.testing.assert_allclose(areas(subject, maps, insert=True), [large, small])


def test_a_blank_map_deletes_at_random(region_model, explained):
    maps = np.zeros((40, SIZE, SIZE))
    subject = subject_of(explained(maps, np.ones((40, 1, SIZE, SIZE))), region_model, "logit")
    assert areas(subject, maps, insert=False).mean() == pytest.approx(INSIDE / 2, abs=1)


def slow_curve(model, image, importance, base, target, steps, insert):
    """Straight from the paper: order the pixels, change them step by step, ask for the probability each time."""
    places = importance.size
    order = np.argsort(-importance.ravel(), kind="stable")
    found = []
    for step in range(steps + 1):
        changed = order[: round(step * places / steps)]
        now = (base if insert else image).clone()
        for place in changed:
            row, column = divmod(int(place), importance.shape[1])
            now[:, row, column] = (image if insert else base)[:, row, column]
        found.append(float(model.logits(now[None]).double().softmax(dim=1)[0, target]))
    return found


@pytest.mark.parametrize("insert", [False, True])
@pytest.mark.parametrize("kind", ["constant", "blurred"])
def test_the_curves_are_those_of_the_slow_twin(square_model, square_images, explained, insert, kind, monkeypatch):
    inputs, labels = square_images[0][:3], square_images[1][:3].numpy()
    maps = np.random.default_rng(0).normal(size=(3, SIZE, SIZE))
    why = explained(maps, inputs.numpy(), square_model.classes, labels)
    subject = subject_of(why, square_model, "probability")
    monkeypatch.setattr(subjects, "pass_size", lambda _: 7)  # batches that end within an image
    stack = torch.from_numpy(why.maps)[None]
    base = baseline_of(subject.inputs, kind)
    fast = curves(subject, stack, ranks(stack, generator()), base, 6, insert=insert)
    assert fast.shape == (1, 3, 7)
    for i in range(3):
        slow = slow_curve(square_model, inputs[i], why.maps[i], base[i], labels[i], 6, insert)
        np.testing.assert_allclose(fast[0, i], slow, atol=1e-6)


def test_every_map_of_a_stack_gets_its_own_curve(region_model, region_map, explained):
    maps = np.stack([region_map, region_map])
    subject = subject_of(explained(maps, np.ones((2, 1, SIZE, SIZE))), region_model, "logit")
    stack = torch.from_numpy(np.stack([maps, -maps]))
    base = baseline_of(subject.inputs, "constant")
    found = area_under(curves(subject, stack, ranks(stack, generator()), base, 64, insert=False))
    assert (found[0] < found[1]).all()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=12, max_size=12),
    st.integers(0, 5),
)
def test_ranks_are_a_permutation_from_the_highest_down(values, seed):
    maps = torch.tensor(values, dtype=torch.float32).reshape(1, 3, 4)
    found = ranks(maps, generator(seed))
    assert sorted(found.flatten().tolist()) == list(range(12))
    by_rank = maps.flatten()[found.flatten().argsort()]
    assert bool((by_rank[1:] <= by_rank[:-1]).all())


def test_equal_values_come_in_no_order_of_pixels():
    found = torch.stack([ranks(torch.zeros(1, 4, 4), generator(seed))[0] for seed in range(400)])
    means = found.double().mean(dim=0)
    assert bool(((means - 7.5).abs() < 1.2).all())


def test_the_steps_end_with_every_place():
    assert step_counts(10, 3).tolist() == [0, 3, 7, 10]
    assert step_counts(256, 256).tolist() == list(range(257))


@pytest.mark.parametrize("size", [(1, 1), (3, 20), (20, 3), (32, 32)])
def test_the_blurred_baseline_keeps_the_brightness_and_loses_the_detail(size):
    inputs = torch.randn(2, 3, *size, generator=generator())
    blurred = baseline_of(inputs, "blurred")
    assert blurred.shape == inputs.shape
    assert blurred.std() <= inputs.std()
    flat = torch.full_like(inputs, 0.7)
    torch.testing.assert_close(baseline_of(flat, "blurred"), flat)


def test_the_area_is_the_mean_height():
    assert float(area_under(torch.tensor([1.0, 1.0, 1.0]))) == 1
    assert float(area_under(torch.tensor([1.0, 0.0]))) == 0.5


def test_a_pair_of_classes_is_scored_as_the_first_of_the_two(square_model, square_images, explained):
    inputs = square_images[0][:2]
    why = explained(np.zeros((2, SIZE, SIZE)), inputs.numpy(), square_model.classes, [0, 1], against=np.array([2, 3]))
    logits = square_model.logits(inputs).double()
    rows = torch.arange(2)
    found = subject_of(why, square_model, "probability").scores(inputs, rows)
    expected = [float(logits[i, [a, b]].softmax(dim=0)[0]) for i, (a, b) in enumerate([(0, 2), (1, 3)])]
    np.testing.assert_allclose(found, expected)
    difference = subject_of(why, square_model, "logit").scores(inputs, rows)
    np.testing.assert_allclose(difference, [logits[0, 0] - logits[0, 2], logits[1, 1] - logits[1, 3]])


def test_the_protocol_says_what_the_figure_depends_on():
    assert faithfulness.protocol("constant", 20, (16, 16))["constant"] == 0
    assert faithfulness.protocol("blurred", 20, (16, 16))["sigma"] == 2
