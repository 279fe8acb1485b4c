"""Networks to choose from, with what each costs on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from opsin.errors import OpsinError
from opsin.models.build import build_model
from opsin.models.cost import cost, latency

Use = Literal["embedded", "server"]


@dataclass(frozen=True)
class Candidate:
    """A network worth choosing, at the size that it was made for."""

    name: str
    channels: int
    size: int
    uses: tuple[Use, ...]
    note: str


CANDIDATES: tuple[Candidate, ...] = (
    Candidate("seed_cnn", 1, 28, ("embedded",), "digits and other small grey pictures; the one to learn from"),
    Candidate("simple_cnn", 1, 28, ("embedded",), "the smallest; easy small pictures on a microcontroller"),
    Candidate("lenet5", 1, 28, ("embedded",), "the classic of 1998; small grey pictures"),
    Candidate("conv_bn", 1, 28, ("embedded",), "strong on small pictures for its cost"),
    Candidate("resnet_small", 3, 32, ("embedded",), "small colour pictures, deeper than conv_bn"),
    Candidate("vit_small", 3, 32, ("embedded",), "attention on small pictures; wants more data than a CNN"),
    Candidate(
        "efficientnet_lite0",
        3,
        224,
        ("embedded", "server"),
        "photos; quantises well; its trained weights are a package",
    ),
    Candidate("timm/mobilenetv3_large_100", 3, 224, ("embedded",), "photos on phones; few multiplications"),
    Candidate("torchvision/shufflenet_v2_x1_0", 3, 224, ("embedded",), "photos on weak processors"),
    Candidate(
        "timm/efficientnet_b0",
        3,
        224,
        ("embedded", "server"),
        "photos; accurate for its cost, slower to quantise",
    ),
    Candidate("timm/resnet18", 3, 224, ("embedded", "server"), "photos; simple, well supported everywhere"),
    Candidate("timm/vit_tiny_patch16_224", 3, 224, ("server",), "the smallest usual vision transformer"),
    Candidate("timm/regnety_032", 3, 224, ("server",), "photos; a strong convolutional network in the middle"),
    Candidate("timm/resnet50", 3, 224, ("server",), "photos; the reference that others are compared with"),
    Candidate("timm/resnext50_32x4d", 3, 224, ("server",), "photos; more accurate than resnet50 at its cost"),
    Candidate("timm/swin_tiny_patch4_window7_224", 3, 224, ("server",), "photos; a transformer with local windows"),
    Candidate("timm/resnet152", 3, 224, ("server",), "photos; deep and accurate, wants an accelerator"),
)


@dataclass(frozen=True)
class Listing:
    """One row of the catalogue.

    Attributes:
        name: what `build_model` takes.
        channels, size: the input that was measured, `size` pixels square.
        parameters, macs: for that input and `classes` classes.
        megabytes: of the weights as float32, 10**6 bytes.
        milliseconds: median latency of one picture, measured here.
        threads: CPU threads of the measurement.
        note: what it is suited for.
    """

    name: str
    channels: int
    size: int
    parameters: int
    macs: int
    megabytes: float
    milliseconds: float
    threads: int
    note: str


def catalogue(
    use: Use | None = None,
    *,
    classes: int = 10,
    repeats: int = 5,
    threads: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Listing, ...]:
    """Measure the networks suited for a use on this machine's processor, fastest first.

    Args:
        use: `embedded`, `server`, or None for all.
        classes: outputs that each network is built with.
        repeats: measured calls per network.
        threads: CPU threads, None for those in use.
        progress: called with the name, how many are done, and how many there are.

    Raises:
        OpsinError: the use is unknown.
    """
    if use not in (None, "embedded", "server"):
        raise OpsinError(f"networks were asked for the use {use!r}; expected embedded or server")
    chosen = [item for item in CANDIDATES if use is None or use in item.uses]
    rows = []
    for done, item in enumerate(chosen):
        if progress is not None:
            progress(item.name, done, len(chosen))
        rows.append(_measure(item, classes, repeats, threads))
    return tuple(sorted(rows, key=lambda row: row.milliseconds))


def _measure(item: Candidate, classes: int, repeats: int, threads: int | None) -> Listing:
    module = build_model(item.name, classes, item.channels, item.size, seed=0).module
    shape = (item.channels, item.size, item.size)
    spent = cost(module, shape)
    timing = latency(module, shape, repeats=repeats, warmup=1, threads=threads)
    return Listing(
        name=item.name,
        channels=item.channels,
        size=item.size,
        parameters=spent.parameters,
        macs=spent.macs,
        megabytes=spent.parameters * 4 / 1e6,
        milliseconds=timing.median * 1e3,
        threads=timing.threads,
        note=item.note,
    )
