"""`vit_small`: a vision transformer for images of 28 to 64 pixels.

Dosovitskiy et al., "An image is worth 16x16 words" (2021), with patches of 4 pixels. The attention is written
out, so that a hook on `softmax` sees the attention weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from opsin.errors import OpsinError
from opsin.models.zoo.sizes import Size, require_at_least


class Attention(nn.Module):
    """Multi-head self-attention: `softmax(q k / sqrt(d)) v` per head, heads joined by a linear layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.softmax = nn.Softmax(dim=-1)
        self.project = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, tokens, width)` to the same shape; `softmax` returns `(n, heads, tokens, tokens)`."""
        n, tokens, width = x.shape
        qkv = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        weights = self.softmax(query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5)
        return self.project((weights @ value).transpose(1, 2).reshape(n, tokens, width))


class EncoderBlock(nn.Module):
    """Attention and a two-layer perceptron, each behind a layer normalisation and added to what it was given."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * width)
        self.gelu = nn.GELU()
        self.fc2 = nn.Linear(2 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, tokens, width)` to the same shape."""
        x = x + self.dropout(self.attention(self.norm1(x)))
        return x + self.dropout(self.fc2(self.gelu(self.fc1(self.norm2(x)))))


class SmallViT(nn.Module):
    """Patches, a class token, learned positions, encoder blocks; the class token is read out by a linear
    layer.

    Args:
        classes: number of classes.
        channels: channels of the input.
        size: height and width of the input in pixels, multiples of `patch`.
        patch: side of a patch in pixels.
        width: numbers per token, a multiple of `heads`.
        depth: encoder blocks.
        heads: attention heads per block.
        dropout: share of every block's additions that training sets to zero, 0..1.
    """

    def __init__(
        self,
        classes: int,
        channels: int,
        size: Size,
        patch: int = 4,
        width: int = 96,
        depth: int = 6,
        heads: int = 3,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_at_least("vit_small", size, patch)
        if size[0] % patch or size[1] % patch:
            raise OpsinError(
                f"vit_small was given {size[0]} x {size[1]} pixels and patches of {patch}; expected a height "
                f"and a width that {patch} divides: choose another size or patch"
            )
        if width % heads:
            raise OpsinError(
                f"vit_small was given width {width} and {heads} heads; expected a width that {heads} divides"
            )
        patches = (size[0] // patch) * (size[1] // patch)
        self.patches = nn.Conv2d(channels, width, patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, patches + 1, width))
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.class_token, std=0.02)
        nn.init.trunc_normal_(self.positions, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, channels, height, width)` to logits `(n, classes)`."""
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], dim=1)
        tokens = self.blocks(self.dropout(tokens + self.positions))
        return self.head(self.norm(tokens)[:, 0])


def vit_small(
    classes: int,
    channels: int,
    size: Size,
    patch: int = 4,
    width: int = 96,
    depth: int = 6,
    heads: int = 3,
    dropout: float = 0.0,
) -> nn.Module:
    """A `SmallViT`."""
    return SmallViT(classes, channels, size, patch, width, depth, heads, dropout)
