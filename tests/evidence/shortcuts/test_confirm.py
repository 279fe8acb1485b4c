"""The effect of a place and its tests, on networks whose answer is known."""

import numpy as np
import pytest
from tests.evidence.shortcuts.test_find import BOX, THREE

from opsin.evidence.shortcuts.confirm import Effect, holm, measure_effect
from opsin.evidence.shortcuts.find import LOST, TURNED, TURNED_UNLIKE, is_shortcut
from opsin.evidence.shortcuts.images import choose_images, open_network
from opsin.evidence.shortcuts.search import explained, search_class


def effect(turned=0.0, lost=0.0, by_others=0.0, elsewhere=0.0, images=100):
    """An Effect of which so large shares of the images are turned or lost."""

    def first(share):
        return np.arange(images) < share * images

    return Effect(
        flips=first(turned),
        flips_other=first(by_others),
        flips_elsewhere=first(elsewhere).astype(float),
        recognised=np.ones(images, bool),
        without=1.0 - first(lost),
        without_elsewhere=np.ones(images),
    )


def test_a_large_effect_beside_its_controls_is_a_shortcut():
    assert is_shortcut(effect(turned=0.4), effect(turned=0.4).p_value(), alike=True)
    assert is_shortcut(effect(lost=0.4), effect(lost=0.4).p_value(), alike=True)
    assert effect().p_value() == 1


@pytest.mark.parametrize("control", ["by_others", "elsewhere"])
def test_what_a_control_does_as_well_is_none(control):
    found = effect(turned=0.6, **{control: 0.6})
    assert found.flips_gain.mean() == 0
    assert not is_shortcut(found, found.p_value(), alike=True)


def test_a_small_effect_is_none_however_sure():
    small = effect(turned=TURNED - 0.01, lost=LOST - 0.01, images=2_000)
    assert small.p_value() < 1e-3
    assert not is_shortcut(small, small.p_value(), alike=True)


def test_an_effect_that_chance_explains_is_none():
    few = effect(turned=0.25, images=8)
    assert few.p_value() > 0.01
    assert not is_shortcut(few, few.p_value(), alike=True)


def test_where_images_differ_much_more_is_asked_for():
    part = effect(turned=TURNED_UNLIKE - 0.05, lost=0.5)
    assert not is_shortcut(part, part.p_value(), alike=False)
    assert is_shortcut(effect(turned=TURNED_UNLIKE + 0.05), 1e-9, alike=False)


def test_a_sign_that_is_flipped_is_noticed():
    """Planted fault: were the controls subtracted the wrong way round, nothing would ever be found."""
    found = effect(turned=0.8, lost=0.8)
    wrong = Effect(
        found.flips_other, found.flips, found.flips.astype(float), found.recognised, found.without_elsewhere,
        found.without,
    )  # fmt: skip
    assert wrong.flips_gain.mean() < 0
    assert wrong.recall_loss.mean() < 0
    assert wrong.p_value() == 1
    assert not is_shortcut(wrong, wrong.p_value(), alike=True)


def test_holm_corrects_for_the_number():
    assert holm([]) == []
    assert holm([0.02]) == [0.02]
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_the_effect_is_what_the_network_was_built_to_do(scene):
    """A mark worth 50 logits turns every image; covered, nothing depends on it."""
    data = scene.planted(BOX, THREE)
    network = open_network(scene.looking(BOX, THREE, strength=50))
    search, held = choose_images(network, data, 40, 0, None)
    candidates = search_class(network, search, THREE, np.zeros((len(explained(search, THREE)), 28, 28), np.float32))
    (found,) = [item for item in candidates if item.mark is not None]
    assert found.box == BOX
    measured = measure_effect(network, search, held, found, seed=0)
    assert measured.flips.all()
    assert measured.flips_other.mean() < 0.05
    assert measured.flips_elsewhere.mean() < 0.05
    assert measured.recognised.all()
    assert measured.without.mean() < 1
    assert measured.p_value() < 1e-3
