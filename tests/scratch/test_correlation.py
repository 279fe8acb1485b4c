"""Cross-correlation and convolution."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opsin.scratch.correlation import convolve, cross_correlate
from opsin.scratch.layers import Conv2D


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 5), st.integers(0, 99))
def test_both_are_those_of_scipy(rows, columns, more, seed):
    random = np.random.default_rng(seed)
    picture, kernel = random.normal(size=(rows + more, columns + more)), random.normal(size=(rows, columns))
    np.testing.assert_allclose(
        cross_correlate(picture, kernel), scipy.signal.correlate2d(picture, kernel, "valid"), atol=1e-12
    )
    np.testing.assert_allclose(convolve(picture, kernel), scipy.signal.convolve2d(picture, kernel, "valid"), atol=1e-12)


def test_the_convolution_of_deep_learning_is_correlation():
    random = np.random.default_rng(0)
    layer = Conv2D(1, 1, 3, bias=False)
    picture = random.normal(size=(6, 6)).astype(np.float32)
    ours = layer.forward(picture[None, None])[0, 0]
    theirs = torch.nn.functional.conv2d(torch.from_numpy(picture)[None, None], torch.from_numpy(layer.weight))[0, 0]
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-6)
    np.testing.assert_allclose(ours, cross_correlate(picture, layer.weight[0, 0]), atol=1e-6)
    assert not np.allclose(ours, convolve(picture, layer.weight[0, 0]), atol=1e-3)


def test_only_convolution_is_commutative():
    random = np.random.default_rng(0)
    one, other = random.normal(size=(3, 3)), random.normal(size=(3, 3))
    assert convolve(one, other) == pytest.approx(convolve(other, one))
    padded = np.pad(one, 2)
    assert not np.allclose(cross_correlate(padded, other), cross_correlate(np.pad(other, 2), one))
    assert np.allclose(convolve(padded, other), convolve(np.pad(other, 2), one))


def test_a_picture_as_large_as_the_kernel_gives_one_number():
    picture, kernel = np.arange(9.0).reshape(3, 3), np.array([[1.0, 0, -1]] * 3)
    assert cross_correlate(picture, kernel).tolist() == [[-6.0]]
    with pytest.raises(ValueError, match="spans 3 places does not fit into 2"):
        cross_correlate(np.zeros((2, 2)), kernel)
