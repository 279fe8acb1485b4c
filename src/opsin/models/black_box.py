"""Classifiers of which only the scores are known: a function, or an ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError, first_line
from opsin.models.classifier import Classifier


class BlackBox(Classifier):
    """A Classifier around a function `images -> scores`: it predicts, and methods that need only scores explain it.

    Args:
        scores: takes float32 `(n, c, h, w)` as a NumPy array, or as a tensor where it cannot work on an array, and
            gives `(n, classes)` as either.
        classes, preprocess, name, options, origin: as for a Classifier.
    """

    def __init__(
        self,
        scores: Callable[[Any], Any],
        classes: Sequence[str] | None = None,
        preprocess: Preprocess | None = None,
        *,
        name: str | None = None,
        options: Mapping[str, Any] | None = None,
        origin: Path | None = None,
    ) -> None:
        if not callable(scores):
            raise OpsinError(f"BlackBox was given a {type(scores).__name__}; expected a function: images -> scores")
        title = name or getattr(scores, "__name__", type(scores).__name__)
        super().__init__(_Function(scores, title), classes, preprocess, name=title, options=options, origin=origin)

    def save(self, path: str | Path, state: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """A black box has no weights to write.

        Raises:
            OpsinError: always.
        """
        raise OpsinError(f"{self.label} is a black box without weights and cannot be saved as {path}")


def open_onnx(path: str | Path, classes: Sequence[str] | None = None, preprocess: Preprocess | None = None) -> BlackBox:
    """A BlackBox of an ONNX file that maps float `(n, c, h, w)` to scores `(n, classes)`, run on the CPU.

    Args:
        path: the file.
        classes: class names in the order of the scores; None: 0, 1, ...
        preprocess: how a picture becomes the input; None: only float tensors are taken.

    Raises:
        OpsinError: there is no such file, or it is no such network.
    """
    path = Path(path)
    if not path.is_file():
        raise OpsinError(f"there is no file {path}; give the path of an ONNX file")
    scores = OnnxScores(path)
    channels, *size = scores.shape[1:]
    known = {} if not isinstance(channels, int) else {"channels": channels}
    if all(isinstance(item, int) for item in size):
        known["size"] = tuple(size)  # type: ignore[assignment]
    if classes is None and scores.classes is not None:
        classes = tuple(map(str, range(scores.classes)))
    return BlackBox(scores, classes, preprocess, name=path.name, options=known, origin=path)


class OnnxScores:
    """An ONNX graph as a function from `(n, c, h, w)` to `(n, classes)`, both NumPy float32.

    Args:
        source: a file, or the graph's bytes.
        threads: of ONNX Runtime; None: as many as it likes.

    Raises:
        OpsinError: it cannot be opened, or takes something else than one batch of pictures.
    """

    def __init__(self, source: Path | bytes, threads: int | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        # between two runs PyTorch prepares the next inputs: threads that wait in a loop would take its cores
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
        self._name = name = source.name if isinstance(source, Path) else "the graph"
        try:
            self._session = onnxruntime.InferenceSession(
                str(source) if isinstance(source, Path) else source, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's own exceptions have no common base
            raise OpsinError(f"cannot open {name}: {first_line(error)}; expected an ONNX network") from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or "float" not in inputs[0].type:
            described = ", ".join(f"{item.name} {item.type} {item.shape}" for item in inputs)
            raise OpsinError(f"{name} takes {described}; expected one float input (n, channels, height, width)")
        self.shape: list[int | str | None] = inputs[0].shape
        self._input = inputs[0].name
        self._dtype = np.float16 if inputs[0].type == "tensor(float16)" else np.float32
        names = [item.name for item in outputs]
        self._output = "logits" if "logits" in names else names[0]
        answered = outputs[names.index(self._output)].shape
        known = len(answered) == 2 and isinstance(answered[1], int)
        self.classes: int | None = answered[1] if known else None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        images = np.ascontiguousarray(images, self._dtype)
        fixed = self.shape[0]
        if not isinstance(fixed, int):
            return self._run(images)
        # a graph for a fixed number of images: the last batch is filled up with its own last image
        parts = []
        for start in range(0, len(images), fixed):
            batch = images[start : start + fixed]
            filled = np.concatenate([batch, np.repeat(batch[-1:], fixed - len(batch), axis=0)])
            parts.append(self._run(filled)[: len(batch)])
        return np.concatenate(parts)

    def _run(self, images: np.ndarray) -> np.ndarray:
        try:
            return np.asarray(self._session.run([self._output], {self._input: images})[0], np.float32)
        except Exception as error:  # ONNX Runtime's own exceptions have no common base
            raise OpsinError(
                f"{self._name} cannot take an input of shape {images.shape}: {first_line(error)}; expected "
                f"{tuple(self.shape)}"
            ) from error


class _Function(nn.Module):
    """A function as a module: arrays or tensors go in, whichever it can take."""

    def __init__(self, scores: Callable[[Any], Any], title: str) -> None:
        super().__init__()
        self._scores = scores
        self._title = title
        self._takes_tensors: bool | None = None

    def forward(self, images: Tensor) -> Tensor:
        answer = self._answer(images.detach().float())
        try:
            scores = torch.as_tensor(answer).detach().float()
        except (TypeError, ValueError, RuntimeError) as error:
            raise OpsinError(
                f"{self._title} answered with a {type(answer).__name__}; expected scores (n, classes) as a NumPy array "
                "or a tensor"
            ) from error
        return scores.to(images.device)

    def _answer(self, images: Tensor) -> Any:
        if self._takes_tensors:
            return self._scores(images)
        try:
            answer = self._scores(images.cpu().numpy())
        except (TypeError, AttributeError) as error:
            # what PyTorch's functions say about an array; a function that worked once is not tried again
            if self._takes_tensors is not None:
                raise
            try:
                answer = self._scores(images)
            except Exception:
                raise OpsinError(
                    f"{self._title} failed on a float32 array {tuple(images.shape)}: {error}; expected a function that "
                    "takes a batch of images (n, c, h, w)"
                ) from error
            self._takes_tensors = True
            return answer
        self._takes_tensors = False
        return answer
