"""Small networks of many kinds, for laws that every method has to keep on all of them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import opsin


class Functional(nn.Module):
    """Activations as functions, one of them in place right behind a convolution; a reused module; a frozen one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.bn = nn.BatchNorm2d(6)
        self.pool = nn.AvgPool2d(2)
        self.fc = nn.Linear(6, 4)
        self.conv1.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.conv1(x))
        x = self.pool(F.hardswish(self.bn(self.conv2(x))))
        x = F.relu6(self.conv2(x))
        return self.fc(x.mean(dim=(-2, -1)))


class Inplace(nn.Module):
    """In-place modules right behind the layer that is looked at, and a flattened head."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(5, 7, 3, padding=1),
            nn.SiLU(inplace=True), nn.AdaptiveAvgPool2d(3),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(63, 8), nn.ReLU6(inplace=True), nn.Linear(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Answering(nn.Module):
    """Gives a dict, and computes its trunk under no_grad as a frozen one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.fc(F.gelu(self.conv(x)).mean(dim=(-2, -1)))}


class Pooled(nn.Module):
    """A transformer of PyTorch's own layers, without a class token: the patches are averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, stride=4)
        block = nn.TransformerEncoderLayer(12, 2, 24, dropout=0.1, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(12)
        self.fc = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.norm(self.blocks(self.patches(x).flatten(2).transpose(1, 2))).mean(dim=1))


SIZE = 16
CONVOLUTIONAL = ("functional", "inplace", "answering", "resnet_small")
KINDS = (*CONVOLUTIONAL, "vit_small", "pooled")


def network(kind: str) -> opsin.Classifier:
    """A network with seeded random weights for `(n, 3, 16, 16)`, four classes, and scores that differ by image."""
    classes = ("ant", "bee", "cat", "dog")
    torch.manual_seed(1)
    own = {"functional": Functional, "inplace": Inplace, "answering": Answering, "pooled": Pooled}
    if kind in own:
        model = opsin.Classifier(own[kind](), classes=classes)
    else:
        model = opsin.build_model(kind, classes=classes, channels=3, size=SIZE, seed=1)
    module = model.module
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("weight") and parameter.ndim > 1:
                parameter.mul_(1.5)
            if name.endswith("bias"):
                parameter.add_(0.1)
    module.eval()
    return model


def images(count: int, seed: int = 0) -> Tensor:
    """Smooth random pictures `(n, 3, 16, 16)` of about unit spread."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, 3, 5, 5, generator=generator)
    return F.interpolate(coarse, size=SIZE, mode="bicubic", align_corners=False) * 1.5
