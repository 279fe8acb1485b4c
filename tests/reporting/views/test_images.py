"""The pictures that can be looked at."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from opsin.errors import OpsinError
from opsin.reporting.views.images import OWN_KEPT, Images, fitted
from opsin.reporting.views.subject import Subject


def no_data():
    raise OpsinError("there is no data")


@pytest.fixture
def own() -> Images:
    return Images(None, no_data)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_groups_of_a_run(digits_run):
    subject = Subject.of(digits_run)
    assert subject.images.groups() == {"probe": 16, "validation": 500, "test": 1000, "train": 3500}
    seen = subject.images["test/7"]
    data = digits_run.dataset()
    index = data.test.indices[7]
    assert np.array_equal(seen.pixels[..., 0], np.asarray(data.picture(int(index)).picture))
    assert seen.label == data.labels[index]
    assert not seen.prepared


def test_the_probe_is_what_the_network_gets(digits_run):
    seen = Subject.of(digits_run).images["probe/3"]
    assert seen.prepared
    assert np.array_equal(seen.pixels, digits_run.probe.images[3])


def test_a_model_alone_has_the_examples(own):
    assert own.groups() == {"example": 4}
    assert own["example/0"].pixels.shape[2] == 3


@pytest.mark.parametrize("id", ["example/4", "example/-1", "example/x", "probe/0", "test/0", "nope", "", "own/12"])
def test_no_such_picture(own, id):
    with pytest.raises(OpsinError):
        own[id]


def test_a_file_is_kept_upright_and_shrunk(own):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 3000, 3), dtype=np.uint8)
    seen = own.put_file(png(pixels), "wide.png")
    assert seen.pixels.shape[:2] == (20, 2048)
    assert own[seen.id] is seen


def test_a_file_that_is_no_picture_is_refused_in_one_line(own):
    with pytest.raises(OpsinError, match=r"^notes\.txt cannot be read as an image: .+$") as caught:
        own.put_file(b"hello", "notes.txt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4, 5), np.uint8), np.zeros((4, 4)), np.zeros((0, 4), np.uint8)])
def test_what_is_no_picture(own, pixels):
    with pytest.raises(OpsinError, match="pixels"):
        own.put(pixels, "drawn")


def test_only_the_newest_own_pictures_are_kept(own):
    ids = [own.put(np.full((2, 2), value, np.uint8), "drawn").id for value in range(OWN_KEPT + 1)]
    assert own[ids[-1]].pixels[0, 0, 0] == OWN_KEPT
    with pytest.raises(OpsinError, match="not kept any more"):
        own[ids[0]]


def test_fitted_never_enlarges():
    assert fitted(np.zeros((10, 20, 1), np.uint8), 64).shape == (10, 20, 3)
    assert fitted(np.zeros((100, 200, 3), np.uint8), 64).shape == (32, 64, 3)
