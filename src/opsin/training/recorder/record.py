"""The recorder: attached to any training loop, Opsin's or a person's own."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from opsin import __version__
from opsin.errors import OpsinError
from opsin.files import write_json, write_tensors
from opsin.models.weights import bare
from opsin.training.recorder.snapshot import take_snapshot
from opsin.training.recorder.statistics import (
    Lifetimes,
    copy_parameters,
    gradient_norms,
    layer_parameters,
    update_ratios,
)
from opsin.training.recorder.watch import LayerInfo, choose_layers, visible_layers
from opsin.training.recorder.writer import Writer, append_line


class Recorder:
    """Writes `steps.jsonl`, `probe.safetensors` and `snapshots/` of a run folder while a network learns.

    Use `opsin.record`; `opsin.train` uses it too. Snapshots are due at step 0, every `every` steps, and at the end.
    """

    def __init__(
        self,
        module: nn.Module,
        inputs: torch.Tensor,
        out: Path,
        *,
        labels: torch.Tensor | None = None,
        every: int = 100,
        layers: Sequence[str] | None = None,
    ) -> None:
        self.module = bare(module)
        self.out = Path(out)
        self.every = every
        self.count = 0
        self.lifetimes = Lifetimes()
        self._inputs = inputs
        self._labels = labels
        self._weights = layer_parameters(self.module)
        self._before: dict[str, list[torch.Tensor]] | None = None
        self._last_snapshot = -1
        self._losses: list[float] = []
        self._clock = (time.perf_counter(), 0)
        self.layers: list[LayerInfo] = choose_layers(visible_layers(self.module, inputs), layers)
        self.writer = Writer()

    def begin(self) -> None:
        """Take the snapshot of step 0."""
        self._write_line({}, self._snapshot())
        self._stash_before_due_step()

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint has to keep so that the records go on as if nothing had happened."""
        return {**self.lifetimes.state(), "losses": np.array(self._losses, np.float64)}

    def restore(self, step: int, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a checkpoint that was taken after `step` steps."""
        self.count = step
        self.lifetimes.restore(state)
        self._losses = state["losses"].tolist()
        self._last_snapshot = step if self._snapshot_path(step).exists() else -1
        self._stash_before_due_step()

    def step(
        self,
        loss: float | torch.Tensor,
        *,
        lr: float | None = None,
        images: int | None = None,
        epoch: int | None = None,
        events: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Call once after every optimiser step, before the gradients are cleared.

        `loss` is the step's mean loss, `images` the number of images in it. Between snapshots only sums are kept; the
        line that is written holds the mean loss since the last one.
        """
        self.count += 1
        self._losses.append(float(loss.detach() if isinstance(loss, torch.Tensor) else loss))
        self._clock = (self._clock[0], self._clock[1] + (images or 0))
        if self._before is not None:
            ratios = update_ratios(self._before, self._weights)
            self._before = None
        else:
            ratios = {}
        due = self.count % self.every == 0
        if due or self.count % self.line_every == 0 or events:
            line: dict[str, Any] = {"lr": lr, "epoch": epoch, "gradient_norms": gradient_norms(self._weights)}
            if ratios:
                line["update_ratios"] = ratios
            self._write_line(line, self._snapshot() if due else [], events)
        self._stash_before_due_step()

    def finish(self) -> None:
        """Take the last snapshot, write everything and end the background thread."""
        try:
            if self._last_snapshot != self.count:
                self._write_line({}, self._snapshot())
        finally:
            self.writer.close()

    @property
    def line_every(self) -> int:
        """Steps between two lines of `steps.jsonl`."""
        return max(1, self.every // 10)

    def _stash_before_due_step(self) -> None:
        if (self.count + 1) % self.every == 0:
            self._before = copy_parameters(self._weights)

    def _snapshot_path(self, step: int) -> Path:
        return self.out / "snapshots" / f"{step:08d}.safetensors"

    def _snapshot(self) -> list[dict[str, Any]]:
        snapshot = take_snapshot(self.module, self._inputs, self._labels, self.layers, self.count)
        path = self._snapshot_path(self.count)
        self.writer.submit(lambda: snapshot.save(path))
        self._last_snapshot = self.count
        events = self.lifetimes.update(self.count, snapshot.alive, snapshot.saturated)
        self._counts = {
            "dead": {name: [int((~mask).sum()), len(mask)] for name, mask in snapshot.alive.items()},
            "saturated": {name: [int(mask.sum()), len(mask)] for name, mask in snapshot.saturated.items()},
        }
        return [{"kind": "snapshot"}, *events]

    def _write_line(
        self,
        extra: Mapping[str, Any],
        found: Sequence[Mapping[str, Any]],
        events: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        now = time.perf_counter()
        began, images = self._clock
        line: dict[str, Any] = {
            "step": self.count,
            "loss": float(np.mean(self._losses)) if self._losses else None,
        }
        line["images_per_second"] = images / (now - began) if images else None
        line.update({key: value for key, value in extra.items() if value is not None})
        if found:
            line.update(self._counts)
        noted = [*(event for event in found if event["kind"] != "snapshot"), *events]
        if noted:
            line["events"] = noted
        self._losses, self._clock = [], (now, 0)
        self.writer.submit(lambda: append_line(self.out / "steps.jsonl", line))


class Recording:
    """What `opsin.record` returns: a context manager around a person's own training loop."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def __enter__(self) -> Recording:
        self._recorder.begin()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self._recorder.finish()
            _finish_info(self._recorder.out, "finished")
        else:
            # The loop failed: keep what was recorded and let its own error through.
            self._recorder.writer.close()
            _finish_info(self._recorder.out, "failed")

    def step(
        self,
        loss: float | torch.Tensor,
        *,
        lr: float | None = None,
        images: int | None = None,
        epoch: int | None = None,
    ) -> None:
        """Call once after every optimiser step, before the gradients are cleared."""
        self._recorder.step(loss, lr=lr, images=images, epoch=epoch)


def record(
    module: nn.Module,
    probe: torch.Tensor,
    *,
    out: str | Path,
    labels: torch.Tensor | Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    every: int = 100,
    layers: Sequence[str] | None = None,
) -> Recording:
    """Record a network that is trained in a person's own loop.

    Args:
        module: any `nn.Module` that gives scores `(n, classes)`.
        probe: float `(n, c, h, w)`, the few fixed images to watch, as the network gets them.
        out: the run folder to write; it must not hold a run yet.
        labels: int `(n,)`, the probe's labels; without them only the predicted class's gradients are kept.
        classes: class names, for the report.
        every: steps between two snapshots.
        layers: names of layers to record; chosen by itself when not given.

    Returns:
        A context manager: `with opsin.record(module, probe, out="runs/mine") as r: ... r.step(loss=loss.item())`.

    Raises:
        OpsinError: the probe is not a batch of images, the folder holds a run, or a layer does not exist.
    """
    out = Path(out)
    if not isinstance(probe, torch.Tensor) or probe.ndim != 4 or not probe.is_floating_point():
        raise OpsinError("probe is to be a float tensor (n, c, h, w): the images as the network gets them")
    if (out / "run.json").exists():
        raise OpsinError(f"{out} already holds a run; choose another folder for out")
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    inputs = probe.detach().to(device)
    target = None if labels is None else torch.as_tensor(labels, dtype=torch.int64, device=device)
    if target is not None and len(target) != len(inputs):
        raise OpsinError(f"labels has {len(target)} entries for {len(inputs)} probe images; give one per image")
    recorder = Recorder(module, inputs, out, labels=target, every=every, layers=layers)
    save_probe(out, inputs, target)
    count = int(target.max()) + 1 if target is not None else 0
    names = list(classes) if classes is not None else [str(i) for i in range(count)]
    write_json(
        out / "run.json",
        {
            "opsin": __version__,
            "format": 1,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "status": "running",
            "model": {"name": None, "class": type(module).__name__},
            "classes": names,
            "versions": {"python": platform.python_version(), "torch": torch.__version__},
            "layers": [layer_entry(layer) for layer in recorder.layers],
        },
    )
    return Recording(recorder)


def layer_entry(layer: LayerInfo) -> dict[str, Any]:
    """A layer as `run.json` lists it."""
    return {"name": layer.name, "type": layer.kind, "shape": list(layer.shape)}


def save_probe(
    out: Path,
    inputs: torch.Tensor,
    labels: torch.Tensor | None,
    pixels: np.ndarray | None = None,
    indices: np.ndarray | None = None,
) -> None:
    """Write `probe.safetensors`: `images` uint8 `(n, h, w, c)` to look at, `labels` and dataset `indices`.

    Without `pixels` the float inputs are scaled from their own smallest and largest value to 0..255, to be looked at.
    """
    values = inputs.detach().float().cpu().permute(0, 2, 3, 1).numpy()
    if pixels is None:
        low, high = values.min(), values.max()
        pixels = ((values - low) / ((high - low) or 1) * 255).round().astype(np.uint8)
    count = len(values)
    arrays = {
        "images": pixels,
        "labels": np.full(count, -1) if labels is None else labels.cpu().numpy().astype(np.int64),
        "indices": np.arange(count) if indices is None else np.asarray(indices, np.int64),
    }
    write_tensors(out / "probe.safetensors", arrays)


def _finish_info(out: Path, status: str) -> None:
    from opsin.files import read_json

    write_json(out / "run.json", {**read_json(out / "run.json"), "status": status})
