"""What a step is fed: batches prepared ahead are the batches prepared one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from opsin.data.augment import build_augmentation
from opsin.data.mixing import build_mixing
from opsin.data.preprocess import Preprocess
from opsin.training import feed as feeds
from opsin.training.draws import step_generator
from opsin.training.feed import Batch, FeatureFeed, PixelFeed, ahead

PIXELS = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)
INDICES = np.arange(49, 9, -1)
LABELS = np.arange(40) % 3


def pixel_feed(augmented: bool = True, mixed: bool = False) -> PixelFeed:
    return PixelFeed(
        PIXELS, INDICES, LABELS, 3, Preprocess.simple(3, 8),
        augment=build_augmentation({"flip": True, "crop": 2, "rotate": 20.0}) if augmented else None,
        mix=build_mixing(0.4, 1.0, 3, 0.1) if mixed else None, device=torch.device("cpu"), channels_last=True,
    )  # fmt: skip


def steps() -> Iterator[np.ndarray]:
    order = np.random.default_rng(1).permutation(40)
    return iter(np.split(order, [9, 18, 27, 36]))


def generators() -> Iterator[torch.Generator]:
    return (step_generator(7, step) for step in range(100))


def test_a_batch_is_the_normalised_images_and_their_labels() -> None:
    feed = pixel_feed(augmented=False)
    chosen = np.array([3, 0, 39])
    inputs, targets = feed.batch(chosen, torch.Generator())
    assert torch.equal(inputs, feed._preprocess.normalise(PIXELS[INDICES[chosen]]))
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert targets.tolist() == LABELS[chosen].tolist()
    rows = FeatureFeed(torch.arange(80.0).view(40, 2), LABELS, 3, torch.device("cpu"))
    inputs, targets = rows.batch(chosen, torch.Generator())
    assert inputs.tolist() == [[6.0, 7.0], [0.0, 1.0], [78.0, 79.0]]
    assert targets.tolist() == LABELS[chosen].tolist()


@pytest.mark.parametrize("limits", [(1, 16), (2**22, 1), (2**22, 3), (2**22, 16)])
@pytest.mark.parametrize("size", [9, 4])
def test_how_many_are_prepared_together_changes_nothing(
    limits: tuple[int, int], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = pixel_feed(mixed=True)
    expected = []
    for positions, generator in zip(steps(), generators(), strict=False):
        parts = [positions[start : start + size] for start in range(0, len(positions), size)]
        expected.append([(part, *feed.batch(part, generator)) for part in parts])
    monkeypatch.setattr(feeds, "AHEAD_BYTES", limits[0])
    monkeypatch.setattr(feeds, "AHEAD_STEPS", limits[1])
    found = list(ahead(feed, steps(), size, generators()))
    assert [len(parts) for parts in found] == [len(parts) for parts in expected]
    for a, b in zip(itertools.chain(*found), itertools.chain(*expected), strict=True):
        assert isinstance(a, Batch)
        assert np.array_equal(a.chosen, b[0])
        assert torch.equal(a.inputs, b[1])
        assert torch.equal(a.targets, b[2])


def test_a_resumed_epoch_gets_the_same_pixels() -> None:
    feed = pixel_feed()
    whole = list(ahead(feed, steps(), 9, generators()))
    later, drawn = list(steps())[2:], (step_generator(7, step) for step in range(2, 100))
    for a, b in zip(ahead(feed, later, 9, drawn), whole[2:], strict=True):
        assert torch.equal(a[0].inputs, b[0].inputs)
    other = ahead(feed, later, 9, generators())  # the planted fault: counting steps from 0 again
    assert not torch.equal(next(other)[0].inputs, whole[2][0].inputs)


def test_no_more_is_held_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    feed, prepared = pixel_feed(), []
    monkeypatch.setattr(feeds, "AHEAD_BYTES", 2 * 9 * 8 * 8 * 3 * 4)  # two steps
    real = feed.batch
    monkeypatch.setattr(feed, "batch", lambda *given: prepared.append(1) or real(*given))
    taken = ahead(feed, steps(), 9, generators())
    counts = [len(prepared) for _ in taken]
    assert counts == [2, 2, 4, 4, 5]
