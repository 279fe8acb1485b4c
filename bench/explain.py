"""Explanations beside pytorch-grad-cam, torchcam and captum: same images, same network, same number of evaluations,
alternating in one process. Every peer runs at its best batch size.

Usage: python bench/explain.py [--rounds 5] [--only cams classes gradients perturbations]
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import captum.attr
import pytorch_grad_cam
import skimage.data
import torch
import torchcam.methods
from PIL import Image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

import opsin
from measure import alternate, milliseconds, ratio, run_parts
from opsin.inference.engines.engine import open_engine

PHOTOS = ("chelsea", "coffee", "astronaut", "rocket")
TARGET = 281  # tabby cat
SHARED = ("grad_cam", "grad_cam_pp", "hires_cam", "layer_cam", "xgrad_cam", "eigen_cam")
MIDDLE = {"efficientnet_lite0": "blocks.4.2", "torchvision/resnet18": "layer2"}  # for Score-CAM: a hundred channels
FEW = 2  # images for the methods that take hundreds of passes for each
WINDOW, STRIDE = 56, 28  # of occlusion at 224 px: 7 x 7 windows


@dataclass(frozen=True)
class Network:
    """A network, its last layer with places, and images for it."""

    name: str
    model: opsin.Classifier
    layer: str
    images: Tensor

    @property
    def module(self) -> nn.Module:
        return self.model.module

    @property
    def last(self) -> nn.Module:
        return self.module.get_submodule(self.layer)


def network(name: str, images: int) -> Network:
    """EfficientNet-Lite0 with its real weights; others with random ones, which cost the same."""
    pretrained = name == "efficientnet_lite0"
    layers = {"efficientnet_lite0": "bn2", "torchvision/resnet18": "layer4", "torchvision/resnet50": "layer4"}
    model = opsin.build_model(name, classes=None if pretrained else 1000, size=224, pretrained=pretrained, seed=0)
    model.module.eval()
    pictures = [Image.fromarray(getattr(skimage.data, photo)()).convert("RGB") for photo in PHOTOS]
    inputs, _, _ = opsin.build_model("efficientnet_lite0", pretrained=True).inputs(pictures)
    return Network(name, model, layers[name], inputs.repeat(-(-images // len(inputs)), 1, 1, 1)[:images].contiguous())


def forwards(network: Network) -> dict[str, Callable[[], object]]:
    """One forward pass of all images, in inference mode, in both layouts and in passes of several sizes."""

    def forward(layout: torch.memory_format, size: int) -> None:
        with torch.inference_mode():
            for batch in network.images.contiguous(memory_format=layout).split(size):
                network.module(batch)

    layouts = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
    return {
        f"forward, {name}, {size} a pass": lambda layout=layout, size=size: forward(layout, size)
        for name, layout in layouts.items()
        for size in (6, 16)
    }


def best(figures: Mapping[str, Sequence[float]], begins: str) -> str:
    """The name of the fastest among those whose names begin so."""
    return min((name for name in figures if name.startswith(begins)), key=lambda name: statistics.median(figures[name]))


def rows_of(figures: Mapping[str, list[float]], opsin_name: str, peers: Sequence[str]) -> dict[str, float]:
    """How many times faster Opsin is than each peer at its best setting."""
    return {peer: ratio(figures, best(figures, peer), opsin_name) for peer in peers}


def cams(rounds: int) -> list[dict[str, Any]]:
    """Grad-CAM against one forward pass and against three peers; six CAMs of one layer together."""
    rows = []
    for name in ("torchvision/resnet50", "efficientnet_lite0"):
        subject = network(name, 16)
        figures = alternate({key: milliseconds(run) for key, run in cam_candidates(subject).items()}, rounds)
        forward = best(figures, "forward")
        rows.append({
            "network": name, "method": "grad_cam", "images": 16, "milliseconds": figures, "forward": forward,
            "to_forward": ratio(figures, "opsin", forward), "goal_to_forward": 1.10,
            "together_to_forward": ratio(figures, "six methods", forward), "goal_together": 1.25,
            "faster_than": rows_of(figures, "opsin", ("pytorch-grad-cam", "torchcam", "captum")),
            "goals": {"pytorch-grad-cam": 3.0, "torchcam": 1.0, "captum": 1.0},
        })  # fmt: skip
    return rows


def cam_candidates(subject: Network) -> dict[str, Callable[[], object]]:
    x, targets = subject.images, [TARGET] * len(subject.images)
    grad_cam = pytorch_grad_cam.GradCAM(subject.module, [subject.last])
    layer_grad_cam = captum.attr.LayerGradCam(subject.module, subject.last)

    def torchcams() -> object:
        with torchcam.methods.GradCAM(subject.module, target_layer=subject.last) as extractor:
            scores = subject.module(x)
            return extractor(targets, scores)

    return {
        **forwards(subject),
        "opsin": lambda: opsin.explain(subject.model, x, "grad_cam", TARGET, subject.layer),
        "six methods": lambda: opsin.explain(subject.model, x, SHARED, TARGET, subject.layer),
        "pytorch-grad-cam": lambda: grad_cam(x, [ClassifierOutputTarget(target) for target in targets]),
        "torchcam": torchcams,
        "captum": lambda: layer_grad_cam.attribute(x, target=targets),
    }


def classes(rounds: int) -> list[dict[str, Any]]:
    """All ten classes of a small network against one."""
    rows = []
    for name in ("seed_cnn", "resnet_small"):
        model = opsin.build_model(name, classes=10, channels=1, size=28, seed=0)
        images = torch.rand(256, 1, 28, 28, generator=torch.Generator().manual_seed(0))
        figures = alternate(
            {
                "one class": milliseconds(lambda model=model, x=images: opsin.explain(model, x, "grad_cam", 3)),
                "ten classes": milliseconds(lambda model=model, x=images: opsin.explain(model, x, "grad_cam", "all")),
            },
            3 * rounds,
        )
        cost = ratio(figures, "ten classes", "one class")
        rows.append({"network": name, "images": 256, "milliseconds": figures, "ten_to_one": cost, "goal": 1.5})
    return rows


def gradients(rounds: int) -> list[dict[str, Any]]:
    """Attributions to the input against captum."""
    rows = []
    for name in ("efficientnet_lite0", "torchvision/resnet18"):
        subject = network(name, 4)
        for method, candidates in gradient_candidates(subject).items():
            figures = alternate({key: milliseconds(run) for key, run in candidates.items()}, rounds)
            rows.append({
                "network": name, "method": method, "images": 4, "milliseconds": figures,
                "faster_than": rows_of(figures, "opsin", ("captum",)), "goals": {"captum": 1.2},
            })  # fmt: skip
            if "opsin, fused" in candidates:
                rows[-1]["fused_faster_than"] = rows_of(figures, "opsin, fused", ("captum",))
    return rows


def gradient_candidates(subject: Network) -> dict[str, dict[str, Callable[[], object]]]:
    x, model, steps, samples = subject.images, subject.model, 32, 16
    saliency = captum.attr.Saliency(subject.module)
    integrated = captum.attr.IntegratedGradients(subject.module)
    tunnel = captum.attr.NoiseTunnel(saliency)
    return {
        "saliency": {
            "opsin": lambda: opsin.explain(model, x, "saliency", TARGET),
            "captum": lambda: saliency.attribute(x, target=TARGET),
        },
        "integrated_gradients": {
            "opsin": lambda: opsin.explain(model, x, "integrated_gradients", TARGET, steps=steps),
            "opsin, fused": lambda: opsin.explain(
                model, x, "integrated_gradients", TARGET, steps=steps, engine="fused"
            ),
            **{
                f"captum, {size} a pass": lambda size=size: integrated.attribute(
                    x, target=TARGET, n_steps=steps, internal_batch_size=size
                )
                for size in (4, 8, 16)
            },
        },
        "smooth_grad": {
            "opsin": lambda: opsin.explain(model, x, "smooth_grad", TARGET, samples=samples),
            "opsin, fused": lambda: opsin.explain(model, x, "smooth_grad", TARGET, samples=samples, engine="fused"),
            **{
                f"captum, {copies * len(x)} a pass": lambda copies=copies: tunnel.attribute(
                    x, target=TARGET, nt_samples=samples, nt_samples_batch_size=copies, stdevs=0.15
                )
                for copies in (1, 2, 4)
            },
        },
    }


def perturbations(rounds: int) -> list[dict[str, Any]]:
    """Occlusion, Score-CAM, LIME and RISE against peers at the same number of evaluations."""
    rows = []
    for name, goal in (("efficientnet_lite0", 2.5), ("torchvision/resnet18", 1.6)):
        subject = network(name, FEW)
        for method, candidates in perturbation_candidates(subject).items():
            figures = alternate({key: milliseconds(run) for key, run in candidates.items()}, rounds)
            peers = tuple(dict.fromkeys(key.split(",")[0] for key in candidates if not key.startswith("opsin")))
            rows.append({
                "network": name, "method": method, "images": FEW, "milliseconds": figures,
                "engine": engine_of(subject, method),
                "faster_than": rows_of(figures, "opsin", peers), "goals": dict.fromkeys(peers, goal),
                "fused_faster_than": rows_of(figures, "opsin, fused", peers),
            })  # fmt: skip
    return rows


def settings_of(subject: Network, method: str) -> dict[str, Any]:
    return {
        "occlusion": {"window": WINDOW, "stride": STRIDE},
        "score_cam": {"layer": MIDDLE[subject.name]},
        "lime": {"samples": 100},
        "rise": {"masks": 100},
    }[method]


def engine_of(subject: Network, method: str) -> str:
    found = opsin.explain(subject.model, subject.images, method, TARGET, **settings_of(subject, method))
    assert isinstance(found, opsin.Explanation)
    return found.used["engine"]


def perturbation_candidates(subject: Network) -> dict[str, dict[str, Callable[[], object]]]:
    # what `auto` settles on for the folder of images that makes such methods slow: an export pays there
    open_engine(subject.model, subject.images, evaluations=1e6)

    def ours(method: str, engine: str) -> Callable[[], object]:
        settings = {**settings_of(subject, method), "engine": engine}
        return lambda: opsin.explain(subject.model, subject.images, method, TARGET, **settings)

    peers = {
        "occlusion": occlusion_peers,
        "score_cam": score_cam_peers,
        "lime": lime_peers,
        "rise": rise_peers,
    }
    return {
        method: {
            "opsin": ours(method, "auto"),
            "opsin, fused": ours(method, "fused"),
            **find(subject),
        }
        for method, find in peers.items()
    }


def occlusion_peers(subject: Network) -> dict[str, Callable[[], object]]:
    occlusion = captum.attr.Occlusion(subject.module)

    def run(windows: int) -> object:
        with torch.no_grad():
            return occlusion.attribute(
                subject.images, (3, WINDOW, WINDOW), (3, STRIDE, STRIDE), target=TARGET, perturbations_per_eval=windows
            )

    return {f"captum, {FEW * windows} a pass": lambda windows=windows: run(windows) for windows in (1, 2, 4)}


def score_cam_peers(subject: Network) -> dict[str, Callable[[], object]]:
    """At a layer with a hundred channels: the last has a thousand, which takes minutes and tells the same."""
    x, targets = subject.images, [TARGET] * len(subject.images)
    middle = subject.module.get_submodule(MIDDLE[subject.name])

    def grad_cams(size: int) -> object:
        score_cam = pytorch_grad_cam.ScoreCAM(subject.module, [middle])
        score_cam.batch_size = size
        return score_cam(x, [ClassifierOutputTarget(target) for target in targets])

    def torchcams(size: int) -> object:
        with torchcam.methods.ScoreCAM(subject.module, target_layer=middle, batch_size=size) as extractor:
            with torch.no_grad():
                scores = subject.module(x)
            return extractor(targets, scores)

    return {
        **{f"pytorch-grad-cam, {size} a pass": lambda size=size: grad_cams(size) for size in (4, 8)},
        **{f"torchcam, {size} a pass": lambda size=size: torchcams(size) for size in (4, 8)},
    }


def lime_peers(subject: Network) -> dict[str, Callable[[], object]]:
    """captum explains one image at a time; its segments are given as a mask, as many as Opsin makes by default."""
    lime = captum.attr.Lime(subject.module)
    rows = torch.arange(224) // 32
    mask = (rows[:, None] * 7 + rows)[None, None].expand(1, 3, 224, 224)

    def run(size: int) -> None:
        with torch.no_grad():
            for image in subject.images:
                lime.attribute(
                    image[None], target=TARGET, feature_mask=mask, n_samples=100, perturbations_per_eval=size
                )

    return {f"captum, {size} a pass": lambda size=size: run(size) for size in (4, 8)}


def rise_peers(subject: Network) -> dict[str, Callable[[], object]]:
    """None of the three has RISE: a plain loop over masked pictures."""
    masks = torch.rand(100, 1, 224, 224, generator=torch.Generator().manual_seed(0))

    def run(size: int) -> None:
        with torch.no_grad():
            for image in subject.images:
                scores = torch.cat([subject.module(image * part)[:, TARGET] for part in masks.split(size)])
                (scores[:, None, None, None] * masks).sum(dim=0)

    return {f"plain loop, {size} a pass": lambda size=size: run(size) for size in (4, 8)}


PARTS = {"cams": cams, "classes": classes, "gradients": gradients, "perturbations": perturbations}


if __name__ == "__main__":
    run_parts("explain", __doc__, PARTS)
