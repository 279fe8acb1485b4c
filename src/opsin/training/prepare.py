"""Everything that has to stand before the first step: pixels, features, phases, the probe and the recorder."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from opsin.data.augment import build_augmentation
from opsin.data.dataset import Dataset, Split
from opsin.data.duplicates import Duplicate
from opsin.data.mixing import build_mixing
from opsin.errors import OpsinError
from opsin.models.classifier import Classifier
from opsin.models.sources.own_code import resolve
from opsin.training.feed import FeatureFeed, Feed, PixelFeed, Validation, last_linear, trunk_features
from opsin.training.recipe import AUGMENTATIONS, Recipe
from opsin.training.recorder.record import Recorder, layer_entry, save_probe
from opsin.training.trainer import Phase
from opsin.training.view import View


@dataclass
class Prepared:
    """What the trainer and `run.json` need."""

    phases: list[Phase]
    recorder: Recorder | None
    probe_inputs: torch.Tensor
    probe_pixels: np.ndarray
    probe_labels: np.ndarray
    probe_indices: np.ndarray
    probe_hashes: list[str]
    duplicates: list[Duplicate]

    @property
    def probe_entry(self) -> dict[str, Any]:
        """The probe as `run.json` lists it."""
        return {
            "indices": self.probe_indices.tolist(),
            "labels": self.probe_labels.tolist(),
            "hashes": self.probe_hashes,
        }

    @property
    def layer_entries(self) -> list[dict[str, Any]]:
        """The recorded layers as `run.json` lists them."""
        return [layer_entry(layer) for layer in self.recorder.layers] if self.recorder else []

    def write_fixed(self, out: Path) -> None:
        """Write what never changes during the run: the probe images."""
        labels = torch.from_numpy(self.probe_labels)
        save_probe(out, self.probe_inputs, labels, self.probe_pixels, self.probe_indices)


def prepare(model: Classifier, data: Dataset, recipe: Recipe, out: Path, view: View) -> Prepared:
    """Decode the images (or open the cache), compute a frozen trunk's features, choose the probe.

    Raises:
        OpsinError: a frozen trunk was asked for and the network does not end in a linear layer.
    """
    preprocess = model.preprocess
    assert preprocess is not None
    pixels = data.pixels(
        preprocess, progress=lambda done, total: view.work("decoding images", done, total), say=view.message
    )
    indices, labels, hashes = choose_probe(data, recipe.probe)
    inputs = preprocess.normalise(pixels[indices]).to(model.device)
    recorder = None
    if recipe.record:
        target = torch.from_numpy(labels).to(model.device)
        recorder = Recorder(model.module, inputs, out, labels=target, every=recipe.record_every, layers=recipe.layers)
    return Prepared(
        phases=_phases(model, data, pixels, recipe, view),
        recorder=recorder,
        probe_inputs=inputs,
        probe_pixels=np.ascontiguousarray(pixels[indices]),
        probe_labels=labels,
        probe_indices=indices,
        probe_hashes=hashes,
        duplicates=data.duplicates,
    )


def choose_probe(data: Dataset, count: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Up to `count` images of validation (of training where there is none), the classes taking turns.

    Within a class the order is that of the content hashes, so that the same images are chosen whenever they are
    there. Returns dataset indices, labels and hashes.
    """
    split = data.validation if len(data.validation) else data.train
    labels = split.labels
    order = sorted(range(len(split)), key=lambda i: split.hashes[i])
    by_class: dict[int, list[int]] = {}
    for i in order:
        by_class.setdefault(int(labels[i]), []).append(i)
    turns = [(turn, label, i) for label, members in by_class.items() for turn, i in enumerate(members)]
    chosen = [i for _, _, i in sorted(turns)[:count]]
    chosen.sort(key=lambda i: (int(labels[i]), split.hashes[i]))
    rows = np.array(chosen, np.int64)
    return split.indices[rows], labels[rows].astype(np.int64), [split.hashes[i] for i in chosen]


def versions() -> dict[str, str]:
    """Of Python, the platform and the libraries that decide a result."""
    names = ("torch", "torchvision", "timm", "numpy", "pillow")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: version(name) for name in names},
    }


def _phases(model: Classifier, data: Dataset, pixels: np.ndarray, recipe: Recipe, view: View) -> list[Phase]:
    if recipe.trunk == "train":
        feed = _pixel_feed(model, data, pixels, recipe)
        return [Phase(model.module, feed, _validation(model, data, pixels), recipe.epochs, recipe.peak_lr)]
    layer = last_linear(model.module)
    if layer is None:
        raise OpsinError("trunk=frozen needs a network that ends in a linear layer, which this one does not")
    head = layer[1]

    def features(split: Split, what: str) -> torch.Tensor:
        assert model.preprocess is not None
        return trunk_features(
            model.module, head, model.preprocess, pixels, split.indices, model.device,
            lambda done: view.work(what, done, len(split)),
        )  # fmt: skip

    feed = FeatureFeed(
        features(data.train, "features of training images"),
        data.train.labels,
        len(data.classes),
        model.device,
    )
    seen = features(data.validation, "features of validation images") if len(data.validation) else None
    phases = [Phase(head, feed, _validation(model, data, pixels, seen), recipe.epochs, recipe.peak_lr)]
    if recipe.fine_tune:
        every = _pixel_feed(model, data, pixels, recipe)
        phases.append(
            Phase(model.module, every, _validation(model, data, pixels), recipe.fine_tune, recipe.fine_tune_lr)
        )
    return phases


def _validation(
    model: Classifier, data: Dataset, pixels: np.ndarray, features: torch.Tensor | None = None
) -> Validation | None:
    assert model.preprocess is not None
    split = data.validation
    if not len(split):
        return None
    return Validation(pixels, split.indices, split.labels, model.preprocess, model.device, features)


def _pixel_feed(model: Classifier, data: Dataset, pixels: np.ndarray, recipe: Recipe) -> Feed:
    assert model.preprocess is not None
    split = data.train
    settings = {name: value for name in AUGMENTATIONS if (value := getattr(recipe, name)) not in (None, 0, False)}
    transform = settings.pop("transform", None)
    return PixelFeed(
        pixels,
        split.indices,
        split.labels,
        len(data.classes),
        model.preprocess,
        augment=build_augmentation(settings, transform=resolve(transform) if transform else None),
        mix=build_mixing(recipe.mixup, recipe.cutmix, len(data.classes), recipe.label_smoothing),
        device=model.device,
        channels_last=recipe.channels_last and recipe.engine == "torch",
    )
