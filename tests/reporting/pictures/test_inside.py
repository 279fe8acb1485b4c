"""Sheets of dreams, filters and feature maps: what was made is what is shown."""

import numpy as np
import pytest
from PIL import Image

from opsin.errors import OpsinError
from opsin.records import Dream, FeatureMaps, Filters, LayerMaps
from opsin.reporting.figures.colours import diverging, sequential
from opsin.reporting.pictures import dream_film, dream_sheet, feature_sheet, filter_sheet


def dream(count=2, channels=3, real=True) -> Dream:
    draws = np.random.default_rng(0)
    frames = draws.integers(0, 256, (count, 3, 8, 8, channels), np.uint8)
    return Dream(
        labels=tuple(f"class {at}" for at in range(count)),
        pictures=frames[:, -1] / np.float32(255),
        frames=frames,
        steps=np.array([0, 2, 4]),
        activations=np.zeros((count, 4), np.float32),
        final=np.arange(count, dtype=np.float32),
        noise=np.zeros((count, 2), np.float32),
        real=np.ones((count, 3), np.float32) if real else None,
        layer="",
        model="net",
        options={"colours": "photographs"},
    )


def filters(inputs=3) -> Filters:
    weights = np.random.default_rng(0).standard_normal((4, inputs, 5, 5)).astype(np.float32)
    weights[3] = 0
    plane = weights[:, 0]
    return Filters(
        layer="conv",
        kind="convolution",
        weights=weights,
        groups=1,
        norms=np.sqrt((weights**2).sum(axis=(1, 2, 3))),
        dead=np.array([False, False, False, True]),
        flat=np.zeros(4, bool),
        luminance=plane,
        colours=np.zeros((4, inputs), np.float32),
        explained=np.ones(4, np.float32),
    )


def feature_maps(low: float) -> FeatureMaps:
    maps = np.full((1, 2, 2, 2), low, np.float32)
    maps[0, 0, 0, 0] = 4.0
    conv = LayerMaps("conv", "Conv2d", maps, np.arange(2), 2, low, 4.0, 0.0, np.array([1]))
    head = LayerMaps("head", "Linear", np.zeros((1, 3), np.float32), np.arange(3), 3, 0.0, 0.0, 1.0, np.arange(0))
    return FeatureMaps((conv, head), ("cat.jpg",))


def holds(sheet: Image.Image, part: np.ndarray) -> bool:
    """Whether the pixels of `part` stand somewhere on the sheet, one beside the other."""
    pixels = np.asarray(sheet)
    height, width = part.shape[:2]
    for top, left in np.argwhere((pixels[: 1 - height or None, : 1 - width or None] == part[0, 0]).all(axis=2)):
        if np.array_equal(pixels[top : top + height, left : left + width], part):
            return True
    return False


def enlarged(part: np.ndarray, times: int) -> np.ndarray:
    return part.repeat(times, axis=0).repeat(times, axis=1)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_dream_stands_on_the_sheet_pixel_by_pixel(channels):
    found = dream(channels=channels)
    sheet = dream_sheet(found)
    for picture in found.pixels:
        shown = np.repeat(picture, 3, axis=-1) if channels == 1 else picture
        assert holds(sheet, enlarged(shown, 28))
    assert not holds(sheet, enlarged(np.full((8, 8, 3), 7, np.uint8), 28))


def test_a_film_has_every_frame_in_its_row_and_a_limit_cuts_it():
    found = dream(real=False)
    film = dream_film(found)
    for frames in found.frames:
        for frame in frames:
            assert holds(film, enlarged(frame, 14))
    first = dream_film(found, limit=1)
    assert first.height < film.height
    assert not holds(first, enlarged(found.frames[1, 0], 14))
    assert dream_sheet(found, limit=1).width == dream_sheet(dream(1, real=False)).width


def test_filters_are_on_one_scale_in_which_a_dead_one_is_grey():
    found = filters()
    sheet = filter_sheet(found)
    assert holds(sheet, np.full((60, 60, 3), 128, np.uint8))
    peak = np.abs(found.weights).max()
    expected = np.round(np.moveaxis(found.weights[0], 0, -1) / peak * 127 + 128).astype(np.uint8)
    assert holds(sheet, enlarged(expected, 12))
    grey = filter_sheet(filters(1))
    assert holds(grey, np.broadcast_to(diverging()[127], (60, 60, 3)))


@pytest.mark.parametrize(("low", "colours"), [(0.0, sequential()[0]), (-1.0, diverging()[95])])
def test_maps_of_both_signs_are_coloured_around_zero(low, colours):
    sheet = feature_sheet(feature_maps(low), "conv")
    assert holds(sheet, np.broadcast_to(colours, (96, 96, 3)))


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(OpsinError, match="no maps of 'fc' are held; expected one of conv, head"):
        feature_sheet(feature_maps(0.0), "fc")
    with pytest.raises(OpsinError, match="head has no places"):
        feature_sheet(feature_maps(0.0), "head")
    with pytest.raises(OpsinError, match="image 1 was asked for, and there are 1"):
        feature_sheet(feature_maps(0.0), "conv", 1)
    with pytest.raises(OpsinError, match="columns=0"):
        dream_sheet(dream(), columns=0)
