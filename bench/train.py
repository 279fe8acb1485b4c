"""Images per second of the training loop, side by side, alternating.

The same network, batch, loss, optimiser and threads in four loops:

- opsin: `opsin.training.trainer.Trainer` on the decoded array, batched augmentation with draws per image;
- pytorch: a plain loop over DataLoader with torchvision transforms per image;
- lightning: a Lightning Trainer with that very DataLoader;
- limit: the network trained on one fixed batch, no data at all; once as PyTorch is, and once with freed memory kept
  by the process, as Opsin's trainer keeps it.

Each has a process of its own, since how memory is kept belongs to the whole process. The peers get the better of 0 and
2 loader workers. Usage: python bench/train.py [--rounds 5] [--images 12800]
"""

from __future__ import annotations

import argparse
import functools
import logging
import multiprocessing
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

import opsin
from measure import alternate, ratio, write
from opsin.data.augment import build_augmentation
from opsin.inference.memory import keep_freed_memory
from opsin.training.feed import PixelFeed
from opsin.training.recipe import Recipe
from opsin.training.recorder.writer import read_lines
from opsin.training.trainer import Phase, Trainer
from opsin.training.view import Quiet

BATCH = 128
ROWS = {
    "crop+flip": {"crop": 2, "flip": True},
    "crop+flip+rotate": {"crop": 2, "flip": True, "rotate": 10.0},
}
NETWORKS = ("seed_cnn", "lenet5")
GOALS = {"seed_cnn": 2.3, "lenet5": 4.0}


def transforms(row: str, mean: float, std: float) -> v2.Transform:
    """What a torchvision user writes for the same augmentation."""
    steps = [v2.RandomCrop(28, padding=2), v2.RandomHorizontalFlip()]
    if "rotate" in row:
        steps.append(v2.RandomRotation(10, interpolation=v2.InterpolationMode.BILINEAR))
    return v2.Compose([v2.ToImage(), *steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize([mean], [std])])


class Images(TorchDataset):
    """uint8 arrays as a map-style dataset."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray, transform: v2.Transform) -> None:
        self.pixels, self.labels, self.transform = pixels, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        return self.transform(self.pixels[index]), int(self.labels[index])


def network(name: str) -> opsin.Classifier:
    return opsin.build_model(name, classes=10, channels=1, size=28, seed=0)


def optimiser(module: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(module.parameters(), lr=1e-3, fused=True)


@functools.lru_cache(1)
def material(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Training pixels uint8 `(n, 28, 28, 1)` and labels; loaded once in every process."""
    data = opsin.load_data("fashion-mnist")
    pixels = np.ascontiguousarray(data.train.pixels(network("lenet5").preprocess)[:images])
    return pixels, data.train.labels[:images]


def run_opsin(name: str, row: str, images: int) -> float:
    pixels, labels = material(images)
    model = network(name)
    model.module.to(memory_format=torch.channels_last)
    recipe = Recipe(epochs=1, batch_size=BATCH, lr=1e-3, schedule="constant", record=False, embeddings=0)
    feed = PixelFeed(
        pixels, np.arange(len(labels)), labels, 10, model.preprocess, augment=build_augmentation(ROWS[row]), mix=None,
        device=torch.device("cpu"), channels_last=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(model, [Phase(model.module, feed, None, 1, 1e-3)], recipe, Path(folder), None, Quiet())
        trainer.fit(None)
        return len(labels) / read_lines(Path(folder) / "epochs.jsonl")[0]["seconds"]


@functools.lru_cache(4)
def loader(row: str, images: int, workers: int) -> DataLoader:
    """What a torchvision user writes."""
    dataset = Images(*material(images), transforms(row, 0.5, 0.5))
    return DataLoader(dataset, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0)


def run_pytorch(name: str, row: str, images: int, workers: int) -> float:
    module = network(name).module.train()
    steps = optimiser(module)
    batches = loader(row, images, workers)
    began = time.perf_counter()
    for inputs, targets in batches:
        steps.zero_grad()
        F.cross_entropy(module(inputs), targets).backward()
        steps.step()
    return images / (time.perf_counter() - began)


def run_lightning(name: str, row: str, images: int, workers: int) -> float:
    import lightning

    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Lit(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network(name).module

        def training_step(self, batch, _index):
            return F.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return optimiser(self)

        def on_train_epoch_start(self) -> None:
            self.began = time.perf_counter()

        def on_train_epoch_end(self) -> None:
            self.seconds = time.perf_counter() - self.began

    module = Lit()
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, loader(row, images, workers))
    return images / module.seconds


def run_limit(name: str, images: int, keep: bool) -> float:
    if keep:
        keep_freed_memory()
    pixels, labels = material(images)
    model = network(name)
    module = model.module.to(memory_format=torch.channels_last).train()
    inputs = model.preprocess.normalise(torch.from_numpy(pixels[:BATCH])).contiguous(memory_format=torch.channels_last)
    targets = torch.from_numpy(labels[:BATCH].astype(np.int64))
    steps = optimiser(module)
    count = images // BATCH
    began = time.perf_counter()
    for _ in range(count):
        steps.zero_grad()
        F.cross_entropy(module(inputs), targets).backward()
        steps.step()
    return count * BATCH / (time.perf_counter() - began)


def prepare(threads: int) -> None:
    """The start of every process."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)


class Workers:
    """A process of its own for each candidate, so that what one sets for its process does not change another."""

    def __init__(self, names: Sequence[str]) -> None:
        context = multiprocessing.get_context("spawn")
        threads = torch.get_num_threads()
        self.pools = {
            name: ProcessPoolExecutor(1, mp_context=context, initializer=prepare, initargs=(threads,)) for name in names
        }

    def run(self, name: str, function: Callable[..., float], *arguments: object) -> float:
        """The figure of one run in the candidate's process; the others wait meanwhile."""
        return self.pools[name].submit(function, *arguments).result()

    def close(self) -> None:
        for pool in self.pools.values():
            pool.shutdown()


def best_workers(workers: Workers, name: str, row: str, images: int) -> int:
    """The faster number of loader workers, 0 or 2, for the plain loop."""
    rates = {
        count: max(workers.run("pytorch", run_pytorch, name, row, images, count) for _ in range(2)) for count in (0, 2)
    }
    print(f"  peers' loader: 0 workers {rates[0]:,.0f}, 2 workers {rates[2]:,.0f} images/s")
    return max(rates, key=rates.__getitem__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=12_800)
    asked = parser.parse_args()
    workers = Workers(("opsin", "pytorch", "lightning", "limit", "limit, memory kept"))
    rows = [measured(workers, name, row, asked.images, asked.rounds) for name in NETWORKS for row in ROWS]
    workers.close()
    write("train", {"batch": BATCH, "images": asked.images, "rounds": asked.rounds, "rows": rows})


def measured(workers: Workers, name: str, row: str, images: int, rounds: int) -> dict[str, object]:
    """One row of the table."""
    print(f"{name}, {row}, batch {BATCH}, {images:,} images")
    count = best_workers(workers, name, row, images)
    candidates = {
        "opsin": (run_opsin, name, row, images),
        "pytorch": (run_pytorch, name, row, images, count),
        "lightning": (run_lightning, name, row, images, count),
        "limit": (run_limit, name, images, False),
        "limit, memory kept": (run_limit, name, images, True),
    }
    for candidate, call in candidates.items():
        workers.run(candidate, *call)  # once unmeasured: imports, first pages, first plans
    figures = alternate(
        {candidate: functools.partial(workers.run, candidate, *call) for candidate, call in candidates.items()}, rounds
    )
    entry = {
        "network": name,
        "augmentation": row,
        "peers_workers": count,
        "images_per_second": figures,
        "opsin_to_pytorch": ratio(figures, "opsin", "pytorch"),
        "opsin_to_lightning": ratio(figures, "opsin", "lightning"),
        "opsin_to_limit": ratio(figures, "opsin", "limit"),
        "opsin_to_limit_memory_kept": ratio(figures, "opsin", "limit, memory kept"),
        "goal_to_peers": GOALS[name],
        "goal_to_limit": 0.95,
    }
    print(
        f"  opsin / pytorch {entry['opsin_to_pytorch']:.2f}   / lightning {entry['opsin_to_lightning']:.2f}"
        f"   / limit {entry['opsin_to_limit']:.3f}   / limit, memory kept {entry['opsin_to_limit_memory_kept']:.3f}"
    )
    return entry


if __name__ == "__main__":
    main()
