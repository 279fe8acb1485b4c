"""Random views: what a shift, an enlargement and a turn do, and that each view is the same for all pictures."""

import math

import pytest
import torch

from opsin.explanation.inside.dreams.views import Views


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(size: tuple[int, int]) -> torch.Tensor:
    """A smooth picture: a wave in each direction, so that interpolating costs little."""
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return (torch.sin(rows * 0.2) + torch.cos(columns * 0.15 + 0.4)).view(1, 1, *size)


def test_without_any_change_a_view_is_the_middle_of_the_canvas():
    views = Views((20, 30), 0.0, 0.0, 0.0)
    canvas = picture(views.canvas)
    assert torch.equal(views.draw(canvas, 2, draws()), views.middle(canvas).repeat(2, 1, 1, 1))


@pytest.mark.parametrize("size", [(24, 24), (20, 32)])
def test_a_shift_shows_what_lies_beside(size):
    views = Views(size, 0.25, 0.0, 0.0)
    canvas = picture(views.canvas)
    numbers = torch.rand(4, 1, generator=draws(3)) * 2 - 1
    down, across = float(numbers[2]) * 0.25 * size[0], float(numbers[3]) * 0.25 * size[1]
    view = views.draw(canvas, 1, draws(3))[0, 0]
    rows = torch.arange(size[0])[:, None] + views.margin + down
    columns = torch.arange(size[1])[None] + views.margin + across
    expected = torch.sin(rows * 0.2) + torch.cos(columns * 0.15 + 0.4)
    assert torch.allclose(view, expected, atol=0.02)


def test_an_enlargement_and_a_turn_are_those_of_pixels_in_pictures_that_are_not_square():
    views = Views((20, 40), 0.3, 0.5, 30.0)
    canvas = picture(views.canvas)
    numbers = torch.rand(4, 1, generator=draws(5)) * 2 - 1
    angle, seen = math.radians(30) * float(numbers[0]), 1.5 ** float(numbers[1])
    down, across = float(numbers[2]) * 0.3 * 20, float(numbers[3]) * 0.3 * 40
    view = views.draw(canvas, 1, draws(5))[0, 0]
    rows, columns = torch.meshgrid(torch.arange(20) - 9.5, torch.arange(40) - 19.5, indexing="ij")
    height, width = views.canvas
    at_row = seen * (math.cos(angle) * rows + math.sin(angle) * columns) + down + (height - 1) / 2
    at_column = seen * (math.cos(angle) * columns - math.sin(angle) * rows) + across + (width - 1) / 2
    inside = (at_row > 0) & (at_row < height - 1) & (at_column > 0) & (at_column < width - 1)
    expected = torch.sin(at_row * 0.2) + torch.cos(at_column * 0.15 + 0.4)
    assert int(inside.sum()) > 300
    assert torch.allclose(view[inside], expected[inside], atol=0.03)


def test_each_view_is_the_same_for_all_pictures_and_does_not_depend_on_their_number():
    views = Views((12, 12), 0.2, 0.3, 20.0)
    canvas = torch.cat([picture(views.canvas), picture(views.canvas) * 2])
    both = views.draw(canvas, 3, draws(1))
    assert both.shape == (6, 1, 12, 12)
    alone = views.draw(canvas[:1], 3, draws(1))
    assert torch.allclose(both[0::2], alone, atol=1e-6)
    assert torch.allclose(both[1::2], alone * 2, atol=1e-5)
    assert not torch.allclose(alone[0], alone[1], atol=0.05)
