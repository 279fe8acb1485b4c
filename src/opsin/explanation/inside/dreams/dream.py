"""`opsin.inside.dream`: the picture that excites a class, a channel or a unit most."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from opsin.errors import OpsinError, some
from opsin.explanation.explain import as_classifier, open_inputs
from opsin.explanation.inside.dreams.aims import Aims, class_aims, layer_aims
from opsin.explanation.inside.dreams.colours import Colours, colours_of, usual_colours
from opsin.explanation.inside.dreams.spectrum import Spectrum
from opsin.explanation.inside.dreams.studio import Ascent, Studio, make
from opsin.explanation.inside.dreams.views import Views
from opsin.explanation.inside.parts import require_module
from opsin.explanation.split import normal_mode
from opsin.files import read_tensors
from opsin.inference.answers import Progress
from opsin.models.classifier import Classifier, evaluating
from opsin.records import Dream

MOST_DECAY = 4.0
LARGEST_BATCH = 256  # real images at once


def dream(
    model: Classifier | str | Path | nn.Module,
    target: Any = None,
    layer: str | None = None,
    unit: Any = None,
    channel: Any = None,
    *,
    size: int | tuple[int, int] | None = None,
    images: Any = None,
    steps: int = 256,
    views: int = 1,
    decay: float = 1.2,
    contrast: float | None = None,
    jitter: float | None = None,
    zoom: float | None = None,
    rotate: float | None = None,
    rate: float = 0.05,
    frames: int = 12,
    batch_size: int = 16,
    seed: int = 0,
    progress: Progress | None = None,
) -> Dream:
    """Make the picture that excites a class, a channel or a unit of a network most (activation maximisation).

    Gradient ascent (Erhan et al. 2009, Visualizing higher-layer features of a deep network) on Fourier coefficients
    with decorrelated colours, seen in random views at every step (Olah, Mordvintsev and Schubert 2017, Feature
    Visualization), within a bound of its contrast. Where a ReLU blocks everything at first, it is passed in the
    direction that leads out. The picture lives in 0..1 and goes through the Preprocess's mean and standard deviation.
    Nothing is left in the network: no gradient of a weight, no hook, every mode as it was, also after an error.

    What such a picture shows is what excites this number, not what the network needs to see.

    It costs `steps * views` passes forward and back per picture: on one core of a server's processor about 20 s for a
    class of EfficientNet-Lite0 at 224 px, and 5 s for the ten digits of a small network at 28 px.

    Args:
        model: a Classifier, what `load_model` takes, or a module (which gets the pixels 0..1 as they are).
        target: a class, by name or index; a list of classes; "all"; a pair `("cat", "dog")`: the first rather than the
            second. What is maximised is the logit.
        layer: instead of classes, a layer by its name in `named_modules()`; None with `channel` or `unit`: the layer
            that `explain` looks at.
        unit: (channel, row, column) in that layer's maps, or several.
        channel: a channel of that layer, averaged over places, or several; of a layer without places, a feature.
        size: height and width of the picture in pixels, or its edge; None: what the Classifier is made for.
        images: real images, as `explain` takes them: the picture starts from their mean and gets their colours and
            their contrast, and their activations are measured for comparison. None: the probe images of the run that
            the model was loaded from; without a run the colours of photographs around the Preprocess's mean.
        steps: of the optimiser (Adam, its rate falling along half a cosine).
        views: random views per step.
        decay: the power of the frequency by which fine waves are held back: at 0 pictures are grainy, at 2 blurred.
        contrast: largest root mean square distance of the pixels from the mean colour, 0..1. None: that of the images;
            0.2 without images.
        jitter, zoom, rotate: how far views differ: shift as a share of the size, enlargement (0.5: by up to half, and
            reduced as much), degrees. None: 0.2, 0.6 and 15 for pictures of 64 pixels and more, less (0.1, 0.2, 15)
            for smaller ones, and little (0.02, 0.1, 5) for units, whose place in the picture counts.
        rate: the optimiser's step size.
        frames: how many pictures of the way are kept, from the first to the last, closer together at first.
        batch_size: pictures that are made at a time. It changes nothing else.
        seed: of the first picture and the views, which are the same for everything that is dreamt of.
        progress: told what is done, how many steps of all pictures are done, and how many there are.

    Returns:
        A Dream: the pictures, how they came about, and their activations beside those of random and of real pictures.

    Raises:
        OpsinError: there is no such class, layer or unit; the network's inside is not known or has no gradients;
            nothing changes the activation; or an argument is wrong.
    """
    began = time.perf_counter()
    classifier = require_module(as_classifier(model), "dream")
    _check_what(target, layer, unit, channel)
    shape = _shape(classifier, size)
    views_of = _views(shape[1:], unit is not None, jitter, zoom, rotate)
    _require_at_least(1, steps=steps, views=views, batch_size=batch_size)
    _require_at_least(2, frames=frames)
    _require_share(rate=rate, contrast=1.0 if contrast is None else contrast)
    if not 0 <= decay <= MOST_DECAY:
        raise OpsinError(f"decay was given as {decay}; expected 0 to {MOST_DECAY:g}")
    with normal_mode(), evaluating(classifier.module):
        real, colours, notes = _real_images(classifier, images, shape, contrast)
        studio = Studio(classifier, Spectrum(views_of.canvas, decay), colours, views_of)
        aims = _aims(classifier, studio.blank(shape[0]), target, layer, unit, channel)
        ascent = Ascent(steps, views, rate, frames, seed)
        parts = [
            make(studio, aims.some(slice(at, at + batch_size)), ascent, _told(progress, at, len(aims.labels), steps))
            for at in range(0, len(aims.labels), batch_size)
        ]
        noise = _measure(classifier, aims, studio.inputs(studio.noise(shape[0], seed)))
        measured = None if real is None else _measure(classifier, aims, real)
    options = {
        "steps": steps, "views": views, "decay": decay, "contrast": colours.contrast, "jitter": views_of.jitter,
        "zoom": views_of.zoom, "rotate": views_of.rotate, "rate": rate, "colours": colours.source,
    }  # fmt: skip
    return Dream(
        labels=aims.labels,
        pictures=np.concatenate([part.pictures for part in parts]),
        frames=np.concatenate([part.frames for part in parts]),
        steps=parts[0].steps,
        activations=np.concatenate([part.activations for part in parts]),
        final=np.concatenate([part.final for part in parts]),
        noise=noise,
        real=measured,
        layer=aims.layer,
        model=classifier.label,
        options=options,
        seed=seed,
        seconds=time.perf_counter() - began,
        notes=(*notes, *_stuck([label for part in parts for label in part.stuck])),
    )


def _told(progress: Progress | None, before: int, total: int, steps: int) -> Callable[[int, int], None] | None:
    """What is told after a step of a batch of pictures, when `before` others are done."""
    if progress is None:
        return None
    return lambda pictures, step: progress("dreaming", before * steps + pictures * step, total * steps)


def _measure(model: Classifier, aims: Aims, inputs: Tensor) -> np.ndarray:
    """float32 `(t, n)`."""
    with torch.no_grad():
        return torch.cat([aims.measure(model, part) for part in inputs.split(LARGEST_BATCH)]).T.cpu().numpy().copy()


def _aims(model: Classifier, one: Tensor, target: Any, layer: str | None, unit: Any, channel: Any) -> Aims:
    if target is None:
        return layer_aims(model, one, layer, channel, unit)
    with torch.no_grad():
        width = model.logits(one).shape[1]
    return class_aims(model, target, width)


def _stuck(labels: list[str]) -> tuple[str, ...]:
    """A note on what reached a bound, whose pictures are then left as they were on the way there."""
    if not labels:
        return ()
    return (
        f"nothing raises {some(labels, 3)} any more: an upper bound was reached, such as that of ReLU6 (or the unit is "
        "dead); the layer before it may show more",
    )


def _require_at_least(least: int, **settings: int) -> None:
    for name, value in settings.items():
        if value < least:
            raise OpsinError(f"{name} was given as {value}; expected at least {least}")


def _require_share(**settings: float) -> None:
    for name, value in settings.items():
        if not 0 < value <= 1:
            raise OpsinError(f"{name} was given as {value}; expected more than 0 and at most 1")


def _check_what(target: Any, layer: str | None, unit: Any, channel: Any) -> None:
    if target is not None and not (layer is None and unit is None and channel is None):
        raise OpsinError(
            f"both a class ({target!r}) and a layer, channel or unit were given; give a class, or a layer with a "
            "channel or a unit"
        )
    if target is None and (unit is None) == (channel is None):
        given = "both a channel and a unit" if unit is not None else "neither a class nor a channel nor a unit"
        raise OpsinError(f"{given} were given; give target=CLASS, channel=NUMBER or unit=(channel, row, column)")


def _shape(model: Classifier, size: int | tuple[int, int] | None) -> tuple[int, int, int]:
    channels = model.channels
    if channels is None:
        first = next((part for part in model.module.modules() if isinstance(part, nn.Conv2d)), None)
        if first is None:
            raise OpsinError(
                f"how many channels {model.label} takes is not known; wrap it with a Preprocess: Classifier(module, "
                "preprocess=...)"
            )
        channels = first.in_channels
    given = size if size is not None else model.size
    if given is None:
        raise OpsinError(f"the size of the input of {model.label} is not known; give size=PIXELS")
    height, width = (given, given) if isinstance(given, int) else given
    if min(height, width) < 4:
        raise OpsinError(f"size was given as {size!r}; expected at least 4 pixels each way")
    return channels, int(height), int(width)


def _views(size: tuple[int, int], unit: bool, jitter: float | None, zoom: float | None, rotate: float | None) -> Views:
    usual = (0.02, 0.1, 5.0) if unit else (0.2, 0.6, 15.0) if min(size) >= 64 else (0.1, 0.2, 15.0)
    values = [own if given is None else given for given, own in zip((jitter, zoom, rotate), usual, strict=True)]
    for name, value, most in zip(("jitter", "zoom", "rotate"), values, (0.5, 3.0, 180.0), strict=True):
        if not 0 <= value <= most:
            raise OpsinError(f"{name} was given as {value}; expected 0 to {most:g}")
    return Views(size, *values)


def _real_images(
    model: Classifier, images: Any, shape: tuple[int, int, int], contrast: float | None
) -> tuple[Tensor | None, Colours, tuple[str, ...]]:
    """Real images as the network gets them, if there are any, the colours to dream in, and what to say about it."""
    preprocess = model.preprocess
    source = "the images that were given"
    if images is None:
        images, source = _probe(model), "the probe images of the run"
    notes = () if preprocess is not None else ("the network got the pixels 0..1 as they are: it has no Preprocess",)
    if images is None:
        return None, usual_colours(shape[0], None if preprocess is None else preprocess.mean, contrast), notes
    inputs = open_inputs(model, images).tensor
    pixels = inputs.float().movedim(1, -1).cpu().numpy()
    if preprocess is not None:
        pixels = pixels * np.array(preprocess.std, np.float32) + np.array(preprocess.mean, np.float32)
    return inputs, colours_of(pixels.clip(0, 1), contrast, source), notes


def _probe(model: Classifier) -> np.ndarray | None:
    """uint8 `(n, h, w, c)`: the probe of the run that the model was loaded from, if there is one."""
    if model.origin is None or model.preprocess is None:
        return None
    file = model.origin / "probe.safetensors"
    return read_tensors(file)[0]["images"] if file.is_file() else None
