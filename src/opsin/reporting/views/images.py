"""The pictures that can be looked at, by their ids."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from opsin.data.decode import UnreadableImage, decode
from opsin.data.images import shrunk
from opsin.errors import OpsinError

if TYPE_CHECKING:
    from opsin.data.dataset import Dataset
    from opsin.training.run import Run

SPLITS = ("validation", "test", "train")
OWN_KEPT = 64
LONGEST = 2048
# photographs that come with scikit-image and show a class of ImageNet
EXAMPLES = {"cat": "chelsea", "coffee": "coffee", "motorcycle": "stereo_motorcycle", "camera": "camera"}


@dataclass(frozen=True)
class Seen:
    """One picture: uint8 pixels `(h, w, c)`, its label (None where it has none) and what it is called. `prepared`: it
    is a network's input already, in size and channels."""

    id: str
    pixels: np.ndarray
    label: int | None
    name: str
    prepared: bool = False


class Images:
    """Pictures by id: `probe/3`, `test/7` (the position in the split), `example/0` (photographs that packages ship),
    `own/<hash>` (what a person drew or dropped).

    Args:
        run: whose probe and data are looked at, or None.
        data: opens the data, or says why it cannot.
    """

    def __init__(self, run: Run | None, data: Callable[[], Dataset]) -> None:
        self._run, self._data = run, data
        self._own: OrderedDict[str, Seen] = OrderedDict()

    def follow(self, run: Run) -> None:
        """Look at the same run, read anew."""
        self._run = run

    def groups(self) -> dict[str, int]:
        """How many pictures there are in each group that can be opened."""
        found: dict[str, int] = {}
        if self._run is None:
            found["example"] = len(EXAMPLES)
        elif self._run.probe is not None:
            found["probe"] = len(self._run.probe.images)
        try:
            data = self._data()
        except OpsinError:
            return found
        return found | {name: len(getattr(data, name)) for name in SPLITS if len(getattr(data, name))}

    def put(self, pixels: np.ndarray, name: str) -> Seen:
        """Keep what a person drew or dropped.

        Args:
            pixels: uint8 `(h, w)` or `(h, w, c)` with 1 to 4 channels.
            name: what to call it.

        Raises:
            OpsinError: these are no pixels of a picture.
        """
        if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or not pixels.size:
            raise OpsinError(f"pixels of {pixels.dtype} {pixels.shape} were given; expected uint8 (h, w, c)")
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        if not 1 <= pixels.shape[2] <= 4:
            raise OpsinError(f"pixels with {pixels.shape[2]} channels were given; expected 1 to 4")
        digest = hashlib.blake2b(pixels.tobytes() + str(pixels.shape).encode(), digest_size=8).hexdigest()
        seen = Seen(f"own/{digest}", pixels, None, name)
        self._own[seen.id] = seen
        self._own.move_to_end(seen.id)
        while len(self._own) > OWN_KEPT:
            self._own.popitem(last=False)
        return seen

    def put_file(self, content: bytes, name: str) -> Seen:
        """Keep the picture of a file's bytes, upright, its longer side at most 2048 pixels.

        Raises:
            OpsinError: the bytes are no picture that can be read.
        """
        try:
            decoded = decode(content, "RGBA")
        except UnreadableImage as error:
            raise OpsinError(f"{name} cannot be read as an image: {error.reason}") from error
        return self.put(np.asarray(shrunk(decoded.picture, LONGEST)), name)

    def __getitem__(self, id: str) -> Seen:
        """The picture of an id.

        Raises:
            OpsinError: there is none, or it cannot be opened any more.
        """
        group, _, key = id.partition("/")
        if group == "own":
            if id not in self._own:
                raise OpsinError(f"the picture {id} is not kept any more; draw or drop it again")
            return self._own[id]
        position = int(key) if key.isdecimal() else -1
        if group == "probe" and self._run is not None and self._run.probe is not None:
            probe = self._run.probe
            if 0 <= position < len(probe.images):
                label = int(probe.labels[position])
                return Seen(id, probe.images[position], label if label >= 0 else None, id, prepared=True)
        if group == "example" and self._run is None and 0 <= position < len(EXAMPLES):
            return Seen(id, example(list(EXAMPLES)[position]), None, list(EXAMPLES)[position])
        if group in SPLITS:
            data = self._data()
            split = getattr(data, group)
            if 0 <= position < len(split):
                index = int(split.indices[position])
                picture = data.picture(index).picture
                pixels = np.asarray(picture).reshape(picture.height, picture.width, -1)
                return Seen(id, pixels, int(data.labels[index]), data.names[index])
        raise OpsinError(f"there is no picture {id!r}; choose one of the groups {', '.join(self.groups())}")


def example(name: str) -> np.ndarray:
    """A photograph that comes with scikit-image, uint8 `(h, w, 3)`."""
    import skimage.data

    picture = getattr(skimage.data, EXAMPLES[name])()
    picture = picture[0] if isinstance(picture, tuple) else picture
    return np.asarray(Image.fromarray(picture).convert("RGB"))


def fitted(pixels: np.ndarray, side: int) -> np.ndarray:
    """uint8 `(h, w, 3)`: the picture as RGB, shrunk until its longer side has at most `side` pixels."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    return np.asarray(shrunk(picture, side))
