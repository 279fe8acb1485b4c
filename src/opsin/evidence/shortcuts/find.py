"""`find_shortcuts`: does the network look at the object, or at a mark?"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from opsin.data.dataset import Dataset, Split
from opsin.errors import OpsinError
from opsin.evidence.localisation import energy
from opsin.evidence.shortcuts.alike import CARRIED, RARE, TOLERANCE
from opsin.evidence.shortcuts.boxes import inside
from opsin.evidence.shortcuts.confirm import Effect, carried, fill, holm, measure_effect, with_the_mark
from opsin.evidence.shortcuts.exchange import paste
from opsin.evidence.shortcuts.gather import class_maps
from opsin.evidence.shortcuts.images import FEWEST, Images, Network, choose_images, class_names, open_network
from opsin.evidence.shortcuts.search import CARRIED_ON_OBJECT, LARGEST, Candidate, explained, search_class
from opsin.inference.answers import Progress, opened
from opsin.inference.intervals import bootstrap_mean, share_interval
from opsin.models.classifier import Classifier
from opsin.records import Share, Shortcut, Shortcuts

LEVEL = 0.01  # of the corrected test
TURNED = 0.05  # share of other images, beyond the controls, that a mark has to turn to be a shortcut
LOST = 0.1  # share of the class's recall, beyond the control, that it costs when a mark is removed
TURNED_UNLIKE = 0.5  # share of other images that a place has to turn where the class's images differ in it
WORTH_CONFIRMING = 0.5  # share of that, in the search, from which on it is confirmed
SHOWN = 6  # example images
FEWEST_CARRIERS = 12  # images that carry a mark, from which on it is told although the network does not use it
IMAGES = 128  # of each class, in each half


def find_shortcuts(
    model: Classifier | str | Path,
    data: Dataset | Split,
    *,
    images: int = IMAGES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Shortcuts:
    """Look for small places of the picture by which the network recognises a class, without being told any.

    Training images propose: pixels that a class's images share and others do not have, and places where the maps of
    a class gather across its images. Validation images decide: the place is pasted from images of the class onto images
    of other classes, and replaced in images of the class by what images of other classes show there; the same is done
    at places of the same size elsewhere, and with images of other classes. It is a shortcut if the effect is
    significant beside these controls (sign-flip test, Holm's correction over all places, 1 %) and large: where the
    class's images share their pixels, if it turns 5 % of other images into the class or costs it 10 points of recall
    more than the control does; elsewhere, where it may be a part of the object, only if it turns 50 %.

    Args:
        model: a Classifier, or what `load_model` opens.
        data: a Dataset, whose validation and training images are looked at, or a Split.
        images: of each class, in each half.
        seed: of every draw.
        progress: told what is done, how many classes are done, and how many there are.

    Returns:
        The Shortcuts: at most one per class. A mark that moves from image to image is not found.

    Raises:
        OpsinError: the model does not know the data's classes or cannot be differentiated, or there are too few images.
    """
    began = time.perf_counter()
    if images < FEWEST:
        raise OpsinError(f"images was given as {images}; expected at least {FEWEST} of each class")
    if seed < 0:
        raise OpsinError(f"seed was given as {seed}; expected 0 or more")
    network = open_network(opened(model))
    dataset = data.dataset if isinstance(data, Split) else data
    search, held = choose_images(network, data, images, seed, progress)
    skipped = _too_little(search, held, network, dataset)
    names = class_names(network)
    labels = [names.index(name) for name in dataset.classes if name not in skipped]
    candidates: list[Candidate] = []
    maps: dict[int, np.ndarray] = {}
    for done, label in enumerate(labels):
        if progress is not None:
            progress("looking for shortcuts", done, len(labels))
        maps[label] = class_maps(network, search, explained(search, label), label)
        candidates += search_class(network, search, label, maps[label])
    wanted = [item for item in candidates if item.mark or item.flips >= WORTH_CONFIRMING * TURNED_UNLIKE]
    effects = [measure_effect(network, search, held, item, seed) for item in wanted]
    if progress is not None:
        progress("looking for shortcuts", len(labels), len(labels))
    judged = zip(wanted, effects, holm([effect.p_value(seed) for effect in effects]), strict=True)
    described = [
        _describe(network, search, held, item, effect, p_value, maps, dataset, seed) for item, effect, p_value in judged
    ]
    return Shortcuts(
        found=_one_per_class([item for item in described if item.used]),
        unused=_one_per_class([item for item in described if not item.used and _is_told(item, search, held)]),
        model=network.model.label,
        data=dataset.name,
        classes=dataset.classes,
        skipped=skipped,
        protocol=_protocol(search, held, images, len(wanted), seed),
        notes=_notes(held),
        seconds=time.perf_counter() - began,
    )


def is_shortcut(effect: Effect, p_value: float, alike: bool) -> bool:
    """Whether the effect of a place is significant and large; `alike`: whether the class's images share its pixels."""
    turned, lost = effect.flips_gain.mean(), effect.recall_loss.mean()
    return p_value < LEVEL and bool((turned >= TURNED or lost >= LOST) if alike else turned >= TURNED_UNLIKE)


def _is_told(item: Shortcut, search: Images, held: Images) -> bool:
    """Whether enough images carry a mark that is not used: a few may be alike by chance."""
    shares = (item.carried or 0, search), (item.carried_held_out or 0, held)
    return item.alike and sum(share * len(images.of(item.label)) for share, images in shares) >= FEWEST_CARRIERS


def _too_little(search: Images, held: Images, network: Network, data: Dataset) -> dict[str, str]:
    """Classes that nothing can be said about, with the reason.

    Raises:
        OpsinError: fewer than two are left.
    """
    skipped = {}
    names = class_names(network)
    for name in data.classes:
        label = names.index(name)
        fewest = min(len(search.of(label)), len(held.of(label)))
        if fewest < FEWEST:
            skipped[name] = f"{fewest} images in one half of the data; at least {FEWEST} are needed"
        elif not len(search.recognised(label)):
            skipped[name] = "the network recognises none of its images"
        elif not len(search.others(label, 1)) or not len(held.others(label, 1)):
            skipped[name] = "the network recognises no image of another class"
    if len(data.classes) - len(skipped) < 2:
        name, reason = next(iter(skipped.items()))
        raise OpsinError(
            f"shortcuts cannot be looked for in {data.name}: too little is known of {len(skipped)} of its "
            f"{len(data.classes)} classes, such as {name}: {reason}"
        )
    return skipped


def _describe(
    network: Network, search: Images, held: Images, found: Candidate, effect: Effect, p_value: float,
    maps: dict[int, np.ndarray], data: Dataset, seed: int,
) -> Shortcut:  # fmt: skip
    names = class_names(network)
    others = held.labels != found.label
    mark = found.mark
    examples, answers = _examples(network, search, held, found, seed)
    rest = np.concatenate([values for label, values in maps.items() if label != found.label])
    return Shortcut(
        class_name=names[found.label],
        label=found.label,
        region=found.box,
        original=_in_original(found, network, data),
        size=held.size,
        used=is_shortcut(effect, p_value, mark is not None),
        alike=mark is not None,
        carried=None if mark is None else carried(search, found),
        carried_held_out=None if mark is None else carried(held, found),
        carried_others=None if mark is None else float(mark.carried_by(held.pixels[others]).mean()),
        recall=_share(effect.recognised, seed),
        recall_without=_share(effect.without, seed),
        recall_control=_share(effect.without_elsewhere, seed),
        flips=_share(effect.flips, seed),
        flips_control=_share(effect.flips_other, seed),
        flips_elsewhere=_share(effect.flips_elsewhere, seed),
        gathered=_gathered(maps[found.label], found, seed),
        gathered_others=_gathered(rest, found, seed),
        p_value=p_value,
        map=maps[found.label].mean(axis=0),
        examples=examples,
        answers=answers,
    )


def _share(values: np.ndarray, seed: int) -> Share:
    if values.dtype == bool:
        return Share(float(values.mean()), share_interval(values, seed=seed), len(values))
    whole = np.isin(values, (0.0, 1.0)).all()
    interval = share_interval(values.astype(bool), seed=seed) if whole else bootstrap_mean(values, seed=seed)
    return Share(float(values.mean()), interval, len(values))


def _gathered(maps: np.ndarray, found: Candidate, seed: int) -> Share:
    """The mean share of the maps' positive part that lies in the place."""
    region = np.zeros(maps.shape[1:], bool)
    region[inside(found.box)] = True
    shares = energy(maps[None], region)[0]
    return Share(float(shares.mean()), bootstrap_mean(shares, seed=seed), len(shares))


def _examples(
    network: Network, search: Images, held: Images, found: Candidate, seed: int
) -> tuple[np.ndarray, tuple[tuple[str, ...], ...]]:
    """A few images of the class as they are and without the place, and of others as they are and with it."""
    source = with_the_mark(search, held, found)
    own = source.recognised(found.label)
    if found.mark is not None:
        carrying = own[found.mark.carried_by(source.pixels[own])]
        own = carrying if len(carrying) else own
    own, onto = source.pixels[own[:SHOWN]], held.pixels[held.others(found.label, SHOWN)[:SHOWN]]
    count = min(len(own), len(onto))
    own, onto = own[:count], onto[:count]
    without = paste(own, fill(search, found.label, count, np.random.default_rng(seed)), found.box)
    pasted = paste(onto, search.pixels[np.resize(found.donors, count)], found.box)
    rows = np.stack([own, without, onto, pasted])
    names = class_names(network)
    return rows, tuple(tuple(names[at] for at in network.probabilities(row).argmax(axis=1)) for row in rows)


def _in_original(found: Candidate, network: Network, data: Dataset) -> tuple[float, float, float, float] | None:
    """The place in pixels of the originals, where all have one size."""
    if len(np.unique(data.sizes, axis=0)) > 1:
        return None
    height, width = (int(side) for side in data.sizes[0])
    top, left, bottom, right = network.preprocess.geometry((height, width))
    down, across = (bottom - top) / network.preprocess.height, (right - left) / network.preprocess.width
    box = found.box
    return top + box[0] * down, left + box[1] * across, top + box[2] * down, left + box[3] * across


def _one_per_class(items: list[Shortcut]) -> tuple[Shortcut, ...]:
    """Of each class the one that does most, in the order of the classes."""
    best: dict[int, Shortcut] = {}
    for item in sorted(items, key=lambda item: (item.alike, _strength(item))):
        best[item.label] = item
    return tuple(best[label] for label in sorted(best))


def _strength(item: Shortcut) -> float:
    return item.flips.value + item.recall_control.value - item.recall_without.value


def _protocol(search: Images, held: Images, images: int, places: int, seed: int) -> dict[str, object]:
    return {
        "images_searched": len(search.labels),
        "images_confirmed": len(held.labels),
        "held_out": held.held_out,
        "images_per_class": images,
        "places_confirmed": places,
        "level": LEVEL,
        "least_turned": TURNED,
        "least_recall_lost": LOST,
        "least_turned_where_images_differ": TURNED_UNLIKE,
        "largest_place": LARGEST,
        "same_pixel_tolerance": TOLERANCE,
        "least_carried": CARRIED,
        "most_carried_by_others": RARE,
        "least_carried_where_objects_lie": CARRIED_ON_OBJECT,
        "seed": seed,
    }


def _notes(held: Images) -> tuple[str, ...]:
    trained = len(held.labels) - held.held_out
    if not trained:
        return ()
    return (
        f"{trained:,} of the {len(held.labels):,} images that the effects were measured on are training images: they "
        "may be recognised better than new ones",
    )
