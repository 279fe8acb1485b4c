"""Which layer is looked at: chosen by itself, named, or refused; and how its output lies on the picture."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.explanation.explain import explain
from opsin.explanation.grids import Grid, find_grid
from opsin.explanation.layers import choose_layer, find_layers
from opsin.explanation.split import split_pass


@pytest.mark.parametrize(
    ("name", "channels", "size", "layer", "kind"),
    [
        ("seed_cnn", 1, 28, "relu2", "maps"),
        ("conv_bn", 1, 28, "blocks", "maps"),
        ("resnet_small", 3, 32, "stages", "maps"),
        ("timm/resnet18", 3, 64, "layer4", "maps"),
        ("torchvision/resnet18", 3, 64, "layer4", "maps"),
        ("torchvision/vgg11", 3, 64, "features.19", "maps"),
        ("efficientnet_lite0", 3, 64, "bn2", "maps"),
        ("timm/vit_tiny_patch16_224", 3, 224, "blocks.11.norm1", "tokens"),
        ("timm/swin_tiny_patch4_window7_224", 3, 224, "norm", "maps_last"),
    ],
)
def test_the_last_layer_with_places_is_chosen(name, channels, size, layer, kind):
    model = opsin.build_model(name, classes=5, channels=channels, size=size, seed=0)
    found = choose_layer(model, torch.randn(1, channels, size, size, generator=torch.Generator().manual_seed(0)))
    assert (found.name, found.grid.kind) == (layer, kind)


def test_a_network_without_places_is_refused():
    model = opsin.Classifier(nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), classes=["a", "b", "c"])
    with pytest.raises(OpsinError, match="has no layer with places of the picture"):
        explain(model, torch.randn(2, 3, 4, 4), "grad_cam")


def test_a_wrong_layer_is_one_line_that_offers_near_names():
    model = opsin.build_model("seed_cnn", classes=3, channels=1, size=28, seed=0)
    with pytest.raises(OpsinError, match="there is no layer 'conv3'; the nearest names are conv"):
        explain(model, torch.randn(1, 1, 28, 28), layer="conv3")
    with pytest.raises(OpsinError, match=r"the output of fc1 has shape \(1, 128\) and no places"):
        explain(model, torch.randn(1, 1, 28, 28), layer="fc1")
    with pytest.raises(OpsinError, match="saliency looks at no layer"):
        explain(model, torch.randn(1, 1, 28, 28), "saliency", layer="conv1")


def test_several_layers_come_from_one_pass_and_equal_each_alone():
    model = opsin.build_model("seed_cnn", classes=3, channels=1, size=28, seed=0)
    images = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    both = explain(model, images, "hires_cam", layer=["conv1", "relu2"], relu=False)
    assert [found.layer for found in both] == ["conv1", "relu2"]
    for found in both:
        alone = explain(model, images, "hires_cam", layer=found.layer, relu=False)
        torch.testing.assert_close(torch.from_numpy(found.maps), torch.from_numpy(alone.maps))


def test_a_transformer_with_registers_has_its_grid():
    model = opsin.build_model("timm/vit_small_patch16_dinov3", classes=3, size=64, seed=0)
    layer = find_layers(model, torch.randn(1, 3, 64, 64), None)[0]
    assert layer.grid == Grid("tokens", 4, 4, model.module.num_prefix_tokens)
    assert layer.grid.prefix > 1


@given(rows=st.integers(1, 9), columns=st.integers(1, 9), channels=st.integers(1, 7), prefix=st.integers(0, 5))
def test_maps_and_back_is_the_same(rows, columns, channels, prefix):
    outputs = {
        "maps": torch.randn(2, channels, rows, columns),
        "maps_last": torch.randn(2, rows, columns, channels),
        "tokens": torch.randn(2, prefix + rows * columns, channels),
    }
    for kind, output in outputs.items():
        grid = Grid(kind, rows, columns, prefix if kind == "tokens" else 0)
        maps = grid.maps(output)
        assert maps.shape == (2, channels, rows, columns)
        assert torch.equal(grid.output(maps, output), output)


@given(stride=st.sampled_from([4, 8, 16, 32]), rows=st.integers(2, 9), columns=st.integers(2, 9))
def test_token_grids_follow_the_pictures_proportions(stride, rows, columns):
    tokens = torch.zeros(1, 1 + rows * columns, 8)
    grid = find_grid(tokens, (rows * stride, columns * stride), prefix=1)
    assert grid is not None
    assert grid.height * grid.width == rows * columns


def test_a_forward_that_switches_gradients_off():
    """A CAM needs no gradient before its layer and switches them on there; what needs the input's is refused."""

    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.fc = nn.Linear(4, 3)

        def forward(self, x):
            with torch.no_grad():
                return self.fc(self.conv(x).mean(dim=(-2, -1)))

    model = opsin.Classifier(Frozen(), classes=["a", "b", "c"])
    images = torch.randn(1, 3, 8, 8)
    with pytest.raises(OpsinError, match="use a perturbation method"):
        explain(model, images, "saliency")
    split = split_pass(model, images, ["conv"])
    assert split.logits.requires_grad
    assert split.outputs["conv"].is_leaf


def test_a_numpy_array_of_classes_is_a_list_per_class():
    model = opsin.build_model("seed_cnn", classes=3, channels=1, size=28, seed=0)
    images = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    found = explain(model, images, "hires_cam", target=np.array([[0, 1], [1, 2], [2, 0]]), relu=False, batch_size=2)
    assert [one.targets.tolist() for one in found] == [[0, 1, 2], [1, 2, 0]]
    alone = explain(model, images, "hires_cam", target=[1, 2, 0], relu=False)
    np.testing.assert_allclose(found[1].maps, alone.maps, rtol=1e-4, atol=1e-7)
