"""The Classifier: a `torch.nn.Module` with its class names and its Preprocess."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from opsin.data.images import Opened, decode_each, each_image, stacked
from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError, first_line
from opsin.files import to_json
from opsin.models.weights import bare, save_weights
from opsin.records import Unreadable

FORMAT = 1


class Inputs(NamedTuple):
    """Images as a network takes them.

    Attributes:
        tensor: float `(n, c, h, w)` on the network's device.
        names: one per image.
        unreadable: the files that could not be read.
        geometry: float64 `(n, 4)`: top, left, bottom, right of each input in its upright original's pixels; None for
            tensors.
    """

    tensor: Tensor
    names: tuple[str, ...]
    unreadable: tuple[Unreadable, ...] = ()
    geometry: np.ndarray | None = None


class Classifier:
    """A network with what is needed to use it: class names in order, and how a picture becomes its input.

    Args:
        module: any `torch.nn.Module` that maps `(n, channels, height, width)` (or `(n, channels, frames,
            height, width)`) to logits `(n, classes)`; wrapped in `DataParallel` or compiled too. Layer names
            are those of its `named_modules()`.
        classes: class names in the order of the outputs. None: they are called `0`, `1`, ... once the network
            has run.
        preprocess: how a picture becomes the input. None: only float tensors are taken.
        name: what `build_model` builds it from, or None for a wrapped object.
        options: the other arguments of `build_model` (`channels`, `size`, `pretrained`, `options`).
        origin: the run folder or file that it was loaded from.
    """

    def __init__(
        self,
        module: nn.Module,
        classes: Sequence[str] | None = None,
        preprocess: Preprocess | None = None,
        *,
        name: str | None = None,
        options: Mapping[str, Any] | None = None,
        origin: Path | None = None,
    ) -> None:
        if not isinstance(module, nn.Module):
            raise OpsinError(
                f"Classifier was given a {type(module).__name__}; expected a torch.nn.Module: build one from "
                "a name with opsin.build_model"
            )
        if isinstance(classes, str | int):
            raise OpsinError(f"classes was given as {classes!r}; expected the class names in the order of the outputs")
        self.module = module
        self._classes = None if classes is None else tuple(str(item) for item in classes)
        if self._classes is not None and len(set(self._classes)) < len(self._classes):
            raise OpsinError(f"the {len(self._classes)} class names hold equal ones; expected names that differ")
        self.preprocess = preprocess
        self.name = name
        self.options: dict[str, Any] = dict(options or {})
        self.origin = origin

    def __repr__(self) -> str:
        count = "?" if self._classes is None else len(self._classes)
        return f"Classifier({self.label}, classes={count}, input={self._expected_shape()})"

    @property
    def label(self) -> str:
        """What to call the network in a sentence: its name, or the name of its class."""
        return self.name or type(bare(self.module)).__name__

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Class names in the order of the outputs; None when none were given and the network has not run yet."""
        return self._classes

    @property
    def channels(self) -> int | None:
        """Channels of the input, or None for a wrapped object without a Preprocess: its layers do not tell."""
        return self.preprocess.channels if self.preprocess is not None else self.options.get("channels")

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the input in pixels, or None where neither Preprocess nor options tell."""
        if self.preprocess is not None:
            return self.preprocess.height, self.preprocess.width
        size = self.options.get("size")
        return None if size is None else (int(size[0]), int(size[1]))

    @property
    def device(self) -> torch.device:
        """Where the network's numbers lie."""
        return self._anchor().device

    def to(self, device: torch.device | str) -> Classifier:
        """Move the network to `device`; returns this Classifier."""
        self.module.to(device)
        return self

    def inputs(self, images: Any) -> tuple[Tensor, tuple[str, ...], tuple[Unreadable, ...]]:
        """Turn images into the network's input.

        Args:
            images: paths, a folder, PIL images or uint8 arrays `(n, h, w, c)`, one or many, which go through
                the Preprocess; or a float tensor `(n, c, h, w)` (one picture: `(c, h, w)`), which is taken as
                already preprocessed.

        Returns:
            The float tensor on the network's device, a name per image, and the files that could not be read.

        Raises:
            OpsinError: a picture for a Classifier without a Preprocess, or a tensor of the wrong type or
                shape.
        """
        found = self.placed_inputs(images)
        return found.tensor, found.names, found.unreadable

    def placed_inputs(self, images: Any) -> Inputs:
        """What `inputs` gives, and where each input lies in its original picture."""
        if isinstance(images, list | tuple) and images and all(isinstance(item, Tensor) for item in images):
            images = _stacked(images)
        if isinstance(images, Tensor):
            tensor = self._checked(images)
            return Inputs(tensor, tuple(f"image {index}" for index in range(len(tensor))))
        if isinstance(images, np.ndarray) and np.issubdtype(images.dtype, np.floating):
            raise OpsinError(
                f"a float array of shape {images.shape} was given; expected uint8 pixels (n, h, w, c), or a "
                "preprocessed float tensor (n, c, h, w): torch.from_numpy(array)"
            )
        if self.preprocess is None:
            raise OpsinError(
                f"{self.label} has no Preprocess and takes float tensors (n, c, h, w) only, but was given "
                f"{_describe(images)}; say how a picture becomes its input: Classifier(module, classes=..., "
                "preprocess=...)"
            )
        opened = decode_each(each_image(images), self.preprocess)
        read = [item for item in opened if isinstance(item, Opened)]
        return Inputs(
            self.preprocess.normalise(stacked(read, self.preprocess)).to(self.device, self._dtype()),
            tuple(item.name for item in read),
            tuple(item for item in opened if isinstance(item, Unreadable)),
            np.array([item.geometry for item in read], np.float64).reshape(-1, 4),
        )

    def logits(self, tensor: Tensor, batch_size: int = 256) -> Tensor:
        """Run the network on preprocessed inputs, in evaluation mode and without gradients.

        The training mode of every layer is restored afterwards, also after an error.

        Args:
            tensor: float `(n, c, h, w)`, on any device.
            batch_size: how many go through at a time.

        Returns:
            float32 `(n, classes)` on the CPU.

        Raises:
            OpsinError: the network cannot take the tensor, or does not answer with one column per class.
        """
        tensor = self._checked(tensor, move=False)
        if batch_size < 1:
            raise OpsinError(f"batch_size was given as {batch_size}; expected at least 1")
        device, dtype = self.device, self._dtype()
        parts = []
        # no_grad and not inference_mode: a network that keeps something from its first run could never train
        # on it again.
        with evaluating(self.module), torch.no_grad():
            for batch in tensor.split(batch_size) if len(tensor) else ():
                parts.append(self.read_output(self._run(batch.to(device, dtype)), len(batch)).float().cpu())
        return torch.cat(parts) if parts else torch.empty(0, len(self._classes or ()))

    def read_output(self, output: Any, images: int | None = None) -> Tensor:
        """The logits `(n, classes)` in what the module returned: a tensor, or something with `logits`.

        Raises:
            OpsinError: there is no such tensor, or its columns are not the classes.
        """
        if isinstance(output, Mapping):
            output = output.get("logits")
        logits = output if isinstance(output, Tensor) else getattr(output, "logits", None)
        # the number of rows is looked at only where one is expected: an export would take it for the only one allowed
        if not isinstance(logits, Tensor) or logits.ndim != 2 or (images is not None and len(logits) != images):
            found = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(output).__name__
            raise OpsinError(
                f"{self.label} answered with {found}; expected logits of shape ({images or 'n'}, classes): "
                "let forward return one row per image"
            )
        self._check_width(logits.shape[1])
        return logits

    def architecture(self) -> dict[str, Any]:
        """What `build_model` needs to build the network again, as plain values for JSON.

        Raises:
            OpsinError: an option of the network cannot be written down, such as a function.
        """
        try:
            options = json.loads(to_json(self.options))
        except TypeError as error:
            raise OpsinError(
                f"the options of {self.label} cannot be written down ({error}); give numbers, texts and lists, or "
                "wrap the network that you built yourself: Classifier(module, ...)"
            ) from error
        return {
            "name": self.name,
            "type": type(bare(self.module)).__name__,
            "classes": None if self._classes is None else len(self._classes),
            "pretrained": False,
            **options,
            "channels": self.channels,
            "size": None if self.size is None else list(self.size),
        }

    def save(self, path: str | Path, state: Mapping[str, Any] | None = None) -> None:
        """Write the weights as safetensors, with architecture, class names and Preprocess in the metadata. With
        `state`, an earlier state dict of the same network, those are written instead of the present ones.

        Raises:
            OpsinError: the path does not end in `.safetensors`, or cannot be written.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise OpsinError(f"{path} does not end in .safetensors, the only format that is written; rename it")
        described = {
            "format": FORMAT,
            "architecture": self.architecture(),
            "classes": None if self._classes is None else list(self._classes),
            "preprocess": None if self.preprocess is None else self.preprocess.model_dump(mode="json"),
        }
        save_weights(self.module, path, {"opsin": to_json(described)}, state)

    def _run(self, batch: Tensor) -> Any:
        try:
            return self.module(batch)
        except torch.OutOfMemoryError as error:
            raise OpsinError(
                f"{self.label} ran out of memory on a batch of {len(batch)}; give a smaller batch_size"
            ) from error
        except (RuntimeError, ValueError, AssertionError, IndexError) as error:
            raise OpsinError(self.why_unfit(batch, first_line(error))) from error

    def _checked(self, tensor: Tensor, *, move: bool = True) -> Tensor:
        """The tensor with a batch axis, on the network's device, once its type and channels are seen to be right."""
        if not tensor.is_floating_point():
            raise OpsinError(
                f"a tensor of {str(tensor.dtype).removeprefix('torch.')} was given; expected a preprocessed "
                "float tensor (n, c, h, w), or pixels as a uint8 NumPy array (n, h, w, c)"
            )
        if tensor.ndim == 3:
            tensor = tensor[None]
        channels = self.channels
        if tensor.ndim not in (4, 5) or (channels is not None and tensor.shape[1] != channels):
            raise OpsinError(
                f"{self.label} was given a tensor of shape {tuple(tensor.shape)}; expected "
                f"{self._expected_shape()}: images first, then channels"
            )
        return tensor.to(self.device, self._dtype()) if move else tensor

    def _check_width(self, width: int) -> None:
        if self._classes is None:
            self._classes = tuple(map(str, range(width)))
        if width != len(self._classes):
            raise OpsinError(
                f"{self.label} answers with {width} columns, but {len(self._classes)} classes were named; "
                f"name one class per column, or build the network with classes={len(self._classes)}"
            )

    def why_unfit(self, batch: Tensor, reason: str) -> str:
        """What to say when the network fails on a batch: the batch, or the network itself, can be wrong."""
        failed = f"{self.label} cannot take an input of shape {tuple(batch.shape)}: {reason}"
        if self.size is not None and tuple(batch.shape[1:]) == (self.channels, *self.size):
            return f"{failed}; it is of its own size, so its layers do not fit together: see flow in opsin studio"
        return f"{failed}; expected {self._expected_shape()}"

    def _expected_shape(self) -> str:
        height, width = self.size or ("height", "width")
        return f"(n, {self.channels or 'channels'}, {height}, {width})"

    def _anchor(self) -> Tensor:
        """A tensor of the network that tells its device; a network without any lies on the CPU."""
        return next(self.module.parameters(), next(self.module.buffers(), torch.empty(0)))

    def _dtype(self) -> torch.dtype:
        floating = (item.dtype for item in self.module.parameters() if item.is_floating_point())
        return next(floating, torch.float32)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards every layer has its own mode back."""
    training = [part for part in module.modules() if part.training]
    if training:
        module.eval()  # setting a mode is slow: a network that is in it already is left alone
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    shapes = list(dict.fromkeys(tuple(item.shape) for item in tensors))
    if len(shapes) > 1 or len(shapes[0]) != 3:
        raise OpsinError(
            f"tensors of shape {' and '.join(map(str, shapes[:2]))} were given in a list; expected tensors (c, h, w) "
            "of one shape, or one tensor (n, c, h, w)"
        )
    return torch.stack(list(tensors))


def _describe(images: Any) -> str:
    if isinstance(images, str | Path):
        return f"the path {images}"
    return f"an object of type {type(images).__name__}"
