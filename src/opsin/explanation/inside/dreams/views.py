"""Random views of a picture: shifted, enlarged and turned, so that what excites does not hang on single pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Views:
    """How far views may differ (transformation robustness; Olah, Mordvintsev and Schubert 2017, Feature Visualization).

    Attributes:
        size: height and width of a view, and of the middle of the canvas that is the picture in the end.
        jitter: largest shift to each side, as a share of the size.
        zoom: largest enlargement and reduction: by up to `1 + zoom`.
        rotate: largest turn to each side in degrees.
    """

    size: tuple[int, int]
    jitter: float
    zoom: float
    rotate: float

    @property
    def margin(self) -> int:
        """Pixels of the canvas around the picture: what a shift brings into view. Where a turn or a reduction looks
        beyond, the canvas is mirrored."""
        return math.ceil(max(self.size) * self.jitter)

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of the canvas."""
        return self.size[0] + 2 * self.margin, self.size[1] + 2 * self.margin

    def middle(self, canvas: Tensor) -> Tensor:
        """The picture `(n, c, h, w)` in the middle of the canvas."""
        edge = self.margin
        return canvas[..., edge : edge + self.size[0], edge : edge + self.size[1]]

    def draw(self, canvas: Tensor, count: int, draws: torch.Generator) -> Tensor:
        """`(count * n, c, h, w)`: `count` views of all canvases, each view the same for all of them."""
        if not (self.jitter or self.zoom or self.rotate):
            return self.middle(canvas).repeat(count, 1, 1, 1)
        numbers = torch.rand(4, count, generator=draws) * 2 - 1
        angle = numbers[0] * math.radians(self.rotate)
        # logarithmic, so that enlarging and reducing are equally likely; what is seen is smaller when it is enlarged
        seen = torch.exp(numbers[1] * math.log1p(self.zoom))
        height, width = self.size
        rows, columns = self.canvas
        down, across = numbers[2] * 2 * self.jitter * height / rows, numbers[3] * 2 * self.jitter * width / columns
        # from places of the view to places of the canvas, both from -1 to 1; a turn is one of pixels
        cosine, sine = angle.cos() * seen, angle.sin() * seen
        first = torch.stack([cosine * width / columns, -sine * height / columns, across], dim=1)
        second = torch.stack([sine * width / rows, cosine * height / rows, down], dim=1)
        theta = torch.stack([first, second], dim=1).repeat_interleave(len(canvas), dim=0).to(canvas)
        places = F.affine_grid(theta, [len(theta), canvas.shape[1], height, width], align_corners=False)
        many = canvas.repeat(count, 1, 1, 1)
        return F.grid_sample(many, places, mode="bilinear", padding_mode="reflection", align_corners=False)
