"""Networks of Opsin's own zoo."""

from __future__ import annotations

from opsin.data.preprocess import Preprocess
from opsin.errors import OpsinError
from opsin.models.sources.order import Delivery, Order, check_options, learned_preprocess, refuse_in_place
from opsin.models.zoo.efficientnet_lite import imagenet_classes, pretrained_lite0
from opsin.models.zoo.index import NATURAL_SIZE, ZOO


def build(order: Order) -> Delivery:
    """Build a network of the zoo.

    Raises:
        OpsinError: the size is too small, an option is unknown, or the network has no pretrained weights.
    """
    check_options(order.name, ZOO[order.name], order.options)
    size = order.size or NATURAL_SIZE[order.name]
    if order.pretrained:
        return _pretrained(order, size)
    assert order.classes is not None
    module = ZOO[order.name](order.classes, order.channels, size, **order.options)
    preprocess = Preprocess.simple(channels=order.channels, size=size)
    return Delivery(refuse_in_place(module), size, preprocess, channels=order.channels)


def _pretrained(order: Order, size: tuple[int, int]) -> Delivery:
    if order.name != "efficientnet_lite0":
        raise OpsinError(
            f"{order.name} has no pretrained weights; train it, or take efficientnet_lite0, whose weights "
            "come as a package, or a timm/ or torchvision/ network"
        )
    module = pretrained_lite0(order.classes, order.channels, **order.options)
    preprocess = learned_preprocess(
        order.channels, size, crop=0.875, interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3
    )
    names = imagenet_classes() if order.classes is None else None
    return Delivery(refuse_in_place(module), size, preprocess, classes=names, channels=order.channels)
