"""ROAD: the imputation against a sparse direct solver, and the order in which places go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import spsolve

from opsin.errors import CheckFailed
from opsin.evidence import road
from opsin.evidence.faithfulness import ranks
from opsin.evidence.subject import subject_of

SIZE = 16


def slow_impute(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Place by place from the paper: each unknown one is the weighted mean of its neighbours inside the picture."""
    height, width = known.shape
    unknown = [tuple(place) for place in np.argwhere(~known)]
    number = {place: i for i, place in enumerate(unknown)}
    rows, columns, values = [], [], []
    right = np.zeros((len(unknown), len(image)))
    for i, (row, column) in enumerate(unknown):
        total = 0.0
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                place = (row + down, column + across)
                if (down, across) == (0, 0) or not (0 <= place[0] < height and 0 <= place[1] < width):
                    continue
                weight = 1 / 6 if down == 0 or across == 0 else 1 / 12
                total += weight
                if known[place]:
                    right[i] += weight * image[:, place[0], place[1]]
                else:
                    rows.append(i), columns.append(number[place]), values.append(-weight)
        rows.append(i), columns.append(i), values.append(total)
    matrix = csc_matrix((values, (rows, columns)), shape=(len(unknown), len(unknown)))
    filled = image.astype(np.float64).copy()
    filled[:, ~known] = spsolve(matrix, right).reshape(len(unknown), -1).T
    return filled


@pytest.mark.parametrize("size", [(16, 16), (7, 23), (33, 18)])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["scattered", "blob"])
def test_the_imputation_is_that_of_a_direct_solver(size, share, kind):
    generator = torch.Generator().manual_seed(3)
    images = torch.randn(2, 3, *size, generator=generator)
    coarse = size if kind == "scattered" else (3, 3)
    height = torch.nn.functional.interpolate(torch.rand(2, 1, *coarse, generator=generator), size, mode="bicubic")
    known = height > height.flatten(1).quantile(share, dim=1)[:, None, None, None]
    found = road.impute(images, known)
    for i in range(2):
        expected = slow_impute(images[i].numpy(), known[i, 0].numpy())
        assert np.abs(found[i].numpy() - expected).max() < 0.002  # a fifth of the noise that is added


def test_one_system_does_not_touch_another():
    images = torch.randn(3, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    known = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(1)) > 0.6
    together = road.impute(images, known)
    for i in range(3):
        torch.testing.assert_close(road.impute(images[i : i + 1], known[i : i + 1])[0], together[i], atol=1e-3, rtol=0)
    torch.testing.assert_close(together.where(known, torch.zeros(())), images.where(known, torch.zeros(())))


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 100), st.floats(-3, 3))
def test_a_flat_picture_stays_flat_and_no_value_leaves_the_range(height, width, seed, level):
    generator = torch.Generator().manual_seed(seed)
    known = torch.rand(1, 1, height, width, generator=generator) > 0.7
    known[0, 0, seed % height, seed % width] = True
    flat = torch.full((1, 1, height, width), level)
    torch.testing.assert_close(road.impute(flat, known), flat, atol=2e-3, rtol=0)
    picture = torch.randn(1, 1, height, width, generator=generator)
    filled = road.impute(picture, known)
    inside = picture[known]
    assert inside.min() - 2e-3 <= filled.min()
    assert filled.max() <= inside.max() + 2e-3


def test_nothing_and_everything_known():
    images = torch.randn(1, 1, 6, 6)
    torch.testing.assert_close(road.impute(images, torch.ones(1, 1, 6, 6, dtype=torch.bool)), images)
    one = torch.zeros(1, 1, 6, 6, dtype=torch.bool)
    one[..., 2, 3] = True
    torch.testing.assert_close(road.impute(images, one), images[..., 2:3, 3:4].expand_as(images), atol=2e-3, rtol=0)


def test_what_does_not_converge_says_so(monkeypatch):
    monkeypatch.setattr(road, "MOST_ITERATIONS", 0)
    with pytest.raises(CheckFailed, match="did not converge"):
        road.impute(torch.randn(1, 1, 8, 8), torch.rand(1, 1, 8, 8) > 0.5)


def test_the_most_relevant_places_first_hurts_most(square_model, square_images, explained):
    inputs, labels, boxes = square_images
    maps = np.zeros((len(inputs), SIZE, SIZE), np.float32)
    for i, (top, left, bottom, right) in enumerate(boxes.tolist()):
        maps[i, top:bottom, left:right] = 1
    why = explained(maps, inputs.numpy(), square_model.classes, labels.numpy())
    subject = subject_of(why, square_model, "probability")
    stack = torch.from_numpy(np.stack([maps, -maps]))
    order = ranks(stack, torch.Generator().manual_seed(0))
    first, last = (
        road.curves(subject, order, torch.Generator().manual_seed(0), least_first=least) for least in (False, True)
    )
    assert first.shape == (2, len(inputs), road.LEVELS - 1)
    gap = (last - first).mean(dim=(1, 2))
    assert gap[0] > 0.2
    assert gap[1] < -0.2
    again = road.curves(subject, order, torch.Generator().manual_seed(0), least_first=False)
    torch.testing.assert_close(again, first, rtol=0, atol=0)
