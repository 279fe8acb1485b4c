"""Marks in the pixels alone: found exactly, and told from what objects and backgrounds share."""

import numpy as np
import pytest

from opsin.evidence.shortcuts.alike import CARRIED, TOLERANCE, FreePlaces, find_marks

LARGEST = 0.12
PATTERNS = {
    "square": np.ones((4, 4), bool),
    "checker": np.indices((5, 5)).sum(axis=0) % 2 == 0,
    "cross": np.isin(np.indices((5, 5)), 2).any(axis=0),
    "frame": ~np.pad(np.ones((3, 3), bool), 1),
}


def noise(count, side=24, channels=1, seed=0):
    """Images without anything in common."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def marked(pictures, box, pattern, value, share=1.0):
    pictures = pictures.copy()
    rows = np.arange(len(pictures)) % 10 < 10 * share
    part = pictures[rows, box[0] : box[2], box[1] : box[3]]
    part[:, pattern] = value
    pictures[rows, box[0] : box[2], box[1] : box[3]] = part
    return pictures


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("share", [0.5, 0.8, 1.0])
def test_a_mark_is_found_to_the_pixel(name, channels, share):
    pattern = PATTERNS[name]
    side = len(pattern)
    box = (3, 24 - side, 3 + side, 24)
    value = [200, 40, 90][:channels]
    own = marked(noise(60, channels=channels), box, pattern, value, share)
    (found,) = find_marks(own, noise(120, channels=channels, seed=1), LARGEST)
    assert found.box == box
    np.testing.assert_array_equal(found.mask[box[0] : box[2], box[1] : box[3]], pattern)
    assert (np.abs(found.values[found.mask].astype(int) - value) <= TOLERANCE).all()
    assert found.carried_by(own).mean() == pytest.approx(share, abs=0.05)


def test_noise_has_no_mark():
    assert find_marks(noise(60), noise(120, seed=1), LARGEST) == []


def test_what_others_have_too_is_no_mark():
    box, pattern = (1, 1, 5, 5), PATTERNS["square"]
    own, others = (marked(noise(n, seed=n), box, pattern, 200) for n in (60, 120))
    assert find_marks(own, others, LARGEST) == []


def test_what_few_images_carry_is_no_mark():
    own = marked(noise(60), (1, 1, 5, 5), PATTERNS["square"], 200, share=CARRIED - 0.1)
    assert find_marks(own, noise(120, seed=1), LARGEST) == []


def test_a_background_is_no_mark():
    """Black where other classes have their objects: what is missing there has the colour of the ground."""
    own, others = np.zeros((60, 24, 24, 1), np.uint8), np.zeros((120, 24, 24, 1), np.uint8)
    own[:, 10:14, 4:20] = noise(60)[:, 10:14, 4:20]
    others[:, 4:20, 4:20] = noise(120, seed=1)[:, 4:20, 4:20]
    assert find_marks(own, others, LARGEST) == []


def test_a_class_of_one_colour_is_no_mark():
    own = np.full((60, 24, 24, 1), 120, np.uint8)
    assert find_marks(own, noise(120, seed=1), LARGEST) == []
    (found,) = find_marks(marked(own, (1, 1, 5, 5), PATTERNS["square"], 250), noise(120, seed=1), LARGEST)
    assert found.box == (1, 1, 5, 5)


def test_what_fades_out_is_no_mark():
    """A blob at nearly the same place in all images is shared less and less towards its edge."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((24, 24))
    own = np.zeros((80, 24, 24, 1), np.uint8)
    for picture, (dy, dx) in zip(own, rng.normal(0, 1.5, (80, 2)), strict=True):
        distance = np.hypot(rows - 12 - dy, columns - 12 - dx)
        picture[..., 0] = np.clip(255 - 20 * distance, 0, 255)
    assert find_marks(own, noise(120, seed=1), LARGEST) == []


def test_places_are_free_beside_aligned_objects_and_everywhere_without_any():
    centred = np.zeros((40, 24, 24, 1), np.uint8)
    centred[:, 6:18, 6:18] = noise(40)[:, 6:18, 6:18]
    places = FreePlaces(centred)
    assert places.has((0, 0, 4, 4))
    assert places.has((20, 10, 24, 14))
    assert not places.has((10, 10, 14, 14))
    scattered = FreePlaces(noise(40))
    assert scattered.has((10, 10, 14, 14))
    assert scattered.has((0, 0, 4, 4))
