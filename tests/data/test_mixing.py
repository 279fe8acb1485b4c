"""Mixup and CutMix with draws per image, held against their formulas and timm."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from timm.data.mixup import mixup_target, rand_bbox

from opsin.data import mixing
from opsin.data.mixing import Mixing, beta, boxes, build_mixing

DRAW = torch.Generator().manual_seed(0)
INPUTS = torch.randn(64, 3, 10, 14, generator=DRAW)
TARGETS = torch.randint(0, 5, (64,), generator=DRAW)


def mix(mixup: float = 0.0, cutmix: float = 0.0, smoothing: float = 0.0, seed: int = 0, inputs: torch.Tensor = INPUTS):
    made = build_mixing(mixup, cutmix, 5, smoothing)
    assert isinstance(made, Mixing)
    return made(inputs, TARGETS, torch.Generator().manual_seed(seed))


def partners(seed: int = 0) -> torch.Tensor:
    return torch.randperm(64, generator=torch.Generator().manual_seed(seed))


def test_nothing_asked_is_none() -> None:
    assert build_mixing(0.0, 0.0, 5, 0.1) is None


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixup_is_the_formula_and_its_targets_are_timms(smoothing: float) -> None:
    inputs, targets = mix(mixup=0.4, smoothing=smoothing)
    other = partners()
    # lambda read off one value has to give every other value of the image
    share = ((inputs - INPUTS[other]) / (INPUTS - INPUTS[other])).flatten(1).median(dim=1).values
    moved = other != torch.arange(64)
    share = torch.where(moved, share, 1.0)
    expected = share[:, None, None, None] * INPUTS + (1 - share)[:, None, None, None] * INPUTS[other]
    torch.testing.assert_close(inputs, expected, atol=1e-5, rtol=1e-4)
    assert len(share[moved].unique()) > 50, "one draw for the whole batch"
    for i in torch.nonzero(moved)[:, 0]:
        pair = torch.stack([TARGETS[i], TARGETS[other[i]]])
        theirs = mixup_target(pair, 5, lam=float(share[i]), smoothing=smoothing)  # timm pairs a batch with its reverse
        torch.testing.assert_close(targets[i], theirs[0], atol=1e-4, rtol=1e-4)


def test_cutmix_pastes_one_box_and_counts_its_pixels() -> None:
    inputs, targets = mix(cutmix=1.0)
    other = partners()
    areas = []
    for i, j in enumerate(other.tolist()):
        if i == j:
            continue
        pasted = (inputs[i] == INPUTS[j]).all(dim=0)
        kept = (inputs[i] == INPUTS[i]).all(dim=0)
        assert torch.equal(pasted, ~kept)
        if pasted.any():
            rows, columns = pasted.any(1).nonzero(), pasted.any(0).nonzero()
            assert pasted[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
        area = pasted.float().mean()
        areas.append(float(area))
        expected = torch.zeros(5)
        expected[TARGETS[i]] += 1 - area
        expected[TARGETS[j]] += area
        torch.testing.assert_close(targets[i], expected)
    assert len(set(areas)) > 20
    assert max(areas) > 0.5


def test_boxes_are_timms() -> None:
    for seed in range(40):
        share = seed / 40
        np.random.seed(seed)  # noqa: NPY002
        top, bottom, left, right = rand_bbox((1, 3, 11, 16), share)
        np.random.seed(seed)  # noqa: NPY002
        row, column = np.random.randint(0, 11, None), np.random.randint(0, 16, None)  # noqa: NPY002
        middles = torch.tensor([[(row + 0.5) / 11], [(column + 0.5) / 16]])
        expected = torch.zeros(1, 11, 16, dtype=torch.bool)
        expected[:, top:bottom, left:right] = True
        assert torch.equal(boxes(torch.tensor([share], dtype=torch.float64), middles, (11, 16)), expected)


def test_with_both_every_image_gets_one_of_them() -> None:
    inputs, targets = mix(mixup=1.0, cutmix=1.0)
    other = partners()
    moved = torch.nonzero(other != torch.arange(64))[:, 0]
    from_one = (inputs == INPUTS) | (inputs == INPUTS[other])
    cut = from_one.flatten(1).all(dim=1)[moved]
    assert 0.3 < cut.float().mean() < 0.7
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(64))


@pytest.mark.parametrize("settings", [{"mixup": 0.2}, {"cutmix": 1.0}, {"mixup": 0.2, "cutmix": 1.0}])
def test_the_generator_alone_decides(settings: dict[str, float]) -> None:
    before = INPUTS.clone()
    np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
    first = mix(**settings)
    np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    again = mix(**settings)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], mix(**settings, seed=1)[0])
    assert torch.equal(INPUTS, before)


@pytest.mark.parametrize("alpha", [1e-4, 0.2, 1.0, 8.0])
def test_lambda_is_beta_distributed(alpha: float) -> None:
    drawn = beta(np.random.default_rng(0), alpha, 20_000)
    assert torch.isfinite(drawn).all()
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(drawn.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_targets_are_smoothed_once() -> None:
    _, targets = mix(mixup=1e-4, smoothing=0.2)  # lambda is 0 or 1, nearly always
    assert targets.max(dim=1).values.mean() == pytest.approx(0.8 + 0.2 / 5, abs=0.01)
    torch.testing.assert_close(targets.min(dim=1).values, torch.full((64,), 0.2 / 5))


@pytest.mark.parametrize("settings", [{"mixup": 0.2}, {"cutmix": 1.0}])
def test_one_image_and_the_layout_of_the_rest(settings: dict[str, float]) -> None:
    made = build_mixing(settings.get("mixup", 0.0), settings.get("cutmix", 0.0), 5, 0.0)
    assert made is not None
    inputs, targets = made(INPUTS[:1], TARGETS[:1], torch.Generator())
    torch.testing.assert_close(inputs, INPUTS[:1])
    torch.testing.assert_close(targets, torch.nn.functional.one_hot(TARGETS[:1], 5).float())
    last = INPUTS.contiguous(memory_format=torch.channels_last)
    assert mix(**settings, inputs=last)[0].is_contiguous(memory_format=torch.channels_last)


def test_a_wrong_share_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted fault: targets that ignore the cut at the edge."""
    real = mixing.boxes
    monkeypatch.setattr(mixing, "boxes", lambda *given: real(*given) & False)
    with pytest.raises(AssertionError):
        test_cutmix_pastes_one_box_and_counts_its_pixels()
