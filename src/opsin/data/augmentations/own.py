"""A person's own transform of training images, in one of three forms."""

from __future__ import annotations

import contextlib
import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from opsin.data.augmentations.draws import seed
from opsin.errors import OpsinError

BATCH_NAMES = ("images", "batch")


class Own:
    """Calls a transform as its parameters ask for:

    - `transform(image=array)`, if it takes a keyword `image`, as Albumentations does: per image, NumPy uint8
      `(h, w, c)`; it returns an array, or a mapping with one under `image`.
    - `transform(images)`, if its first parameter is called `images` or `batch`: tensor uint8 `(n, c, h, w)`, returns
      the same.
    - `transform(tensor)` otherwise, as torchvision's: per image, tensor uint8 `(c, h, w)`, returns the same.

    Size, channels and uint8 stay: scaling and normalising belong to the Preprocess. What it draws from PyTorch's,
    NumPy's and Python's own random numbers (and after `set_random_seed`, where it has that) depends on the generator
    alone; the caller's random state is put back.
    """

    def __init__(self, transform: Callable[..., Any]) -> None:
        if not callable(transform):
            raise OpsinError(f"a transform is to be callable, but {type(transform).__name__} is not")
        self._transform = transform
        self._name = getattr(transform, "__name__", type(transform).__name__)
        self._form = _form(transform)

    def __call__(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """uint8 `(n, h, w, c)` to uint8 `(n, h, w, c)`.

        Raises:
            OpsinError: the transform fails, or returns another shape or type.
        """
        with _seeded(self._transform, seed(generator)):
            if self._form == "keyword":
                return torch.stack([self._array(image) for image in pixels.numpy()])
            if self._form == "batch":
                return self._tensor(pixels.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous()
            return torch.stack([self._tensor(image.permute(2, 0, 1)).permute(1, 2, 0) for image in pixels])

    def _array(self, image: np.ndarray) -> Tensor:
        given = image.copy()
        found = self._call(lambda: self._transform(image=given))
        found = found["image"] if isinstance(found, Mapping) and "image" in found else found
        return self._checked(found, image.shape, np.ndarray, "an array (h, w, c)")

    def _tensor(self, image: Tensor) -> Tensor:
        given = image.contiguous()
        what = "a tensor (c, h, w)" if image.ndim == 3 else "a tensor (n, c, h, w)"
        return self._checked(self._call(lambda: self._transform(given)), tuple(image.shape), Tensor, what)

    def _call(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except OpsinError:
            raise
        except Exception as error:
            raise OpsinError(
                f"transform {self._name} failed with {type(error).__name__}: {' '.join(str(error).split())}; it was "
                f"given {GIVEN[self._form]}"
            ) from error

    def _checked(self, found: Any, shape: tuple[int, ...], kind: type, what: str) -> Tensor:
        if isinstance(found, kind) and tuple(found.shape) == shape and str(found.dtype).endswith("uint8"):
            return torch.from_numpy(np.ascontiguousarray(found)) if kind is np.ndarray else found.as_subclass(Tensor)
        is_array = isinstance(found, (np.ndarray, Tensor))
        got = f"{found.dtype} of shape {tuple(found.shape)}" if is_array else type(found).__name__
        raise OpsinError(
            f"transform {self._name} returned {got}; expected {what} of shape {shape} and type uint8, as it was given: "
            "leave resizing, scaling and normalising to the Preprocess"
        )


GIVEN = {
    "keyword": "image=, a NumPy uint8 array (h, w, c)",
    "batch": "a tensor uint8 (n, c, h, w)",
    "image": "a tensor uint8 (c, h, w); name its first parameter images to get whole batches (n, c, h, w)",
}


def _form(transform: Callable[..., Any]) -> str:
    """Which of `GIVEN` a transform takes, read off its parameters."""
    looked_at = transform.forward if isinstance(transform, nn.Module) else transform
    try:
        parameters = list(inspect.signature(looked_at).parameters.values())
    except (TypeError, ValueError):  # some built-in functions do not tell
        return "image"
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    if any(p.name == "image" for p in named if p.kind != p.POSITIONAL_ONLY):
        return "keyword"
    takes_any_keyword = any(p.kind == p.VAR_KEYWORD for p in parameters)
    if takes_any_keyword and all(p.default is not p.empty for p in named):
        return "keyword"
    return "batch" if named and named[0].name in BATCH_NAMES else "image"


@contextlib.contextmanager
def _seeded(transform: Any, value: int) -> Iterator[None]:
    """Within the block all random numbers that a transform may draw follow from `value`."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(value)
            random.seed(value)
            np.random.seed(value)  # noqa: NPY002
            if hasattr(transform, "set_random_seed"):  # Albumentations holds its own generators
                transform.set_random_seed(value)
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
