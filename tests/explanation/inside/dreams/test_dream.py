"""Dreams: they excite more than noise and real images, show what is known to excite, and leave nothing behind."""

import contextlib
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import opsin
from opsin.data.preprocess import Preprocess
from opsin.explanation.inside.dreams import studio
from opsin.records import Dream

GREY = Preprocess(mode="L", height=16, width=16, mean=(0.5,), std=(0.5,))
QUICK: dict[str, Any] = {"steps": 12, "frames": 4}


class Template(nn.Module):
    """A score that is a known picture's product with the input: what excites it most is that picture."""

    def __init__(self, size: int = 16) -> None:
        super().__init__()
        rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        bar = ((columns - size // 3).abs() < 2).float()
        ring = ((torch.hypot(rows - size / 2, columns - size / 2) - size / 4).abs() < 2).float()
        self.templates = nn.Parameter(torch.stack([bar - bar.mean(), ring - ring.mean()]))

    def forward(self, x):
        return torch.einsum("nchw,khw->nk", x, self.templates)


class Small(nn.Module):
    """A small network with what real ones have: an in-place and a functional ReLU, a reused module."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1)
        self.again = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8, 3)
        self.calls = 0

    def forward(self, x):
        x = F.max_pool2d(self.relu(self.conv1(x)), 2)
        x = self.again(F.relu(self.again(self.relu(self.conv2(x)))))
        self.calls += 1
        return self.head(x.mean(dim=(2, 3)))


@pytest.fixture
def small():
    torch.manual_seed(0)
    return opsin.Classifier(Small(), classes=["a", "b", "c"], options={"channels": 1, "size": (16, 16)})


@pytest.fixture(scope="module")
def digits_model(digits_run):
    return opsin.load_model(digits_run.path)


def test_the_picture_of_a_linear_score_is_its_template():
    net = Template()
    found = opsin.inside.dream(
        opsin.Classifier(net, ["bar", "ring"], GREY), "all", steps=60, jitter=0, zoom=0, rotate=0
    )
    pictures = found.pictures.reshape(2, -1)
    templates = net.templates.detach().reshape(2, -1).numpy()
    likeness = np.corrcoef(np.concatenate([pictures, templates]))[:2, 2:]
    assert likeness[0, 0] > 0.8
    assert likeness[1, 1] > 0.8
    assert max(likeness[0, 1], likeness[1, 0]) < 0.6
    assert found.labels == ("bar", "ring")


def test_going_the_other_way_would_show(monkeypatch):
    """The planted fault: a gradient with the wrong sign."""
    real = studio._ascend

    def flipped(*args):
        reached, gradient = real(*args)
        return reached, -gradient

    monkeypatch.setattr(studio, "_ascend", flipped)
    found = opsin.inside.dream(opsin.Classifier(Template(), None, GREY), 0, **QUICK)
    assert not found.above_noise[0]
    assert "no more than random pictures: 0" in found.text()


def test_digits_excite_more_than_random_pictures_and_all_real_ones(digits_model, digits):
    images = digits.test.pixels(digits_model.preprocess)[:64]
    found = opsin.inside.dream(digits_model, ["3", "7"], images=images, steps=40)
    assert found.above_noise.all()
    assert found.above_real is not None
    assert found.above_real.all()
    assert found.real.shape[0] == 2
    answer = opsin.predict(digits_model, list(found.pixels))
    assert [answer.classes[i] for i in answer.probabilities.argmax(axis=1)] == ["3", "7"]


def test_a_run_lends_its_probe_for_colours_and_comparison(digits_model):
    found = opsin.inside.dream(digits_model, "1", **QUICK)
    assert found.options["colours"] == "the probe images of the run"
    assert found.real.shape == (1, 16)
    assert found.pictures.mean() < 0.35  # digits are bright on black, and so is the picture
    bare = opsin.Classifier(digits_model.module, digits_model.classes, digits_model.preprocess)
    other = opsin.inside.dream(bare, "1", **QUICK)
    assert other.real is None
    assert "photographs" in other.options["colours"]


def test_what_is_returned_has_its_shapes_and_the_same_seed_gives_the_same(small):
    found = opsin.inside.dream(small, ["a", "c"], **QUICK)
    assert found.pictures.shape == (2, 16, 16, 1)
    assert found.pictures.dtype == np.float32
    assert 0 <= found.pictures.min() <= found.pictures.max() <= 1
    assert (found.frames.shape, found.frames.dtype) == ((2, 4, 16, 16, 1), np.uint8)
    assert found.steps.tolist() == [0, 1, 5, 12]
    assert np.array_equal(found.pixels, np.round(found.pictures * 255).astype(np.uint8))
    assert found.frames[:, 0].std() < 5  # it begins close to the mean colour
    assert found.activations.shape == (2, 12)
    assert (found.activations[:, -3:].mean(axis=1) > found.activations[:, :3].mean(axis=1)).all()
    assert found.noise.shape == (2, 16)
    again = opsin.inside.dream(small, ["a", "c"], **QUICK)
    assert np.array_equal(again.pictures, found.pictures)
    other = opsin.inside.dream(small, ["a", "c"], **QUICK, seed=1)
    assert not np.array_equal(other.pictures, found.pictures)


def test_several_in_one_batch_are_each_as_alone(small):
    together = opsin.inside.dream(small, "all", **QUICK)
    apart = opsin.inside.dream(small, "all", **QUICK, batch_size=1)
    assert np.allclose(together.pictures, apart.pictures, atol=1e-3)
    assert np.allclose(together.final, apart.final, rtol=1e-3)


def test_progress_counts_the_steps_of_all_pictures(small):
    told = []
    opsin.inside.dream(small, "all", **QUICK, batch_size=2, progress=lambda *args: told.append(args))
    assert told[0] == ("dreaming", 2, 36)
    assert told[-1] == ("dreaming", 36, 36)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


def test_the_activation_is_the_networks_own_of_the_normalised_picture():
    net = Template()
    preprocess = Preprocess(mode="L", height=16, width=16, mean=(0.2,), std=(0.4,))
    model = opsin.Classifier(net, ["bar", "ring"], preprocess)
    found = opsin.inside.dream(model, "ring", **QUICK)
    normalised = (torch.from_numpy(found.pictures).movedim(-1, 1) - 0.2) / 0.4
    assert found.final[0] == pytest.approx(net(normalised)[0, 1].item(), rel=1e-4)
    bare = opsin.Classifier(net, options={"channels": 1, "size": (16, 16)})
    plain = opsin.inside.dream(bare, 1, images=torch.rand(1, 1, 16, 16), **QUICK)
    assert plain.final[0] == pytest.approx(net(torch.from_numpy(plain.pictures).movedim(-1, 1))[0, 1].item(), rel=1e-4)
    assert "no Preprocess" in plain.notes[0]


def test_the_first_rather_than_the_second_is_the_difference(small):
    found = opsin.inside.dream(small, ("a", "b"), **QUICK)
    assert found.labels == ("a rather than b",)
    with torch.no_grad():
        logits = small.module(torch.from_numpy(found.pictures).movedim(-1, 1))
    assert found.final[0] == pytest.approx(float(logits[0, 0] - logits[0, 1]), abs=1e-4)


def test_channels_and_units_of_layers(small):
    module = small.module
    channels = opsin.inside.dream(small, layer="conv2", channel=[0, 5], steps=60)
    assert channels.labels == ("conv2 channel 0", "conv2 channel 5")
    assert channels.layer == "conv2"
    assert channels.above_noise.all()
    pictures = torch.from_numpy(channels.pictures).movedim(-1, 1)
    with torch.no_grad():
        first = F.max_pool2d(F.relu(module.conv1(pictures)), 2)
        maps = module.conv2(first)
        assert np.allclose(channels.final, maps.mean(dim=(2, 3))[[0, 1], [0, 5]], atol=1e-4)
    unit = opsin.inside.dream(small, layer="conv2", unit=(5, 2, 6), **QUICK)
    assert unit.labels == ("conv2 channel 5 at (2, 6)",)
    with torch.no_grad():
        first = F.max_pool2d(F.relu(module.conv1(torch.from_numpy(unit.pictures).movedim(-1, 1))), 2)
        assert unit.final[0] == pytest.approx(float(module.conv2(first)[0, 5, 2, 6]), abs=1e-4)
    assert opsin.inside.dream(small, layer="head", channel=2, **QUICK).labels == ("head channel 2",)
    assert opsin.inside.dream(small, channel=0, **QUICK).layer in dict(module.named_modules())


def test_a_reused_module_is_taken_at_its_last_run_where_the_pass_ends(small):
    found = opsin.inside.dream(small, layer="again", channel=1, **QUICK)
    with torch.no_grad():
        net = small.module
        first = F.max_pool2d(F.relu(net.conv1(torch.from_numpy(found.pictures).movedim(-1, 1))), 2)
        last = net.again(F.relu(net.again(F.relu(net.conv2(first)))))
    assert found.final[0] == pytest.approx(float(last[0, 1].mean()), abs=1e-4)
    before = small.module.calls
    opsin.inside.dream(small, layer="conv1", channel=1, **QUICK)
    assert small.module.calls - before <= 2  # what lies behind the layer is not computed


def test_nothing_stays_behind_also_after_an_error(small, monkeypatch):
    module = small.module
    module.train()
    module.conv2.eval()
    module.conv1.weight.requires_grad_(False)
    opsin.inside.dream(small, layer="conv2", channel=0, **QUICK)

    real, left = module.again.forward, [5]

    def fails(x):
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("the cable came off")
        return real(x)

    monkeypatch.setattr(module.again, "forward", fails)
    with pytest.raises(opsin.OpsinError, match="the cable came off"):
        opsin.inside.dream(small, "a", **QUICK)
    assert module.training
    assert not module.conv2.training
    assert not any(part._forward_hooks for part in module.modules())
    assert all(weight.grad is None for weight in module.parameters())
    assert [weight.requires_grad for weight in module.parameters()] == [False, *[True] * 7]
    assert torch.is_grad_enabled()


def test_it_works_where_gradients_are_off_and_in_half_precision(small):
    with torch.no_grad():
        plain = opsin.inside.dream(small, "a", **QUICK)
    with torch.inference_mode():
        inferred = opsin.inside.dream(small, "a", **QUICK)
    assert np.array_equal(plain.pictures, inferred.pictures)
    small.module.to(torch.bfloat16)
    half = opsin.inside.dream(small, "a", **QUICK)
    assert half.pictures.dtype == np.float32
    assert np.isfinite(half.final).all()


class OffAtFirst(nn.Module):
    """A unit that only a bright picture switches on."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.head = nn.Linear(2, 2)
        with torch.no_grad():
            self.conv.weight.fill_(1.0)
            self.conv.bias.copy_(torch.tensor([-7.0, -1e6]))

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).mean(dim=(2, 3)))


def test_a_unit_that_is_off_for_the_first_picture_is_dreamt_of():
    model = opsin.Classifier(nn.Sequential(OffAtFirst().conv, nn.ReLU()), ["a"])
    found = opsin.inside.dream(model, layer="1", channel=0, size=12, contrast=0.9, steps=60)
    assert found.activations[0, 0] == 0
    assert found.final[0] > 0
    assert found.above_noise[0]


def test_without_the_way_past_relus_it_would_be_refused(monkeypatch):
    """The planted fault: the functions' own gradient, which is zero."""
    monkeypatch.setattr(studio, "RedirectedRules", contextlib.nullcontext)
    model = opsin.Classifier(nn.Sequential(OffAtFirst().conv, nn.ReLU()), ["a"])
    with pytest.raises(opsin.OpsinError, match=r"1 channel 1 cannot be dreamt of: its gradient is zero for 3 random"):
        opsin.inside.dream(model, layer="1", channel=1, size=12, **QUICK)


def test_a_unit_that_nothing_switches_on_is_said_to_excite_no_more_than_noise():
    model = opsin.Classifier(nn.Sequential(OffAtFirst().conv, nn.ReLU()), ["a"])
    found = opsin.inside.dream(model, layer="1", channel=1, size=12, **QUICK)
    assert found.final[0] == 0
    assert not found.above_noise[0]


def test_a_channel_at_its_upper_bound_is_said_to_be_there():
    conv = nn.Conv2d(1, 2, 3)
    with torch.no_grad():
        conv.weight.fill_(1.3)
        conv.bias.zero_()
        conv.weight[1] = 0.1
    model = opsin.Classifier(nn.Sequential(conv, nn.ReLU6()), ["a"])
    found = opsin.inside.dream(model, layer="1", channel=[0, 1], size=12, contrast=0.9, steps=60)
    assert found.final[0] == 6
    assert "nothing raises 1 channel 0 any more: an upper bound was reached" in found.notes[-1]
    assert "channel 1" not in found.notes[-1]


class Detached(Small):
    def forward(self, x):
        return super().forward(x).detach()


class Deaf(Small):
    def forward(self, x):
        return super().forward(x * 0 + 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "neither a class nor a channel nor a unit were given"),
        ({"channel": 1, "unit": (1, 1, 1)}, "both a channel and a unit"),
        ({"target": "a", "layer": "conv1"}, r"both a class \('a'\) and a layer"),
        ({"target": "d"}, "no class 'd'"),
        ({"target": 3}, "target 3 is beyond the 3 classes"),
        ({"target": []}, "the list of classes is empty"),
        ({"target": ("a", "a")}, "holds one class twice"),
        ({"layer": "conv3", "channel": 0}, "no layer 'conv3'; the nearest names are conv"),
        ({"layer": "conv2", "channel": 8}, "8 was given as what to excite in conv2; expected channel 0 to 7"),
        ({"layer": "conv2", "channel": 1.5}, "expected channel 0 to 7"),
        ({"layer": "conv2", "unit": (0, 8, 0)}, r"expected channel 0 to 7, row 0 to 7, column 0 to 7"),
        ({"layer": "conv2", "unit": 3}, "3 was given as what to excite"),
        ({"layer": "head", "unit": (0, 1, 1)}, "expected channel 0 to 2"),
        ({"target": "a", "steps": 0}, "steps was given as 0"),
        ({"target": "a", "frames": 1}, "frames was given as 1"),
        ({"target": "a", "decay": 9}, "decay was given as 9; expected 0 to 4"),
        ({"target": "a", "contrast": 0}, "contrast was given as 0"),
        ({"target": "a", "jitter": 0.7}, "jitter was given as 0.7; expected 0 to 0.5"),
        ({"target": "a", "size": 2}, "size was given as 2"),
        ({"target": "a", "images": torch.full((1, 1, 16, 16), float("nan"))}, "NaN"),
    ],
)
def test_what_cannot_be_dreamt_is_refused_in_one_line(small, arguments, message):
    with pytest.raises(opsin.OpsinError, match=message) as caught:
        opsin.inside.dream(small, **arguments)
    assert "\n" not in str(caught.value)


def test_networks_that_cannot_dream_are_refused():
    with pytest.raises(opsin.OpsinError, match="only the scores are known"):
        opsin.inside.dream(lambda x: x, 0)
    with pytest.raises(opsin.OpsinError, match="the size of the input of Small is not known; give size"):
        opsin.inside.dream(Small(), 0)
    with pytest.raises(opsin.OpsinError, match="has no gradient with respect to the picture"):
        opsin.inside.dream(Detached(), 0, size=16)
    with pytest.raises(opsin.OpsinError, match="cannot be dreamt of: its gradient is zero"):
        opsin.inside.dream(Deaf(), 0, size=16)
    broken = Small()
    with torch.no_grad():
        broken.head.weight.fill_(float("nan"))
    with pytest.raises(opsin.OpsinError, match="is not finite"):
        opsin.inside.dream(broken, 0, size=16)


def test_a_real_network_at_its_size_dreams_of_a_class_and_a_channel(lite0):
    found = opsin.inside.dream(lite0, "espresso", size=96, steps=12)
    assert found.pictures.shape == (1, 96, 96, 3)
    assert found.above_noise[0]
    channel = opsin.inside.dream(lite0, layer="blocks.2.0.conv_pwl", channel=3, size=64, steps=10)
    assert channel.above_noise[0]


def test_the_record_survives_a_file(small, tmp_path):
    found = opsin.inside.dream(small, "a", images=torch.rand(3, 1, 16, 16), **QUICK)
    found.save(tmp_path / "dream.safetensors")
    again = Dream.load(tmp_path / "dream.safetensors")
    assert again.as_dict() == found.as_dict()
    assert np.array_equal(again.frames, found.frames)
    assert "real images" in again.text()
