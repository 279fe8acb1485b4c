"""Every set of images that has a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from opsin.data.sources import packaged, torchvision_sets
from opsin.data.sources.found import Found
from opsin.data.sources.published import SETS, data_folder, is_here


@dataclass(frozen=True)
class Entry:
    """A set that `load_data` opens by its name.

    Attributes:
        what: what its pictures show.
        images: how many there are.
        classes: how many classes.
        size: of the pictures.
        needs: what has to be installed or downloaded.
        find: finds the images.
        here: whether that works without installing or downloading anything.
    """

    what: str
    images: int
    classes: int
    size: str
    needs: str
    find: Callable[[], Found]
    here: Callable[[], bool]


def _published(name: str) -> Entry:
    item = SETS[name]
    return Entry(
        item.what,
        item.images,
        item.classes,
        item.size,
        f"a download ({item.megabytes:,} MB)" + (f", or {item.also}" if item.also else ""),
        partial(torchvision_sets.find, name),
        lambda: is_here(item, data_folder()),
    )


INDEX: dict[str, Entry] = {
    "mnist5k": Entry(
        "handwritten digits",
        5_000,
        10,
        "28 x 28 grey",
        'pip install "opsin[demo]"',
        packaged.mnist5k,
        packaged.has_digits,
    ),
    "photos": Entry(
        "pieces of twelve photographs", 288, 12, "72 x 72 colour", "nothing", packaged.photos, lambda: True
    ),
    "faces": Entry("faces, and pieces without one", 200, 2, "25 x 25 grey", "nothing", packaged.faces, lambda: True),
    **{name: _published(name) for name in SETS},
}
