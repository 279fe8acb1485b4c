"""Sheets and grids: what they say, what they refuse, and text in any script."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.conftest import missing

from opsin.errors import OpsinError
from opsin.records import Explanation
from opsin.records.evidence import VERDICTS
from opsin.reporting.pictures import contact_sheet, method_grid, text
from opsin.reporting.pictures.pieces import FULL_COLOUR, badge, highs, number, range_text, target_text
from opsin.reporting.pictures.text import GROUND, class_label, find_font, image_label, shorten, undrawn, width_of

BACKGROUND = tuple(int(GROUND[i : i + 2], 16) for i in (1, 3, 5))


def made(count: int = 3, side: int = 16, method: str = "grad_cam", seed: int = 0, **given) -> Explanation:
    rng = np.random.default_rng(seed)
    values = {
        "maps": rng.random((count, side, side), np.float32), "inputs": rng.random((count, 3, side, side), np.float32),
        "method": method, "options": {}, "layer": "conv", "targets": np.arange(count) % 2, "classes": ("cat", "dog"),
        "names": tuple(f"folder/{i}.png" for i in range(count)), "display": ((0.0,) * 3, (1.0,) * 3),
        "probabilities": np.linspace(0.5, 1, count, dtype=np.float32),
    }  # fmt: skip
    return Explanation(**{**values, **given})


def pixels(picture) -> np.ndarray:
    return np.asarray(picture.convert("RGB"))


def test_a_sheet_has_one_place_per_image_on_a_dark_ground():
    one, six = contact_sheet(made(1)), contact_sheet(made(6), columns=3)
    assert tuple(pixels(one)[0, 0]) == BACKGROUND
    assert six.width == 3 * (224 + 16) - 16 + 48
    assert six.height > one.height
    assert contact_sheet(made(6), columns=6).width > six.width
    # the first picture, enlarged 14 times, without blur
    drawn = pixels(six)
    top = next(row for row in range(drawn.shape[0]) if (drawn[row, 24:248] != BACKGROUND).any(axis=1).all())
    block = drawn[top : top + 224, 24:248].reshape(16, 14, 16, 14, 3)
    assert (block == block[:, :1, :, :1]).all()


def test_only_so_many_are_shown_and_the_head_says_of_how_many():
    assert contact_sheet(made(6), limit=2, columns=2).size == contact_sheet(made(2), columns=2).size
    some, whole = (pixels(contact_sheet(one, limit=2, columns=2)) for one in (made(6), made(6).rows([0, 1])))
    assert not np.array_equal(some[:60], whole[:60])
    assert np.array_equal(some[90:], whole[90:])


def test_a_grid_is_a_table_of_images_and_methods():
    explanations = [made(), made(method="saliency", seed=1)]
    grid = method_grid(explanations)
    assert grid.width == 3 * (224 + 16) - 16 + 48
    assert method_grid(explanations, limit=1).height < grid.height
    assert not np.array_equal(pixels(grid), pixels(method_grid(explanations, titles=["one", "two"])))
    # another class in one column is said under each map
    other = dataclasses.replace(explanations[1], targets=1 - explanations[1].targets)
    assert not np.array_equal(pixels(grid), pixels(method_grid([explanations[0], other])))


def test_every_verdict_has_a_sign_of_its_own_and_unchecked_is_the_default():
    signs = [pixels(badge(verdict, 224))[:, :15].tobytes() for verdict in VERDICTS]
    assert len(set(signs)) == 4
    with pytest.raises(OpsinError, match="'fine' is unknown"):
        badge("fine", 224)
    pair = [made(), made(seed=1)]
    drawn = [pixels(method_grid(pair, verdicts=[verdict, verdict])) for verdict in VERDICTS]
    assert np.array_equal(drawn[3], pixels(method_grid(pair)))
    assert not np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(
        pixels(contact_sheet(made())), pixels(contact_sheet(made(), verdict="fails the sanity check"))
    )


def test_the_full_colour_is_each_maps_own_or_that_of_all():
    maps = np.stack([np.full((16, 16), 1.0), np.full((16, 16), 4.0)]).astype(np.float32)
    why = made(2, maps=maps)
    assert highs(why, "image").tolist() == [1, 4]
    assert highs(why, "column").tolist() == [4, 4]
    with pytest.raises(OpsinError, match="scale was given as 'row'"):
        contact_sheet(why, scale="row")  # type: ignore[arg-type]


def test_one_outlier_does_not_hide_a_map_and_a_sparse_map_is_seen():
    maps = np.random.default_rng(0).random((1, 32, 32)).astype(np.float32)
    maps[0, 0, 0] = 1000
    inputs = np.zeros((1, 3, 32, 32), np.float32)
    assert highs(made(1, 32, maps=maps, inputs=inputs), "image")[0] == np.quantile(maps, FULL_COLOUR).astype(np.float32)
    assert highs(made(1, 32, maps=maps, inputs=inputs), "image")[0] < 1
    sparse = np.zeros_like(maps)
    sparse[0, 0, 0] = 3
    assert highs(made(1, 32, maps=sparse, inputs=inputs), "image")[0] == 3
    assert highs(made(1, 32, maps=np.zeros_like(maps), inputs=inputs), "image")[0] == 0
    contact_sheet(made(1, 32, maps=np.zeros_like(maps), inputs=inputs))


def test_what_stands_under_a_map():
    why = made(3, maps=np.stack([np.zeros((16, 16)), np.full((16, 16), -0.25), np.eye(16) * 123456]).astype(np.float32))
    assert range_text(why, 0) == "blank: zero everywhere"
    assert range_text(why, 1) == "-0.25 to -0.25"
    assert range_text(why, 2) == "0 to 1.23e+05"
    assert target_text(why, 1) == "dog 75.0 %"
    assert target_text(dataclasses.replace(why, probabilities=None), 0) == "cat"
    assert target_text(dataclasses.replace(why, against=1 - why.targets), 0) == "cat rather than dog"
    assert [number(value) for value in (-0.0, 1e-9, 0.12345, 1500.0)] == ["0", "1e-09", "0.123", "1.5e+03"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "nothing to show"),
        (([made(), made(2)],), "different images"),
        (([made(), made(names=("a", "b", "c"))],), "different images"),
    ],
)
def test_what_no_grid_can_be_made_of(arguments, message):
    with pytest.raises(OpsinError, match=message):
        method_grid(*arguments)


def test_misuse_of_sheets_and_grids():
    with pytest.raises(OpsinError, match="1 verdicts were given for 2"):
        method_grid([made(), made()], verdicts=["not checked yet"])
    with pytest.raises(OpsinError, match="3 titles were given for 1"):
        method_grid([made()], titles=["a", "b", "c"])
    with pytest.raises(OpsinError, match="columns=0"):
        contact_sheet(made(), columns=0)
    with pytest.raises(OpsinError, match="no images"):
        contact_sheet(made().rows([]))


@pytest.mark.parametrize("side", [(3, 5), (28, 28), (96, 300), (320, 200)])
def test_any_size_of_input_fits(side):
    inputs = np.random.default_rng(0).random((2, 1, *side)).astype(np.float32)
    why = made(2, inputs=inputs, maps=inputs[:, 0] - 0.5, display=None)
    assert contact_sheet(why).width <= 1536
    assert method_grid([why, why]).width <= 3 * 240 + 48


# -- text --


def test_long_names_are_cut_with_an_ellipsis():
    long = "a very long class name, of ImageNet, with synonyms " * 5
    for size in (12, 16):
        short = shorten(long, 200, size)
        assert short.endswith("…")
        assert width_of(short, size) <= 200
    assert shorten("cat", 200, 12) == "cat"
    assert shorten("folder/of/pictures/0001.png", 60, 12, keep_end=True).endswith("1.png")
    sizes = {contact_sheet(made(2, classes=(name, "b"))).size for name in ("a", long, "猫" * 100)}
    assert len(sizes) == 1


def test_a_name_that_no_font_has_is_shown_by_its_index_and_said(monkeypatch):
    unheard = "\U00012000\U00012001"  # cuneiform
    monkeypatch.setattr(text, "_SYSTEM_FONTS", ())
    text._has.cache_clear()
    why = made(2, classes=(unheard, "dog"))
    assert find_font(unheard, 14) is None
    assert class_label(why, 0) == "class 0"
    assert class_label(why, 1) == "dog"
    assert "1 class names need a font" in undrawn(why)
    assert undrawn(made()) == ""
    assert image_label(f"x/{unheard}.png", 7) == "image 7"
    assert image_label("x/cat.png", 7) == "cat.png"
    assert class_label(made(classes=("cat\nnap", "dog")), 0) == "cat nap"
    contact_sheet(why)
    text._has.cache_clear()


def test_chinese_names_are_drawn_where_the_system_has_a_font():
    font = find_font("猫与狗", 14)
    if font is None:
        missing("a font with Chinese characters")
    drawn = [font.getmask(sign) for sign in "猫狗\U0010fffe"]
    assert len({(mask.size, tuple(mask)) for mask in drawn}) == 3
    named = [made(2, classes=(name, "狗")) for name in ("猫", "鸟")]
    assert class_label(named[0], 0) == "猫"
    assert not np.array_equal(*(pixels(contact_sheet(one)) for one in named))
