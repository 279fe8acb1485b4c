"""Heat maps of an earlier step of a training, from what its snapshot kept: no network is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from opsin.errors import OpsinError
from opsin.explanation.cam import weighting
from opsin.explanation.job import enlarge
from opsin.records import Snapshot
from opsin.reporting.parts.film import in_order
from opsin.reporting.texts import Text, say
from opsin.training.run import Run

FORMULAS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        "grad_cam": weighting.grad_cam,
        "grad_cam_pp": weighting.grad_cam_pp,
        "hires_cam": weighting.hires_cam,
        "layer_cam": weighting.layer_cam,
        "xgrad_cam": weighting.xgrad_cam,
    }
)


@dataclass(frozen=True)
class SnapshotCams:
    """Maps float32 `(n, h, w)` of probe images at one step, at the size of the input; the layer, the classes that are
    explained int64 `(n,)`, their probabilities at that step float32 `(n,)`, and what a reader has to know."""

    maps: np.ndarray
    layer: str
    targets: np.ndarray
    probabilities: np.ndarray
    notes: tuple[Text, ...]


def cam_layers(run: Run, snapshot: Snapshot) -> list[str]:
    """The layers of a snapshot from which a gradient CAM can be made, in the order of computation. A pool is left out:
    the layer before it has the same evidence on a finer grid."""
    pools = {entry["name"] for entry in run.info.get("layers", ()) if "Pool" in entry.get("type", "")}
    found = [
        name
        for name, values in snapshot.activations.items()
        if values.ndim == 4 and name in snapshot.gradients_predicted and name not in pools
    ]
    return in_order(found, run.info.get("layers", ()))


def snapshot_cams(
    run: Run, snapshot: Snapshot, method: str, positions: Sequence[int], target: int | None, layer: str | None
) -> SnapshotCams:
    """Gradient CAMs of probe images from a snapshot's activations and gradients.

    Args:
        run: whose snapshot it is; it has a probe.
        snapshot: of the step.
        method: a name of FORMULAS.
        positions: of the images in the probe.
        target: None: the class that was predicted at that step; a class: kept only where it is the image's label.
        layer: None: the last one with places.

    Raises:
        OpsinError: the snapshot does not hold what it takes.
    """
    if method not in FORMULAS:
        raise OpsinError(
            f"{method} needs the network as it was at step {snapshot.step:,}, and of that step only activations and "
            f"gradients are kept; choose one of {', '.join(FORMULAS)}, or the network as it is"
        )
    layers = cam_layers(run, snapshot)
    if not layers or (layer is not None and layer not in layers):
        raise OpsinError(
            f"of step {snapshot.step:,} no maps with gradients of {layer or 'any layer'} are kept; "
            + (f"choose one of {', '.join(layers)}" if layers else "choose the network as it is")
        )
    name, rows = layer or layers[-1], list(positions)
    gradients, targets = _gradients(run, snapshot, name, rows, target)
    activations = torch.from_numpy(np.ascontiguousarray(snapshot.activations[name][rows], np.float32))
    maps = FORMULAS[method](activations, torch.from_numpy(np.ascontiguousarray(gradients, np.float32))).relu()
    size = snapshot_size(run)
    return SnapshotCams(
        enlarge(maps[:, None], size)[:, 0].numpy(),
        name,
        targets,
        snapshot.probabilities[rows, targets],
        _notes(run, snapshot, name, maps),
    )


def snapshot_size(run: Run) -> tuple[int, int]:
    """Height and width of the probe images."""
    assert run.probe is not None
    return run.probe.images.shape[1], run.probe.images.shape[2]


def _gradients(
    run: Run, snapshot: Snapshot, layer: str, rows: list[int], target: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients `(n, c, h, w)` of the score of each image's class, and the classes int64 `(n,)`."""
    assert run.probe is not None
    labels, predicted = run.probe.labels[rows], snapshot.probabilities[rows].argmax(axis=1)
    gradients = snapshot.gradients_predicted[layer][rows]
    if target is None:
        return gradients, predicted
    other = snapshot.gradients_label.get(layer)
    if not ((predicted == target) | ((labels == target) & (other is not None))).all():
        raise OpsinError(
            "a snapshot keeps gradients of an image's label and of its predicted class only, and the chosen class is "
            "neither for one of these images; choose the predicted class"
        )
    if other is not None:
        gradients = np.where((predicted == target)[:, None, None, None], gradients, other[rows])
    return gradients, np.full(len(rows), target)


def _notes(run: Run, snapshot: Snapshot, layer: str, maps: Tensor) -> tuple[Text, ...]:
    notes = [say("why.of_snapshot", step=snapshot.step)]
    total = next((item["shape"][0] for item in run.info.get("layers", ()) if item["name"] == layer), 0)
    held = snapshot.activations[layer].shape[1]
    if held < total:
        notes.append(say("why.thinned", kept=held, total=total))
    blank = int((maps.flatten(1).amax(dim=1) <= 0).sum()) if len(maps) else 0
    if blank:
        notes.append(say("why.blank_maps", count=blank))
    return tuple(notes)
