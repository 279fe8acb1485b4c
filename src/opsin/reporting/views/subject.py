"""What is looked at: a run, a model, or the model of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.models.classifier import Classifier
from opsin.models.load import load_model
from opsin.reporting.parts.material import Material
from opsin.reporting.views.images import Images, Seen
from opsin.training.run import Run

if TYPE_CHECKING:
    from opsin.data.dataset import Dataset


class Subject:
    """What is looked at. Everything is opened when it is first asked for, and once.

    Args:
        name: what to call it.
        run: the run, or None.
        model: opens the network; None: there is none to open.
        others: opens another subject by its id; None where the host has only this one.
        other_names: what the others are called at the moment, by id.

    Attributes:
        images: the pictures that can be looked at.
    """

    def __init__(
        self,
        name: str,
        run: Run | None,
        model: Callable[[], Classifier] | None,
        *,
        others: Callable[[str], Subject] | None = None,
        other_names: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.name = name
        self.run = run
        self._open_model = model
        self.images = Images(run, lambda: self.data)
        self.others = others
        self.other_names = other_names

    @classmethod
    def of(cls, thing: Classifier | Run | str | Path) -> Subject:
        """The Subject of a Classifier, a Run, or what lies at a path: a run folder, a weights file, an `.onnx` file.

        Raises:
            OpsinError: nothing can be opened there.
        """
        if isinstance(thing, Classifier):
            return cls(thing.label, None, lambda: thing)
        if isinstance(thing, Run):
            return cls(thing.name, thing, lambda: load_model(thing.path))
        path = Path(thing)
        if (path / "run.json").is_file():
            return cls.of(Run(path))
        model = load_model(path)
        return cls(path.stem, None, lambda: model)

    @cached_property
    def model(self) -> Classifier:
        """The network.

        Raises:
            OpsinError: there is none, or it cannot be opened.
        """
        if self._open_model is None:
            raise OpsinError(f"{self.name} has no network that can be opened")
        return self._open_model()

    @cached_property
    def model_missing(self) -> str | None:
        """Why there is no network, or None."""
        try:
            self.model  # noqa: B018
        except OpsinError as error:
            return str(error)
        return None

    @cached_property
    def material(self) -> Material:
        """The run's records, each read once.

        Raises:
            OpsinError: no run is looked at.
        """
        return Material(self.need_run())

    def need_run(self) -> Run:
        """The run.

        Raises:
            OpsinError: no run is looked at.
        """
        if self.run is None:
            raise OpsinError(f"{self.name} is a model without a run; open the run that trained it")
        return self.run

    @property
    def data(self) -> Dataset:
        """The images that the run was trained on.

        Raises:
            OpsinError: no run is looked at, or its data cannot be opened.
        """
        material = self.material
        if material.data is None:
            return self.need_run().dataset()  # says why, each time anew: a missing disk may be back
        return material.data

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the scores; empty where they are not known before the network has run."""
        if self.run is not None:
            return self.material.classes
        return self.model.classes or ()

    def forget(self, *, model: bool = True) -> None:
        """Read the run's records anew when they are next asked for: a training goes on.

        Args:
            model: its weights are others too.
        """
        if self.run is not None:
            self.run = Run(self.run.path)
            for name in ("material", *(("model", "model_missing") if model else ())):
                self.__dict__.pop(name, None)
            self.images.follow(self.run)

    def other(self, id: str) -> Subject:
        """Another subject of the same host, to compare with.

        Raises:
            OpsinError: the host has only this one, or no such one.
        """
        if self.others is None:
            raise OpsinError(f"{self.name} is the only model here; opsin studio opens several")
        return self.others(id)

    def seen(self, ids: Sequence[str]) -> list[Seen]:
        """The pictures of some ids.

        Raises:
            OpsinError: one of them is not there.
        """
        return [self.images[id] for id in ids]

    def inputs(self, ids: Sequence[str]) -> Tensor:
        """The network's input for some pictures, float `(n, c, h, w)` on its device.

        Raises:
            OpsinError: one of them is not there, or the network cannot take it.
        """
        return torch.cat([self.input_of(seen) for seen in self.seen(ids)])

    def input_of(self, seen: Seen) -> Tensor:
        """The network's input for one picture, float `(1, c, h, w)`."""
        model = self.model
        if seen.prepared and model.preprocess is not None:
            tensor = model.preprocess.normalise(seen.pixels[None])
            return tensor.to(model.device, next((p.dtype for p in model.module.parameters()), tensor.dtype))
        return model.placed_inputs(seen.pixels).tensor
