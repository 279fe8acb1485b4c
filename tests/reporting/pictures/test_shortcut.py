"""A shortcut as a picture: everything framed where the place is, nothing cut off."""

import numpy as np
from PIL import Image, ImageColor
from tests.reporting.conftest import make_explanation
from tests.reporting.parts.test_shortcuts import make_shortcut

from opsin.reporting.pictures import shortcut_sheet
from opsin.reporting.pictures.shortcut import framed
from opsin.reporting.pictures.text import ACCENT


def accent(picture: Image.Image) -> np.ndarray:
    """Bool `(h, w)`: where the frame's colour is."""
    return (np.asarray(picture) == ImageColor.getrgb(ACCENT)).all(axis=2)


def test_the_frame_is_around_the_place_at_any_scale():
    for scale in (2, 5, 8):
        picture = framed(Image.new("L", (28 * scale, 28 * scale)), make_shortcut(region=(4, 10, 9, 20)))
        rows, columns = np.nonzero(accent(picture))
        assert abs(rows.min() - 4 * scale) <= 2
        assert abs(rows.max() + 1 - 9 * scale) <= 2
        assert abs(columns.min() - 10 * scale) <= 2
        assert abs(columns.max() + 1 - 20 * scale) <= 2


def test_examples_and_methods_are_on_one_sheet():
    item = make_shortcut(map=np.ones((28, 28), np.float32))
    alone = shortcut_sheet(item)
    both = shortcut_sheet(item, [make_explanation(side=28)] * 8, ["30 % in the mark"] * 8)
    assert both.height > alone.height
    assert accent(both).sum() > accent(alone).sum() > 13 * 20


def test_a_class_that_no_font_can_draw_has_its_number():
    # a private character that no font has
    unknown = make_shortcut(class_name="\ue9f7", answers=(("\ue9f7",) * 3,) * 4)
    assert shortcut_sheet(unknown).size == shortcut_sheet(make_shortcut()).size


def test_colour_images_are_drawn():
    colour = np.random.default_rng(0).integers(0, 256, (4, 2, 28, 28, 3)).astype(np.uint8)
    assert shortcut_sheet(make_shortcut(examples=colour, answers=(("a", "b"),) * 4)).mode == "RGB"
