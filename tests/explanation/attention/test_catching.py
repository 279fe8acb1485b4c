"""Attention is caught however it is written, and the network answers as it did without."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import opsin
from opsin.errors import OpsinError
from opsin.explanation.attention.catching import CatchAttention
from opsin.explanation.explain import explain


def caught_with(images, run):
    """What `run` gave under the catcher, and the weights that were caught."""
    seen = []
    with torch.no_grad(), CatchAttention(images, lambda weights: seen.append(weights) or weights):
        return run(), seen


@settings(max_examples=40, deadline=None)
@given(
    images=st.integers(1, 3),
    groups=st.integers(1, 2),
    tokens=st.integers(1, 7),
    width=st.integers(1, 5),
    mask=st.sampled_from(["none", "bool", "additive", "causal"]),
    scale=st.sampled_from([None, 0.3]),
)
def test_fused_attention_is_equal_step_by_step(images, groups, tokens, width, mask, scale):
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(images, 2 * groups, tokens, width, generator=generator)
    key, value = torch.randn(2, images, 2, tokens, width, generator=generator)
    options = {"scale": scale, "enable_gqa": groups > 1, "is_causal": mask == "causal"}
    if mask == "bool":
        options["attn_mask"] = torch.rand(tokens, tokens, generator=generator).fill_diagonal_(0) < 0.5
    if mask == "additive":
        options["attn_mask"] = torch.randn(images, 1, tokens, tokens, generator=generator)
    expected = F.scaled_dot_product_attention(query, key, value, **options)
    found, (weights,) = caught_with(images, lambda: F.scaled_dot_product_attention(query, key, value, **options))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert weights.shape == (images, 2 * groups, tokens, tokens)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(images, 2 * groups, tokens))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_as_exact_as_the_fused_kernel(dtype):
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, 3, 6, 8, generator=generator)
    exact = F.scaled_dot_product_attention(query, key, value)
    half = [item.to(dtype) for item in (query, key, value)]
    found, _ = caught_with(2, lambda: F.scaled_dot_product_attention(*half))
    assert found.dtype == dtype
    own, fused = ((item.float() - exact).abs().max() for item in (found, F.scaled_dot_product_attention(*half)))
    assert own <= 1.5 * fused


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("separate", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_multi_head_attention_is_equal_step_by_step(batch_first, separate, bias):
    torch.manual_seed(0)
    part = nn.MultiheadAttention(
        8, 2, dropout=0.3, bias=bias, kdim=6 if separate else 8, vdim=5 if separate else 8, batch_first=batch_first
    ).eval()
    if bias:
        nn.init.normal_(part.in_proj_bias)
        nn.init.normal_(part.out_proj.bias)
    shapes = [(3, 4, width) if batch_first else (4, 3, width) for width in (8, part.kdim, part.vdim)]
    given_tensors = [torch.randn(shape) for shape in shapes]
    for asked in ({"need_weights": False}, {"need_weights": True}, {"average_attn_weights": False}):
        with torch.no_grad():
            expected, wanted = part(*given_tensors, **asked)
        (found, shown), (weights,) = caught_with(3, lambda asked=asked: part(*given_tensors, **asked))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
        assert weights.shape == (3, 2, 4, 4)
        assert (shown is None) == (wanted is None)
        if shown is not None:
            torch.testing.assert_close(shown, wanted)


@pytest.mark.parametrize("norm_first", [True, False])
def test_pytorchs_encoder_layer_is_equal_without_its_fast_path(norm_first):
    torch.manual_seed(0)
    part = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=norm_first).eval()
    tokens = torch.randn(3, 5, 8)
    with torch.no_grad():
        expected = part(tokens)
    found, (weights,) = caught_with(3, lambda: part(tokens))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert weights.shape == (3, 2, 5, 5)


WRITTEN = {
    "F.softmax": lambda scores: F.softmax(scores, dim=-1),
    "torch.softmax": lambda scores: torch.softmax(scores, 3),
    "method": lambda scores: scores.softmax(dim=-1),
    "special": lambda scores: torch.special.softmax(scores, -1),
    "module": nn.Softmax(dim=-1),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_softmax_is_caught_however_it_is_called(name):
    scores = torch.randn(2, 3, 4, 4)
    found, (weights,) = caught_with(2, lambda: WRITTEN[name](scores))
    assert torch.equal(found, weights)
    assert torch.equal(found, scores.softmax(dim=-1))


def test_other_softmaxes_are_no_attention():
    assert caught_with(2, lambda: (torch.randn(2, 5).softmax(-1), torch.randn(2, 3, 4, 4).softmax(1)))[1] == []


def test_heads_within_the_batch_axis_are_taken_apart():
    scores = torch.randn(6, 4, 4)
    found, (weights,) = caught_with(2, lambda: scores.softmax(dim=-1))
    assert weights.shape == (2, 3, 4, 4)
    assert found.shape == (6, 4, 4)


SMALL = {"depth": 2, "embed_dim": 48, "num_heads": 3}
NETWORKS = {
    "vit_small": ({"depth": 2}, 28, (3, 50, 50)),
    "timm/vit_tiny_patch16_224": (SMALL, 32, (3, 5, 5)),
    "timm/deit_tiny_distilled_patch16_224": (SMALL, 32, (3, 6, 6)),
    "timm/vit_small_patch14_reg4_dinov2": (SMALL, 28, (3, 9, 9)),
    "timm/eva02_tiny_patch14_224": (SMALL, 28, (3, 5, 5)),
}


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_answers_as_it_did(name, fused):
    options, size, shape = NETWORKS[name]
    module = opsin.build_model(name, classes=5, size=size, options=options, seed=0).module.eval()
    for part in module.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = fused
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = module(images)
    found, seen = caught_with(2, lambda: module(images))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert [tuple(weights.shape) for weights in seen] == [(2, *shape)] * 2


def test_torchvisions_transformer_answers_as_it_did():
    module = torchvision.models.VisionTransformer(32, 16, 2, 3, 48, 96, num_classes=5).eval()
    nn.init.normal_(module.heads.head.weight)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = module(images)
    found, seen = caught_with(2, lambda: module(images))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert [tuple(weights.shape) for weights in seen] == [(2, 3, 5, 5)] * 2


class Tokens(nn.Module):
    """4 x 4 patches, then whatever is written, then the mean."""

    num_prefix_tokens = 0

    def __init__(self, mix):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.mix = mix
        self.after = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(self.mix(self, self.patches(x).flatten(2).transpose(1, 2)).mean(dim=1))


def whole(_, x):
    return x + F.scaled_dot_product_attention(x, x, x)


def shorter(_, x):
    return x + F.scaled_dot_product_attention(x, x[:, ::4], x[:, ::4])


def windows(_, x):
    parts = x.reshape(len(x) * 4, 1, 4, 8)
    return x + F.scaled_dot_product_attention(parts, parts, parts).reshape(x.shape)


def windows_within(_, x):
    parts = x.reshape(len(x), 4, 1, 4, 8)
    return x + F.scaled_dot_product_attention(parts, parts, parts).reshape(x.shape)


def pyramid(_, x):
    x = whole(_, x)[:, ::4]
    return whole(_, x)


def convolved(self, x):
    maps = whole(self, x).transpose(1, 2).reshape(len(x), 8, 4, 4)
    return self.after(maps).flatten(2).transpose(1, 2)


def uneven(_, x):
    return whole(_, x[:, :13])


def extra_keys(_, x):
    part = nn.MultiheadAttention(8, 2, add_zero_attn=True, batch_first=True)
    return part(x, x, x)[0]


@pytest.mark.parametrize(
    ("mix", "reason"),
    [
        (lambda _, x: x, "it computes no attention over tokens that could be caught"),
        (shorter, "it has attention of 16 over 4 tokens, not of all over all"),
        (windows, "it attends within windows of 4 places, and no window sees the whole picture"),
        (windows_within, "it attends within windows of 4 places"),
        (pyramid, r"its blocks have different numbers of tokens \(16 and 4\)"),
        (convolved, "convolutions between its attention blocks move places too"),
        (uneven, "its 13 tokens are no grid of places of a 16 x 16 picture"),
        (extra_keys, "its attention adds keys that are no tokens"),
    ],
)
@pytest.mark.parametrize("method", ["attention_rollout", "grad_attention_rollout"])
@pytest.mark.parametrize("images", [1, 2])
def test_attention_that_is_no_map_is_refused_with_the_reason(mix, reason, method, images):
    model = opsin.Classifier(Tokens(mix), classes=["a", "b", "c"])
    with pytest.raises(OpsinError, match=f"^no attention map of Tokens can be had: {reason}.*; use grad_cam"):
        explain(model, torch.randn(images, 3, 16, 16), method)


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("timm/swin_tiny_patch4_window7_224", {"depths": (1, 1), "embed_dim": 12, "num_heads": (2, 2)}, "windows of"),
        ("resnet_small", {}, "it computes no attention"),
    ],
)
def test_windows_and_convolutions_are_refused(name, options, reason):
    size = 32 if name == "resnet_small" else 64
    model = opsin.build_model(name, classes=3, size=size, options=options, seed=0)
    model.module.eval()
    with pytest.raises(OpsinError, match=reason):
        explain(model, torch.randn(1, 3, size, size), "attention_rollout")


def test_an_input_of_the_wrong_size_is_one_line():
    model = opsin.build_model("vit_small", classes=3, size=32, seed=0)
    with pytest.raises(OpsinError, match=r"vit_small cannot take an input of shape \(1, 3, 28, 28\)"):
        explain(model, torch.randn(1, 3, 28, 28), "attention_rollout")
