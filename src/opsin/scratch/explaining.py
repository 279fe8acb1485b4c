"""Why the network answers as it does: saliency, Grad-CAM and feature maps, each from the gradients above."""

from __future__ import annotations

import numpy as np

from opsin.scratch.networks import Sequential
from opsin.scratch.shapes import checked_images


def feature_maps(network: Sequential, x: np.ndarray) -> dict[str, np.ndarray]:
    """What every layer answers to images `(n, c, h, w)`, by layer name, in evaluation mode."""
    with _evaluating(network):
        return network.outputs(checked_images(x, "feature_maps"))


def saliency(network: Sequential, x: np.ndarray, classes: np.ndarray | None = None) -> np.ndarray:
    """By how much a small change of a pixel changes the score: the magnitude of the score's gradient with respect to
    the image, the largest over the channels (Simonyan et al. 2014).

    Args:
        network: gives logits `(n, classes)`.
        x: `(n, c, h, w)`.
        classes: `(n,)`, whose score is looked at; None: the predicted one.

    Returns:
        `(n, h, w)`, at least 0.
    """
    with _evaluating(network):
        logits = network.forward(checked_images(x, "saliency"))
        return np.abs(network.backward(_of_classes(logits, classes))).max(axis=1)


def grad_cam(network: Sequential, x: np.ndarray, layer: str, classes: np.ndarray | None = None) -> np.ndarray:
    """Which places of a layer's maps speak for a class (Selvaraju et al. 2017).

    The gradient of the score with respect to the *activations* of the layer (not its weights) says how much each place
    of each map counts; its mean over the places is the map's weight, and the weighted sum of the maps, where positive,
    is the answer:

        weight[k] = mean over i, j of  d score / d map[k, i, j]
        cam[i, j] = max(0, sum over k of  weight[k] * map[k, i, j])

    Args:
        network: gives logits `(n, classes)`.
        x: `(n, c, h, w)`.
        layer: name of a layer whose output has places.
        classes: `(n,)`, whose score is looked at; None: the predicted one.

    Returns:
        `(n, rows, columns)` at the layer's resolution; `enlarged` brings it to the image's size.

    Raises:
        ValueError: there is no such layer, or its output has no places.
    """
    with _evaluating(network):
        found = network.outputs(checked_images(x, "grad_cam"))
        if layer not in found:
            raise ValueError(f"there is no layer {layer!r}; expected one of {', '.join(found)}")
        maps, logits = found[layer], list(found.values())[-1]
        if maps.ndim != 4:
            raise ValueError(f"the output of {layer} has shape {maps.shape} and no places; choose one before Flatten")
        gradients = network.gradients_at(_of_classes(logits, classes), layer)
        weights = gradients.mean(axis=(2, 3), keepdims=True)
        return np.maximum((weights * maps).sum(axis=1), 0)


def enlarged(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps `(n, rows, columns)` at another size, bilinear: the centres of the corner pixels do not move to the corners
    of the picture (half-pixel centres)."""
    rows = _weights(maps.shape[1], size[0]).astype(maps.dtype)
    columns = _weights(maps.shape[2], size[1]).astype(maps.dtype)
    return rows @ maps @ columns.T


def _weights(source: int, target: int) -> np.ndarray:
    """`(target, source)`: how much each source line counts for each target line."""
    centre = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    return np.maximum(0, 1 - np.abs(centre[:, None] - np.arange(source)))


def _of_classes(logits: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
    """The gradient of the looked-at score with respect to the logits: 1 there and 0 elsewhere."""
    chosen = logits.argmax(axis=1) if classes is None else np.asarray(classes)
    one = np.zeros_like(logits)
    one[np.arange(len(logits)), chosen] = 1
    return one


class _evaluating:
    """Evaluation mode inside the block; afterwards every layer has its own mode back."""

    def __init__(self, network: Sequential) -> None:
        self._modes = [(layer, layer.training) for _, layer in network.layers()]
        self._network = network

    def __enter__(self) -> None:
        self._network.eval()

    def __exit__(self, *error: object) -> None:
        for layer, mode in self._modes:
            layer.training = mode
