"""Images per second of the training loop, side by side in one process.

The same network, batch, loss, optimiser and threads in four loops:

- opsin: `opsin.training.trainer.Trainer` on the decoded array, batched augmentation with draws per image;
- pytorch: a plain loop over DataLoader with torchvision transforms per image;
- lightning: a Lightning Trainer with that very DataLoader;
- limit: the network trained on one fixed batch, no data at all.

The peers get the better of 0 and 2 loader workers. Usage: python bench/train.py [--rounds 5] [--images 12800]
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from opsin.data.augment import build_augmentation
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.transforms import v2

import opsin
from measure import alternate, ratio, write
from opsin.training.feed import PixelFeed
from opsin.training.recipe import Recipe
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


def run_opsin(name: str, row: str, pixels: np.ndarray, labels: np.ndarray) -> float:
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
        seconds = opsin_seconds(Path(folder))
    return len(labels) / seconds


def opsin_seconds(folder: Path) -> float:
    from opsin.training.recorder.writer import read_lines

    return read_lines(folder / "epochs.jsonl")[0]["seconds"]


def run_pytorch(name: str, loader: DataLoader) -> float:
    module = network(name).module.train()
    steps = optimiser(module)
    began = time.perf_counter()
    for inputs, targets in loader:
        steps.zero_grad()
        F.cross_entropy(module(inputs), targets).backward()
        steps.step()
    return len(loader.dataset) / (time.perf_counter() - began)


def run_lightning(name: str, loader: DataLoader) -> float:
    import lightning

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
    trainer.fit(module, loader)
    return len(loader.dataset) / module.seconds


def run_limit(name: str, pixels: np.ndarray, labels: np.ndarray) -> float:
    model = network(name)
    module = model.module.to(memory_format=torch.channels_last).train()
    inputs = model.preprocess.normalise(torch.from_numpy(pixels[:BATCH])).contiguous(memory_format=torch.channels_last)
    targets = torch.from_numpy(labels[:BATCH].astype(np.int64))
    steps = optimiser(module)
    count = len(labels) // BATCH
    began = time.perf_counter()
    for _ in range(count):
        steps.zero_grad()
        F.cross_entropy(module(inputs), targets).backward()
        steps.step()
    return count * BATCH / (time.perf_counter() - began)


def best_loader(name: str, dataset: Images) -> DataLoader:
    """The faster of 0 and 2 workers for the plain loop."""
    loaders = [
        DataLoader(dataset, BATCH, shuffle=True),
        DataLoader(dataset, BATCH, shuffle=True, num_workers=2, persistent_workers=True),
    ]
    rates = [max(run_pytorch(name, loader) for _ in range(2)) for loader in loaders]
    print(f"  peers' loader: 0 workers {rates[0]:,.0f}, 2 workers {rates[1]:,.0f} images/s")
    return loaders[int(np.argmax(rates))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=12_800)
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_flush_denormal(True)
    data = opsin.load_data("fashion-mnist")
    preprocess = network("lenet5").preprocess
    pixels = np.ascontiguousarray(data.train.pixels(preprocess)[: asked.images])
    labels = data.train.labels[: asked.images]
    rows = []
    for name in NETWORKS:
        for row in ROWS:
            print(f"{name}, {row}, batch {BATCH}, {len(labels):,} images")
            dataset = Images(pixels, labels, transforms(row, 0.5, 0.5))
            loader = best_loader(name, dataset)
            figures = alternate(
                {
                    "opsin": lambda name=name, row=row: run_opsin(name, row, pixels, labels),
                    "pytorch": lambda name=name, loader=loader: run_pytorch(name, loader),
                    "lightning": lambda name=name, loader=loader: run_lightning(name, loader),
                    "limit": lambda name=name: run_limit(name, pixels, labels),
                },
                asked.rounds,
            )
            entry = {
                "network": name,
                "augmentation": row,
                "peers_workers": loader.num_workers,
                "images_per_second": figures,
                "opsin_to_pytorch": ratio(figures, "opsin", "pytorch"),
                "opsin_to_lightning": ratio(figures, "opsin", "lightning"),
                "opsin_to_limit": ratio(figures, "opsin", "limit"),
                "goal_to_peers": GOALS[name],
                "goal_to_limit": 0.95,
            }
            print(
                f"  opsin / pytorch {entry['opsin_to_pytorch']:.2f}   / lightning {entry['opsin_to_lightning']:.2f}"
                f"   / limit {entry['opsin_to_limit']:.3f}"
            )
            rows.append(entry)
    write("train", {"batch": BATCH, "images": len(labels), "rounds": asked.rounds, "rows": rows})


if __name__ == "__main__":
    main()
