"""Attention rollout and its gradient-weighted relative against twins written from their papers."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

import opsin
from opsin.errors import OpsinError
from opsin.explanation.attention import rollout
from opsin.explanation.explain import explain

CLOSE = 1e-5


class Watched(nn.Module):
    """A transformer that shows its attention itself: the twins read `seen`, Opsin catches the softmax."""

    def __init__(self, depth=3, heads=2, width=8, prefix=1, read=(0,)):
        super().__init__()
        self.heads, self.num_prefix_tokens, self.read = heads, prefix, read
        self.patches = nn.Conv2d(3, width, 4, stride=4)
        self.prefix = nn.Parameter(torch.randn(1, prefix, width))
        self.qkv = nn.ModuleList(nn.Linear(width, 3 * width) for _ in range(depth))
        self.mlp = nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.GELU()) for _ in range(depth))
        self.fc = nn.Linear(width, 4)
        self.seen = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen = []
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.prefix.expand(len(x), -1, -1), x], dim=1)
        for qkv, mlp in zip(self.qkv, self.mlp, strict=True):
            q, k, v = (
                part.reshape(len(x), x.shape[1], self.heads, -1).transpose(1, 2) for part in qkv(x).chunk(3, dim=-1)
            )
            weights = (q @ k.transpose(-2, -1) * 2 * q.shape[-1] ** -0.5).softmax(dim=-1)
            self.seen.append(weights)
            x = x + (weights @ v).transpose(1, 2).reshape(x.shape)
            x = x + mlp(x)
        return self.fc(x[:, list(self.read)].mean(dim=1) if self.read else x[:, self.num_prefix_tokens :].mean(dim=1))


def rollout_twin(module, image) -> Tensor:
    """Abnar and Zuidema 2020, matrix by matrix: float64 `(tokens, tokens)` of one image."""
    with torch.no_grad():
        module(image[None])
    rolled = torch.eye(module.seen[0].shape[-1], dtype=torch.float64)
    for weights in module.seen:
        mean = torch.zeros_like(rolled)
        for head in weights[0].double():
            mean += head / len(weights[0])
        rolled = (0.5 * mean + 0.5 * torch.eye(len(rolled))) @ rolled
    return rolled


def gradient_twin(module, image, target) -> Tensor:
    """Chefer et al. 2021, matrix by matrix: float64 `(tokens, tokens)` of one image, without the identity."""
    logits = module(image[None])
    for weights in module.seen:
        weights.retain_grad()
    logits[0, target].backward()
    relevance = torch.eye(module.seen[0].shape[-1], dtype=torch.float64)
    for weights in module.seen:
        mean = torch.zeros_like(relevance)
        for head, gradient in zip(weights[0].detach().double(), weights.grad[0].double(), strict=True):
            mean += (head * gradient).clamp(min=0) / len(weights[0])
        relevance = relevance + mean @ relevance
    module.zero_grad()
    return relevance - torch.eye(len(relevance))


def places(module, matrix) -> Tensor:
    """The patches' part of the rows that the network reads, `(4, 4)`."""
    first = module.num_prefix_tokens
    rows = list(module.read) or list(range(first, len(matrix)))
    return matrix[rows].mean(dim=0)[first:].reshape(4, 4)


KINDS = {
    "class token": {"prefix": 1, "read": (0,)},
    "distilled": {"prefix": 2, "read": (0, 1)},
    "registers": {"prefix": 5, "read": (0,)},
    "mean": {"prefix": 0, "read": ()},
    "mean beside a class token": {"prefix": 1, "read": ()},
}


@pytest.fixture(params=KINDS)
def case(request):
    torch.manual_seed(0)
    module = Watched(**KINDS[request.param]).eval()
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    return opsin.Classifier(module, classes=["a", "b", "c", "d"]), images


def drawn(model, images, method, target=None) -> Tensor:
    return torch.from_numpy(explain(model, images, method, target=target).maps).double()


def enlarged(maps: list[Tensor]) -> Tensor:
    stack = torch.stack(maps)[:, None]
    return nn.functional.interpolate(stack, size=(16, 16), mode="bilinear", align_corners=False)[:, 0]


def test_rollout_equals_its_paper(case):
    model, images = case
    found = drawn(model, images, "attention_rollout")
    expected = enlarged([places(model.module, rollout_twin(model.module, image)) for image in images])
    torch.testing.assert_close(found, expected, rtol=CLOSE, atol=CLOSE * float(expected.max()))


def test_gradient_weighted_rollout_equals_its_paper(case):
    model, images = case
    targets = [2, 0, 3]
    found = drawn(model, images, "grad_attention_rollout", target=targets)
    twins = [gradient_twin(model.module, *pair) for pair in zip(images, targets, strict=True)]
    expected = enlarged([places(model.module, twin) for twin in twins])
    torch.testing.assert_close(found, expected, rtol=CLOSE, atol=CLOSE * float(expected.max()))


def test_a_dropped_relu_a_wrong_order_and_a_wrong_row_would_be_seen(case):
    """The planted faults."""
    model, images = case
    found = drawn(model, images, "attention_rollout")
    module = model.module
    module(images[:1])
    backwards = torch.eye(module.seen[0].shape[-1], dtype=torch.float64)
    for weights in reversed(module.seen):
        backwards = (0.5 * weights[0].detach().double().mean(dim=0) + 0.5 * torch.eye(len(backwards))) @ backwards
    wrong = enlarged([places(module, backwards)])
    assert (found[0] - wrong[0]).abs().max() > 100 * CLOSE * found[0].max()
    last = rollout_twin(module, images[0])[-1][module.num_prefix_tokens :].reshape(4, 4)
    assert (found[0] - enlarged([last])[0]).abs().max() > 100 * CLOSE * found[0].max()


def test_a_sign_or_a_relu_that_is_missing_would_be_seen(case, monkeypatch):
    """The planted fault: the gradients' sign turned in the code itself."""
    model, images = case
    right = drawn(model, images, "grad_attention_rollout", target=1)
    original = rollout._gradients
    monkeypatch.setattr(rollout, "_gradients", lambda *given: tuple(-item for item in original(*given)))
    wrong = drawn(model, images, "grad_attention_rollout", target=1)
    assert (right - wrong).abs().max() > 100 * CLOSE * right.max()


def test_the_rows_of_an_attention_matrix_stay_shares(case):
    """Rollout of a network's rows sums to 1 over all tokens, so that patches get at most all of it."""
    model, images = case
    for image in images:
        torch.testing.assert_close(rollout_twin(model.module, image).sum(dim=1).min(), torch.tensor(1.0).double())
    found = explain(model, images, "attention_rollout")
    assert (found.maps >= 0).all()
    assert (found.maps.mean(axis=(1, 2)) * 16 <= 1 + 1e-5).all()


@pytest.mark.parametrize(
    ("name", "size", "rows"),
    [
        ("timm/vit_tiny_patch16_224", 32, [0]),
        ("timm/deit_tiny_distilled_patch16_224", 32, [0, 1]),
        ("timm/vit_small_patch14_reg4_dinov2", 28, [0]),
        ("timm/vit_relpos_small_patch16_224", 32, [0, 1, 2, 3]),
    ],
)
def test_the_tokens_that_are_read_are_found_by_themselves(name, size, rows, monkeypatch):
    options = {"depth": 2, "embed_dim": 48, "num_heads": 3}
    model = opsin.build_model(name, classes=5, size=size, options=options, seed=0)
    found = []
    original = rollout._read_out
    monkeypatch.setattr(rollout, "_read_out", lambda *given: found.append(original(*given)) or found[-1])
    explain(model, torch.randn(2, 3, size, size), "attention_rollout")
    assert found[0].nonzero().flatten().tolist() == rows
    torch.testing.assert_close(found[0].sum(), torch.tensor(1.0))


def test_a_compiled_network_and_one_in_data_parallel():
    model, images = opsin.Classifier(Watched().eval(), classes=["a", "b", "c", "d"]), torch.randn(2, 3, 16, 16)
    for method in ("attention_rollout", "grad_attention_rollout"):
        expected = explain(model, images, method).maps
        for wrapped in (torch.compile(model.module, backend="eager"), nn.DataParallel(model.module)):
            found = explain(opsin.Classifier(wrapped, classes=model.classes), images, method).maps
            torch.testing.assert_close(torch.from_numpy(found), torch.from_numpy(expected))


def test_frozen_weights_need_no_thawing(case):
    model, images = case
    expected = explain(model, images, "grad_attention_rollout").maps
    model.module.requires_grad_(False)
    found = explain(model, images, "grad_attention_rollout").maps
    torch.testing.assert_close(torch.from_numpy(found), torch.from_numpy(expected))
    assert not any(p.requires_grad for p in model.module.parameters())


def test_a_score_that_no_attention_reaches_is_refused():
    module = torchvision.models.VisionTransformer(32, 16, 2, 3, 48, 96, num_classes=5)
    model = opsin.Classifier(module)  # whose head begins as zeros
    for method in ("attention_rollout", "grad_attention_rollout"):
        with pytest.raises(OpsinError, match="do not depend on its last attention"):
            explain(model, torch.randn(1, 3, 32, 32), method)


def test_a_network_that_switches_gradients_off_is_refused():
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Watched()

        def forward(self, x):
            with torch.no_grad():
                return self.inner(x).detach()

    model = opsin.Classifier(Frozen(), classes=["a", "b", "c", "d"])
    with pytest.raises(OpsinError, match="have no gradient with respect to its attention"):
        explain(model, torch.randn(1, 3, 16, 16), "grad_attention_rollout")
