"""One channel: what it answers is what the module gives, and its crops are where it is largest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import opsin
from opsin.errors import OpsinError
from opsin.reporting.views.channel import BINS, FRAMES, MOST_LOOKED
from opsin.reporting.views.questions import answer
from opsin.reporting.views.subject import Subject
from opsin.reporting.views.wire import pack


@pytest.fixture(scope="module")
def subject(digits_run) -> Subject:
    return Subject.of(digits_run)


def outputs(subject: Subject, layer: str, ids: list[str]) -> torch.Tensor:
    kept = []
    handle = subject.model.module.get_submodule(layer).register_forward_hook(
        lambda _m, _i, out: kept.append(out.clone())
    )
    try:
        subject.model.logits(subject.inputs(ids))
    finally:
        handle.remove()
    return torch.cat(kept).detach()


def test_the_histogram_and_the_means_are_those_of_the_module(subject):
    found = answer(subject, "channel", {"layer": "relu2", "channel": 7})
    pack(found)
    count = len(subject.data.validation)
    assert (found["source"], found["images"]) == ("validation", min(count, MOST_LOOKED))
    rng = np.random.default_rng(0)
    chosen = np.sort(rng.choice(count, MOST_LOOKED, replace=False)) if count > MOST_LOOKED else np.arange(count)
    values = outputs(subject, "relu2", [f"validation/{at}" for at in chosen])[:, 7].numpy()
    assert found["zeros"] == pytest.approx((values == 0).mean())
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-4)
    assert found["largest"] == pytest.approx(values.max(), rel=1e-4)
    assert len(found["counts"]) == BINS
    assert found["counts"].sum() == (values != 0).sum()
    labels = subject.data.validation.labels[chosen]
    for label in range(10):
        mean = values[labels == label].clip(0).mean()
        assert found["class_means"][label] == pytest.approx(mean, rel=1e-3, abs=1e-6)
    assert found["class_counts"].sum() == len(chosen)


def test_the_filter_is_that_of_the_convolution(subject):
    found = answer(subject, "channel", {"layer": "conv2", "channel": 5})
    module = subject.model.module.get_submodule("conv2")
    assert np.array_equal(found["filter"], module.weight[5].detach().numpy())
    assert found["filter_inputs"] == [0, 31]
    assert found["bias"] == pytest.approx(module.bias[5].item())
    assert (found["channels"], found["rows"], found["columns"]) == (64, 11, 11)
    assert [layer["name"] for layer in found["layers"]] == ["conv1", "relu1", "conv2", "relu2"]
    assert answer(subject, "channel", {"layer": "relu2"})["filter"] is None
    feature = answer(subject, "channel", {"layer": "fc1", "channel": 127})
    assert (feature["channels"], feature["rows"]) == (128, 0)


def test_a_filter_of_a_group_tells_its_inputs():
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 8, 3, groups=4, bias=False), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(8, 2),
    )  # fmt: skip
    preprocess = opsin.build_model("resnet_small", classes=("a", "b"), channels=3, size=32).preprocess
    subject = Subject.of(opsin.Classifier(net, ("a", "b"), preprocess))
    found = answer(subject, "channel", {"layer": "1", "channel": 5})
    assert found["filter_inputs"] == [4, 5]
    assert found["filter"].shape == (2, 3, 3)
    assert found["bias"] is None
    assert (found["source"], found["images"]) == ("example", 4)
    assert found["class_means"] is None
    assert found["top"] is None


@pytest.mark.parametrize(
    ("args", "match"),
    [
        ({"layer": "nope"}, "nope is no module of seed_cnn but an operation"),
        ({"layer": "relu2", "channel": 64}, "expected 0 to 63"),
        ({"layer": "relu2", "channel": -1}, "expected 0 to 63"),
    ],
)
def test_what_is_not_there_is_told(subject, args, match):
    with pytest.raises(OpsinError, match=match):
        answer(subject, "channel", args)


def test_the_top_images_are_where_the_channel_is_largest(subject):
    found = answer(subject, "top_images", {"layer": "relu2", "channel": 7, "top": 4})
    pack(found)
    values = outputs(subject, "relu2", found["ids"])[:, 7]
    assert np.allclose(values.amax(dim=(1, 2)), found["values"], rtol=1e-4)
    everywhere = outputs(subject, "relu2", [f"validation/{at}" for at in range(len(subject.data.validation))])[:, 7]
    assert found["values"][0] == pytest.approx(float(everywhere.max()), rel=1e-4)
    for at, (row, column) in enumerate(found["places"]):
        assert float(values[at, row, column]) == pytest.approx(float(found["values"][at]), rel=1e-4)
    assert found["crops"].shape[:1] == (4,)
    assert found["boxes"].shape == (4, 4)
    assert 0 <= found["selectivity"] <= 1


def test_without_a_run_it_is_said_what_top_images_take():
    model = opsin.build_model("lenet5", classes=("a", "b"), channels=1, size=28)
    with pytest.raises(OpsinError, match="open the run that trained it"):
        answer(Subject.of(model), "top_images", {"layer": "conv1", "channel": 0})


def test_a_dream_is_fixed_by_its_seed_and_excites_more_than_noise(subject):
    told = []
    args = {"layer": "relu2", "channel": 7, "steps": 48, "seed": 0}
    first = answer(subject, "dream", args, lambda *now: told.append(now))
    pack(first)
    again, other = (answer(subject, "dream", {**args, "seed": seed}) for seed in (0, 1))
    assert np.array_equal(first["frames"], again["frames"])
    assert not np.array_equal(first["frames"], other["frames"])
    assert first["final"] > first["noise"].max()
    assert len(first["frames"]) == len(first["steps"]) <= FRAMES
    assert first["frames"].shape[1:] == (28, 28, 1)
    assert len(first["real"]) == len(subject.run.probe.images)
    assert told[-1][1] == told[-1][2] == 48
    of_class = answer(subject, "dream", {"target": 3, "steps": 8})
    assert of_class["label"] == "3"
    with pytest.raises(OpsinError, match="both a class"):
        answer(subject, "dream", {**args, "target": 3})
