"""What explain refuses, in one line each, and what it warns of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.explanation.guards import BlankMapWarning, InputWarning, ModeWarning, SaturatedMapWarning, warn_of_maps


class Small(nn.Module):
    """A convolution, perhaps normalised, read at every place; what it returns is up to `answer`."""

    def __init__(self, norm: nn.Module | None = None, answer=lambda logits: logits):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = norm or nn.Identity()
        self.fc = nn.Linear(4 * 64, 3)
        self.answer = answer

    def forward(self, x):
        return self.answer(self.fc(self.norm(self.conv(x)).relu().flatten(1)))


def small(**options) -> opsin.Classifier:
    torch.manual_seed(0)
    preprocess = opsin.Preprocess.simple(channels=3, size=8)
    return opsin.Classifier(Small(**options).eval(), ("ant", "bee", "cat"), preprocess)


def pictures(count: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


REFUSED = {
    "no images": (lambda: ([], {}), "no images were given; give one or more paths"),
    "an empty tensor": (lambda: (torch.zeros(0, 3, 8, 8), {}), "no images were given"),
    "NaN": (lambda: (torch.full((1, 3, 8, 8), torch.nan), {}), "image 0 holds NaN or infinite values"),
    "infinity": (
        lambda: (torch.cat([pictures(1), torch.full((1, 3, 8, 8), torch.inf)]), {}),
        "image 1 holds NaN or infinite values",
    ),
    "pixels that are NaN": (lambda: (np.full((1, 8, 8, 3), np.nan), {}), "a float array of shape"),
    "tensors of several sizes": (
        lambda: ([torch.zeros(3, 8, 8), torch.zeros(3, 9, 8)], {}),
        r"tensors of shape \(3, 8, 8\) and \(3, 9, 8\) were given in a list",
    ),
    "a size that the network cannot take": (lambda: (torch.randn(1, 3, 9, 9), {}), "cannot take an input of shape"),
    "such a size for a gradient": (
        lambda: (torch.randn(1, 3, 9, 9), {"method": "saliency"}),
        "cannot take an input of shape",
    ),
    "channels": (lambda: (torch.randn(1, 1, 8, 8), {}), r"expected \(n, 3, 8, 8\)"),
    "a class beyond": (lambda: (pictures(), {"target": 3}), "target 3 is beyond the 3 classes; give 0 to 2"),
    "a class of one image beyond": (lambda: (pictures(), {"target": [0, 7]}), "target 7 is beyond the 3 classes"),
    "a name": (lambda: (pictures(), {"target": "bea"}), r"there is no class 'bea' \(did you mean bee\?\)"),
    "few targets": (lambda: (pictures(3), {"target": [0, 1]}), "2 targets were given for 3 images"),
    "a layer": (lambda: (pictures(), {"layer": "cnov"}), "there is no layer 'cnov'; the nearest names are conv, "),
    "a layer without places": (lambda: (pictures(), {"layer": "fc"}), "the output of fc has shape"),
    "a method": (lambda: (pictures(), {"method": "gradcam"}), r"there is no method 'gradcam' \(did you mean grad_cam"),
    "a setting": (lambda: (pictures(), {"rleu": True}), r"grad_cam has no setting 'rleu' \(did you mean relu\?\)"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_bad_input_is_one_clear_line(what):
    make, message = REFUSED[what]
    images, options = make()
    with pytest.raises(OpsinError, match=message) as caught:
        opsin.explain(small(), images, **options)
    assert "\n" not in str(caught.value)


def test_three_layers_are_offered():
    with pytest.raises(OpsinError, match=r"the nearest names are (\w+), (\w+), (\w+)$"):
        opsin.explain(small(), pictures(), layer="convolution")


@pytest.mark.filterwarnings("ignore::opsin.explanation.guards.MapWarning")
def test_pictures_of_several_sizes_are_brought_to_the_networks():
    several = [Image.new("RGB", (30, 20), (200, 9, 9)), np.zeros((12, 40, 3), np.uint8)]
    assert opsin.explain(small(), several, target=0).maps.shape == (2, 8, 8)


def test_tensors_in_a_list_are_stacked():
    found = opsin.explain(small(), list(pictures()), "saliency", target=0)
    np.testing.assert_array_equal(found.maps, opsin.explain(small(), pictures(), "saliency", target=0).maps)


def test_an_unreadable_picture_is_named(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(OpsinError, match=r"broken.jpg cannot be read: .*leave them out"):
        opsin.explain(small(), [tmp_path / "broken.jpg"])


ANSWERS = {
    "tuple": lambda logits: (logits, logits.sum()),
    "list": lambda logits: [logits],
    "dict without logits": lambda logits: {"scores": logits},
    "another shape": lambda logits: logits[None],
    "nothing": lambda _: None,
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("method", ["grad_cam", "saliency", "occlusion"])
def test_a_module_that_gives_no_logits_is_refused(answer, method):
    with pytest.raises(OpsinError, match=r"Small answered with .*; expected logits of shape \(\d, classes\)") as caught:
        opsin.explain(small(answer=ANSWERS[answer]), pictures(), method)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["hires_cam", "saliency", "occlusion"])
def test_a_dict_with_logits_is_taken(method):
    options = {"relu": False} if method == "hires_cam" else {"window": 3} if method == "occlusion" else {}
    expected = opsin.explain(small(), pictures(), method, target=1, **options)
    found = opsin.explain(small(answer=lambda logits: {"logits": logits}), pictures(), method, target=1, **options)
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)


def test_a_network_without_gradients_is_refused_with_what_to_use():
    class Detached(Small):
        def forward(self, x):
            return super().forward(x).detach()

    torch.manual_seed(0)
    model = opsin.Classifier(Detached().eval())
    for method in ("grad_cam", "saliency", "guided_backprop"):
        with pytest.raises(OpsinError, match=r"have no gradient with respect to .*; use a perturbation method such as"):
            opsin.explain(model, pictures(), method)
    assert opsin.explain(model, pictures(), "occlusion", window=3).maps.any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("method", ["hires_cam", "saliency", "integrated_gradients", "occlusion"])
def test_other_precisions_give_float32_maps_close_to_single(dtype, method):
    options = {"relu": False} if method == "hires_cam" else {"window": 3} if method == "occlusion" else {}
    expected = opsin.explain(small(), pictures(), method, target=0, **options).maps
    model = small()
    model.module.to(dtype)
    found = opsin.explain(model, pictures().to(dtype), method, target=0, **options).maps
    assert found.dtype == np.float32
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98


def test_blank_and_saturated_maps_are_warned_of_and_noted():
    maps = np.zeros((4, 8, 8), np.float32)
    maps[1, 3, 4] = -2.0
    maps[2] = 0.5
    maps[3] = -np.linspace(0.1, 1, 64).reshape(8, 8)
    names = ("a", "b", "c", "d")
    with pytest.warns(BlankMapWarning, match="the m map is blank .* for 1 of 4 images: a"):  # noqa: SIM117
        with pytest.warns(SaturatedMapWarning, match="the m map is saturated .* for 1 of 4 images: c"):
            notes = warn_of_maps(maps, names, "m")
    assert len(notes) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert warn_of_maps(maps[[1, 3]], names, "m") == ()


def test_a_saturated_map_of_a_method_is_noted_on_its_record():
    with pytest.warns(SaturatedMapWarning, match="saturated"):
        found = opsin.explain(small(), pictures(1), "occlusion", target=0, window=8)
    assert "saturated" in found.notes[0]


def test_an_input_that_was_scaled_twice_is_warned_of():
    with pytest.warns(InputWarning, match="was it divided by 255, or normalised, twice"):
        opsin.explain(small(), pictures() / 255, "saliency")


def test_batch_norm_in_training_mode_is_warned_of_explained_in_evaluation_mode_and_left_as_it_was():
    model = small(norm=nn.BatchNorm2d(4))
    expected = opsin.explain(model, pictures(), "saliency", target=0).maps
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    model.module.train()
    with pytest.warns(ModeWarning, match="1 of 1 batch normalisations of Small are in training mode"):
        found = opsin.explain(model, pictures(), "saliency", target=0)
    np.testing.assert_array_equal(found.maps, expected)
    assert all(part.training for part in model.module.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.module.state_dict().items())


def test_batch_norm_without_running_statistics_is_warned_of():
    """In evaluation mode too it takes the statistics of the batch: alone an image gets another map."""
    model = small(norm=nn.BatchNorm2d(4, track_running_stats=False))
    with pytest.warns(ModeWarning, match="have no running statistics, so that a map depends on the other images"):
        together = opsin.explain(model, pictures(), "saliency", target=0).maps
    with pytest.warns(ModeWarning):
        alone = opsin.explain(model, pictures(), "saliency", target=0, batch_size=1).maps
    assert np.abs(together - alone).max() > 1e-3 * np.abs(alone).max()


def test_networks_that_come_with_weights_are_in_evaluation_mode():
    assert not opsin.build_model("efficientnet_lite0", pretrained=True).module.training


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # the compiler looks at it
def test_a_compiled_network_and_one_with_a_compiled_part():
    expected = opsin.explain(small(), pictures(), "hires_cam", target=0, relu=False)
    whole, part = small(), small()
    whole.module = torch.compile(whole.module, backend="eager")
    part.module.fc = torch.compile(part.module.fc, backend="eager")
    for model in (whole, part):
        found = opsin.explain(model, pictures(), "hires_cam", target=0, relu=False)
        assert found.layer == expected.layer
        np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)
