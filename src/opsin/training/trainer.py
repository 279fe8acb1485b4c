"""The training loop: phases of epochs of steps, with checkpoints, validation and the recorder beside it."""

from __future__ import annotations

import contextlib
import itertools
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch import nn

from opsin.data.sampling import Sampler
from opsin.errors import CheckFailed
from opsin.files import write_tensors
from opsin.inference.memory import keep_freed_memory
from opsin.inference.scoring import epoch_scores
from opsin.models.classifier import Classifier
from opsin.models.weights import bare
from opsin.training.checkpoint import (
    Checkpoint,
    arrays_to_tensors,
    optimiser_arrays,
    restore_optimiser,
    tensors_to_arrays,
)
from opsin.training.devices import flushed_denormals
from opsin.training.divergence import first_non_finite
from opsin.training.draws import seed_layers, step_generator
from opsin.training.feed import Batch, Feed, Validation, ahead
from opsin.training.losses import build_loss
from opsin.training.optimisers import build_optimiser
from opsin.training.recipe import Recipe
from opsin.training.recorder.alarms import epoch_alarms
from opsin.training.recorder.record import Recorder
from opsin.training.recorder.writer import append_line, cut_lines, read_lines
from opsin.training.schedules import build_schedule
from opsin.training.signals import stop_on_signals
from opsin.training.view import View

CHECKPOINT_SECONDS = 60.0  # of training between two checkpoints inside an epoch
EPOCH_SECONDS = 5.0  # at least, between two checkpoints at the ends of epochs: short epochs do not wait for the disk
SEEN_IMAGES = 32  # of the first batch, kept to be looked at


@dataclass(frozen=True)
class Phase:
    """A stretch of epochs in which one module learns from one feed.

    `module` is what learns (the whole network, or only its last layer behind a frozen trunk), `feed` gives its
    batches and `validation` its validation images.
    """

    module: nn.Module
    feed: Feed
    validation: Validation | None
    epochs: int
    lr: float


@dataclass
class Progress:
    """Where a run stands; with the weights and the optimiser this is everything that a resume needs."""

    phase: int = 0
    first: int = 0  # epochs that were finished when the current phase began
    epoch: int = 0  # epochs finished, over all phases
    batch: int = 0  # steps finished in the current epoch
    step: int = 0  # optimiser steps finished, over all phases
    best: float | None = None
    best_epoch: int = 0
    waiting: int = 0  # epochs since the best one
    loss_sum: float = 0.0
    right: int = 0
    seen: int = 0
    seconds: float = 0.0


class Trainer:
    """Trains one Classifier into one run folder. Use `opsin.train`."""

    def __init__(
        self,
        model: Classifier,
        phases: list[Phase],
        recipe: Recipe,
        out: Path,
        recorder: Recorder | None,
        view: View,
    ) -> None:
        self.model = model
        self.phases = phases
        self.recipe = recipe
        self.out = out
        self.recorder = recorder
        self.view = view
        self.progress = Progress()
        self.device = model.device
        self._stop = threading.Event()
        self._optimiser: torch.optim.Optimizer
        self._ema: ModelEmaV3 | None = None
        self._amp_type = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.amp and self._amp_type == torch.float16)
        self._sample_losses = np.full(phases[0].feed.count, np.nan, np.float32)
        self._saved_at = time.perf_counter()
        self._held: dict[str, dict[str, torch.Tensor]] = {}  # weights that are written with the next checkpoint

    # -- the run ------------------------------------------------------------------------------------------------

    def fit(self, checkpoint: Checkpoint | None) -> str:
        """Train to the end, or until SIGTERM or Ctrl-C; returns `finished` or `stopped`.

        Raises:
            CheckFailed: the loss became NaN or infinite.
            OpsinError: the run folder could not be written.
        """
        keep_freed_memory()
        with torch.random.fork_rng(), flushed_denormals(), stop_on_signals(self._stop), contextlib.ExitStack() as stack:
            if self.recorder:
                stack.callback(self.recorder.writer.close)
            self._begin(checkpoint)
            while self.progress.phase < len(self.phases):
                if not self._train_phase(self.phases[self.progress.phase]):
                    self._save()
                    return "stopped"
                self._next_phase()
            if self.recorder:
                self.recorder.finish()
            return "finished"

    def _begin(self, checkpoint: Checkpoint | None) -> None:
        if checkpoint is None:
            self._prepare_phase()
            self.model.save(self.out / "weights" / "last.safetensors")
            if self.recorder:
                self.recorder.begin()
            self._keep_embeddings(0)
            self._save()
        else:
            self._restore(checkpoint)

    def _next_phase(self) -> None:
        self.progress.phase += 1
        self.progress.first = self.progress.epoch
        self.progress.waiting = 0
        if self.progress.phase < len(self.phases):
            self._prepare_phase()
        self._save()

    def _prepare_phase(self) -> None:
        phase, recipe = self.phases[self.progress.phase], self.recipe
        self._optimiser = build_optimiser(
            phase.module,
            recipe.optimizer,
            lr=phase.lr,
            weight_decay=recipe.weight_decay,
            momentum=recipe.momentum,
        )
        self._ema = ModelEmaV3(phase.module, decay=recipe.ema) if recipe.ema else None
        self._loss = build_loss(
            recipe.loss,
            label_smoothing=recipe.label_smoothing,
            gamma=recipe.focal_gamma,
            class_weights=phase.feed.class_weights(recipe.class_weights),
        ).to(self.device)
        self._sampler = Sampler(
            phase.feed.labels,
            batch_size=recipe.batch_size * recipe.accumulate,
            seed=recipe.seed,
            balanced=recipe.balanced_sampling,
        )
        self._steps_per_epoch = self._sampler.steps_per_epoch
        self._schedule = build_schedule(
            recipe.schedule,
            total=self._steps_per_epoch * phase.epochs,
            warmup=recipe.warmup,
            every=recipe.step_every * self._steps_per_epoch,
            gamma=recipe.step_gamma,
        )

    def _train_phase(self, phase: Phase) -> bool:
        """Train the rest of a phase; False when a signal asked for a stop."""
        while self.progress.epoch < self.progress.first + phase.epochs and not self._patience_is_over():
            if not self._train_epoch(phase):
                return False
            self._end_epoch(phase)
        return True

    def _patience_is_over(self) -> bool:
        patience = self.recipe.early_stopping
        if patience is None or self.progress.waiting < patience:
            return False
        self.view.message(f"no better epoch for {self.progress.waiting} epochs: stopped early")
        return True

    def _train_epoch(self, phase: Phase) -> bool:
        progress = self.progress
        # Only what learns is put in training mode: a frozen trunk keeps its batch statistics.
        self.model.module.eval()
        phase.module.train()
        began = time.perf_counter()
        steps = self._sampler.batches(progress.epoch, start_step=progress.batch)
        generators = (step_generator(self.recipe.seed, step) for step in itertools.count(progress.step))
        for batches in ahead(phase.feed, steps, self.recipe.batch_size, generators):
            if self._stop.is_set():
                progress.seconds += time.perf_counter() - began
                return False
            in_phase = (progress.epoch - progress.first) * self._steps_per_epoch + progress.batch
            self._step(phase, batches, phase.lr * self._schedule(in_phase))
            if time.perf_counter() - self._saved_at > CHECKPOINT_SECONDS:
                self._save()
        progress.seconds += time.perf_counter() - began
        self.model.module.eval()
        return True

    # -- one step -----------------------------------------------------------------------------------------------

    def _step(self, phase: Phase, batches: list[Batch], lr: float) -> None:
        progress, recipe = self.progress, self.recipe
        seed_layers(recipe.seed, progress.step)
        for group in self._optimiser.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)
        count = sum(len(batch.chosen) for batch in batches)
        total = sum(self._accumulate(phase, batch, len(batch.chosen) / count) for batch in batches)
        self._scaler.unscale_(self._optimiser)
        if recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(phase.module.parameters(), recipe.clip)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        progress.step += 1
        progress.batch += 1
        if self._ema is not None:
            self._ema.update(phase.module, step=progress.step)
        if self.recorder:
            self.recorder.step(total, lr=lr, images=count, epoch=progress.epoch)
        self._optimiser.zero_grad(set_to_none=True)
        self.view.step(progress.epoch, progress.batch, self._steps_per_epoch, total, count)

    def _accumulate(self, phase: Phase, batch: Batch, share: float) -> float:
        """Add the gradient of `share` times the mean loss of a batch; returns that number."""
        progress = self.progress
        chosen, inputs, targets = batch
        if progress.step == 0:
            phase.feed.keep(self.out / "batches" / "0000.safetensors", inputs[:SEEN_IMAGES], targets[:SEEN_IMAGES])
        with self._precision():
            logits = phase.module(inputs)
            losses = self._loss(logits.float(), targets)
        each = losses.detach().cpu().numpy()
        value = float(each.mean())
        if not math.isfinite(value):
            raise self._diverged(phase, inputs, chosen, value)
        # The gradient of share times the mean, without the operations for it.
        losses.backward(self._scaler.scale(torch.full_like(losses, share / len(chosen))))
        self._sample_losses[chosen] = each
        answers = logits.detach().argmax(dim=1).cpu().numpy()
        progress.loss_sum += value * len(chosen)
        progress.right += int(np.count_nonzero(answers == phase.feed.labels[chosen]))
        progress.seen += len(chosen)
        return value * share

    def _precision(self) -> contextlib.AbstractContextManager[Any]:
        """Mixed precision where the recipe asks for it."""
        return torch.autocast(self.device.type, self._amp_type) if self.recipe.amp else contextlib.nullcontext()

    def _diverged(self, phase: Phase, inputs: torch.Tensor, chosen: np.ndarray, value: float) -> CheckFailed:
        self._write_held()
        where = first_non_finite(phase.module, inputs)
        if self.recorder:
            event = {"kind": "nan", "layer": where, "message": f"loss {value}"}
            append = {
                "step": self.progress.step,
                "epoch": self.progress.epoch,
                "loss": None,
                "events": [event],
            }
            self.recorder.writer.submit(lambda: append_line(self.out / "steps.jsonl", append))
        return CheckFailed(
            f"the loss became {value} at step {self.progress.step} (epoch {self.progress.epoch + 1}, batch "
            f"{self.progress.batch + 1}, first image {int(chosen[0])}), first in {where}; the last good weights are in "
            f"{self.out / 'weights'}: try a smaller lr or clip=1"
        )

    # -- the end of an epoch ------------------------------------------------------------------------------------

    def _end_epoch(self, phase: Phase) -> None:
        progress = self.progress
        progress.epoch += 1
        line: dict[str, Any] = {
            "epoch": progress.epoch,
            "step": progress.step,
            "train_loss": progress.loss_sum / max(progress.seen, 1),
            "train_accuracy": progress.right / max(progress.seen, 1),
            "lr": self._optimiser.param_groups[0]["lr"],
            "seconds": progress.seconds,
        }
        with self._averaged_weights(phase):
            if phase.validation is not None:
                logits = phase.validation.logits(phase.module)
                line.update(epoch_scores(logits, phase.validation.labels, len(self.model.classes or ())))
                line["alarms"] = epoch_alarms([*read_lines(self.out / "epochs.jsonl"), line], self.model.classes or ())
            self._keep_best(line)
            self._keep_embeddings(progress.epoch)
            self._hold("last")
        write_tensors(
            self.out / "losses" / f"{progress.epoch:04d}.safetensors",
            {"loss": self._sample_losses.astype(np.float16)},
        )
        append_line(self.out / "epochs.jsonl", line)
        progress.batch = progress.right = progress.seen = 0
        progress.loss_sum = progress.seconds = 0.0
        self._sample_losses[:] = np.nan
        last = progress.epoch == progress.first + phase.epochs
        if last or time.perf_counter() - self._saved_at > EPOCH_SECONDS:
            self._save()
        self.view.epoch(line)

    def _keep_best(self, line: dict[str, Any]) -> None:
        progress = self.progress
        if "loss" not in line:
            value = float(progress.epoch)  # nothing to choose by: the last epoch is kept
        else:
            value = line["accuracy"] if self.recipe.select == "accuracy" else -line["loss"]
        if progress.best is None or value >= progress.best:
            # An equally good later epoch wins: it has seen more.
            progress.waiting = 0 if progress.best is None or value > progress.best else progress.waiting + 1
            progress.best, progress.best_epoch = value, progress.epoch
            self._hold("best")
        else:
            progress.waiting += 1

    def _keep_embeddings(self, epoch: int) -> None:
        validation = self.phases[self.progress.phase].validation
        if validation is None or not self.recipe.embeddings or (validation.fixed_features and epoch):
            return  # the features of a frozen trunk stay what they were at epoch 0
        kept = validation.embeddings(self.model.module, self.recipe.embeddings)
        if kept is not None:
            arrays, layer = kept
            write_tensors(self.out / "embeddings" / f"{epoch:04d}.safetensors", arrays, {"layer": layer})

    @contextlib.contextmanager
    def _averaged_weights(self, phase: Phase) -> Iterator[None]:
        """Inside the block the network has the moving average of its weights, where the recipe asks for one."""
        if self._ema is None:
            yield
            return
        live = {name: tensor.clone() for name, tensor in phase.module.state_dict().items()}
        phase.module.load_state_dict(self._ema.module.state_dict())
        try:
            yield
        finally:
            phase.module.load_state_dict(live)

    # -- checkpoints --------------------------------------------------------------------------------------------

    def _hold(self, name: str) -> None:
        """Keep the weights of this moment for `weights/NAME.safetensors`."""
        state = bare(self.model.module).state_dict()
        self._held[name] = {key: tensor.detach().cpu().clone() for key, tensor in state.items()}

    def _write_held(self) -> None:
        for name, state in self._held.items():
            self.model.save(self.out / "weights" / f"{name}.safetensors", state)
        self._held.clear()

    def _save(self) -> None:
        self._write_held()
        if self.recorder:
            self.recorder.writer.flush()  # lines up to here must be on disk before the checkpoint counts on them
        arrays, plain = optimiser_arrays(self._optimiser)
        groups = {
            "module": tensors_to_arrays(self.model.module.state_dict()),
            "optimiser": arrays,
            "losses": {"current": self._sample_losses},
            "ema": tensors_to_arrays(self._ema.module.state_dict()) if self._ema else {},
            "recorder": self.recorder.state() if self.recorder else {},
        }
        values = {**vars(self.progress), "optimiser": plain, "scaler": self._scaler.state_dict()}
        Checkpoint(values, groups).save(self.out)
        self._saved_at = time.perf_counter()

    def _restore(self, checkpoint: Checkpoint) -> None:
        values = dict(checkpoint.values)
        plain, scaler = values.pop("optimiser"), values.pop("scaler")
        self.progress = Progress(**values)
        self._cut_records(self.progress.step, self.progress.epoch)
        self.model.module.load_state_dict(arrays_to_tensors(checkpoint.groups["module"]))
        if self.recorder:  # after the weights: it may copy them to measure the next update
            self.recorder.restore(self.progress.step, checkpoint.groups["recorder"])
        if self.progress.phase >= len(self.phases):
            return  # killed between the last step and the scores
        self._prepare_phase()
        restore_optimiser(self._optimiser, checkpoint.groups.get("optimiser", {}), plain)
        if self._ema is not None:
            self._ema.module.load_state_dict(arrays_to_tensors(checkpoint.groups["ema"]))
        if scaler:
            self._scaler.load_state_dict(scaler)
        self._sample_losses = checkpoint.groups["losses"]["current"].copy()

    def _cut_records(self, step: int, epoch: int) -> None:
        """Remove what was recorded after the checkpoint: those steps are taken again."""
        cut_lines(self.out / "steps.jsonl", lambda line: line["step"] <= step)
        cut_lines(self.out / "epochs.jsonl", lambda line: line["epoch"] <= epoch)
        for path in (self.out / "snapshots").glob("[0-9]*.*"):
            if int(path.stem) > step:
                path.unlink()
