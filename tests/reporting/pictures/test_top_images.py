"""The sheet of top images: what it shows, in which order, and that small numbers make small pictures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from opsin.errors import OpsinError
from opsin.records import TopImages
from opsin.reporting.pictures.top_images import _rows, top_images_sheet


def some(channels: int = 3, top: int = 4, side: int = 5) -> TopImages:
    rng = np.random.default_rng(0)
    positions = np.tile(np.arange(top), (channels, 1))
    positions[0, -1] = -1
    return TopImages(
        layer="conv2",
        grid=(6, 6),
        size=(12, 12),
        channels=np.arange(channels),
        names=tuple(f"{at}.png" for at in range(top)),
        positions=positions,
        values=-np.sort(-rng.random((channels, top)).astype(np.float32), axis=1),
        places=np.zeros((channels, top, 2), np.int64),
        boxes=np.zeros((channels, top, 4), np.int64),
        field="structural",
        ignored=(),
        dead=np.array([1]),
        images=20,
        copies=0,
        unreadable=0,
        crops=np.full((channels, top, side, side, 3), 200, np.uint8),
        inside=np.tile(np.array([0, 0, side, side]), (channels, top, 1)),
        cells=np.tile(np.array([0, 0, 1, 1]), (channels, top, 1)),
        classes=("a", "猫"),
        class_means=np.ones((channels, 2)),
        selectivity=np.array([0.1, 0.0, 0.6])[:channels],
        preferred=np.array([0, 0, 1])[:channels],
        p_values=np.array([0.5, 1.0, 0.01])[:channels],
    )


def test_selective_channels_come_first_and_dead_ones_last():
    assert _rows(some(), None) == [2, 0, 1]


def test_the_sheet_shows_the_pixels_of_the_crops():
    found = some()
    sheet = np.asarray(top_images_sheet(found))
    # 11 crops of 5 x 5 pixels, nineteen to one, and the dead channel's
    assert (sheet == 200).all(axis=2).sum() >= 11 * (5 * 19) ** 2
    half = np.array([0, 0, 3, 5])
    cut = dataclasses.replace(found, inside=np.broadcast_to(half, found.inside.shape).copy())
    fewer = np.asarray(top_images_sheet(cut))
    assert (fewer == 200).all(axis=2).sum() == pytest.approx((sheet == 200).all(axis=2).sum() * 0.6, rel=0.01)


def test_a_frame_marks_the_place_only_where_the_crop_is_large():
    small, large = some(), some(side=60)
    for found, framed in ((small, False), (large, True)):
        sheet = np.asarray(top_images_sheet(found))
        assert (np.abs(sheet.astype(int) - [196, 162, 240]).sum(axis=2) < 5).any() == framed


def test_some_channels_and_a_limit():
    one, all_of_them = top_images_sheet(some(), [0]), top_images_sheet(some(), columns=1)
    assert one.height < all_of_them.height
    assert top_images_sheet(some(), limit=1).size == one.size


def test_bad_settings_are_one_clear_line():
    with pytest.raises(OpsinError, match="no crops of channel 9 are kept"):
        top_images_sheet(some(), [9])
    with pytest.raises(OpsinError, match="expected at least 1 of each"):
        top_images_sheet(some(), limit=0)
    with pytest.raises(OpsinError, match="no channels were given"):
        top_images_sheet(some(), [])
