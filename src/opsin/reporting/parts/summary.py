"""The run in plain language: sentences that rules choose and the numbers fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from opsin.errors import OpsinError
from opsin.records import Scores
from opsin.reporting.parts.calibration import Calibration, calibration
from opsin.reporting.parts.curves import alarm_text, final_counts
from opsin.reporting.parts.data import DataPart, data
from opsin.reporting.parts.material import Material
from opsin.reporting.parts.provenance import seconds_text
from opsin.reporting.parts.scores import baseline_name, confused_pairs, why_no_scores
from opsin.reporting.parts.shortcuts import Searched, shortcuts
from opsin.reporting.parts.why import VERDICT_KEYS
from opsin.reporting.texts import Text, say

FEW_TEST = 200  # images: below, the interval of an accuracy of 90 % is wider than 8 points
SMALL_CLASS = 20  # test images: below, the interval of a recall of 90 % is wider than 25 points
FEW_TRAIN = 20  # training images of a class
IMBALANCE = 5  # largest class by smallest
GAP = 0.05  # training accuracy above validation accuracy
RISEN = 1.1  # last validation loss by the best one
OVERCONFIDENT = 0.03  # calibration error that is worth a word
SILENT = 0.5  # share of a layer's channels; fewer are usual for a handful of images
STILL_RISING = 0.005  # gain of validation accuracy over the last quarter of the epochs, in each epoch's mean
NAMED = 3  # classes in one sentence

Tone = Literal["good", "plain", "bad"]


@dataclass(frozen=True)
class Sentence:
    """One sentence; `section` is where its figures stand."""

    text: Text
    tone: Tone = "plain"
    section: str | None = None


@dataclass(frozen=True)
class Headline:
    """One large number with its name and, where there is one, what it has to be read with."""

    value: Text
    name: Text
    note: Text | None = None


@dataclass(frozen=True)
class Summary:
    """What was trained, what it can do, where it fails, what to distrust; and the largest numbers."""

    headlines: tuple[Headline, ...]
    trained: tuple[Sentence, ...]
    able: tuple[Sentence, ...]
    fails: tuple[Sentence, ...]
    distrust: tuple[Sentence, ...]


def summary(material: Material) -> Summary:
    """The summary of any run, also of one that stopped, failed or knows no scores."""
    found: list[Sentence] = []
    for rule in RULES:
        found += rule(material)
    if not found:
        found.append(Sentence(say("distrust.nothing")))
    return Summary(
        headlines=tuple(_headlines(material)),
        trained=tuple(_trained(material)),
        able=tuple(_able(material)),
        fails=tuple(_fails(material)),
        distrust=tuple(found),
    )


def _headlines(material: Material) -> list[Headline]:
    scores, info = material.scores, material.run.info
    found = []
    if scores is not None:
        interval = say("unit.interval", low=scores.accuracy_interval.low, high=scores.accuracy_interval.high)
        found.append(Headline(say("unit.share", value=scores.accuracy), say("headline.accuracy"), interval))
        note = say("headline.images", count=scores.images)
        found.append(Headline(say("unit.share", value=scores.macro["f1"]), say("headline.macro_f1"), note))
    elif (best := _best_epoch(material)) is not None:
        epoch, accuracy = best
        note = say("headline.validation_note", epoch=epoch)
        found.append(Headline(say("unit.share", value=accuracy), say("headline.validation"), note))
    if (parameters := info["model"].get("parameters")) is not None:
        macs = info["model"].get("macs")
        note = None if macs is None else say("headline.macs", count=_short(macs))
        found.append(Headline(say("unit.text", value=_short(parameters)), say("headline.parameters"), note))
    if "seconds" in info:
        note = say("headline.epochs", count=len(material.run.epochs))
        found.append(Headline(seconds_text(info["seconds"]), say("headline.time"), note))
    elif material.run.steps:
        found.append(Headline(say("unit.count", value=_last_step(material)), say("headline.steps")))
    return found


def _trained(material: Material) -> list[Sentence]:
    run, model = material.run, material.run.info["model"]
    name = model.get("name") or model.get("type") or model.get("class") or "?"
    if material.foreign:
        text = say("trained.foreign", network=name, steps=_last_step(material), snapshots=len(run.snapshot_steps))
        sentences = [Sentence(text, section="film")]
    else:
        about = run.info["data"]
        count = sum(about["counts"].get("train", {}).values())
        names = tuple(material.classes[:NAMED])
        text = say(
            "trained.images", network=name, data=about["name"], count=count, classes=len(material.classes), few=names,
            more="" if len(material.classes) <= NAMED else " …", epochs=len(run.epochs),
        )  # fmt: skip
        sentences = [Sentence(text, section="data")]
        if run.info.get("recipe", {}).get("trunk") == "frozen":
            sentences.append(Sentence(say("trained.frozen")))
    if run.status != "finished":
        error = run.info.get("error", "")
        sentences.append(Sentence(say(f"trained.{run.status}", epochs=len(run.epochs), error=error), "bad"))
    return sentences


def _able(material: Material) -> list[Sentence]:
    return [*_scored(material), *_trusted(material)]


def _trusted(material: Material) -> list[Sentence]:
    """How far its explanations can be trusted, in one line."""
    if material.foreign:
        return []
    found, _ = material.kept
    by_verdict = {key: tuple(item.explanation.method for item in found if item.verdict == verdict)
                  for verdict, key in VERDICT_KEYS.items()}  # fmt: skip
    if len(by_verdict["unchecked"]) == len(found):
        return [Sentence(say("trust.nothing"), section="why")]
    verdicts = tuple(say(f"trust.{key}", methods=names) for key, names in by_verdict.items() if names)
    tone: Tone = "good" if by_verdict["better"] else "bad"
    return [Sentence(say("trust.methods", verdicts=verdicts), tone, "why")]


def _scored(material: Material) -> list[Sentence]:
    scores = material.scores
    if scores is None:
        sentences = [Sentence(why_no_scores(material)[0], "plain", "scores")]
        if (best := _best_epoch(material)) is not None:
            sentences.append(Sentence(say("able.validation", epoch=best[0], accuracy=best[1]), section="curves"))
        return sentences
    low, high = scores.accuracy_interval
    right = round(scores.accuracy * scores.images)
    text = say("able.accuracy", right=right, count=scores.images, accuracy=scores.accuracy, low=low, high=high)
    sentences = [Sentence(text, section="scores")]
    if scores.baselines:
        best = max(scores.baselines, key=lambda baseline: baseline.accuracy)
        verdict, tone = _against(scores, best.accuracy, best.interval.high)
        name = baseline_name(best.name)
        sentences.append(Sentence(say(f"able.{verdict}", name=name, accuracy=best.accuracy), tone, "scores"))
    if scores.auroc is not None:
        sentences.append(Sentence(say("able.auroc", auroc=scores.auroc), section="scores"))
    return sentences


def _against(scores: Scores, accuracy: float, high: float) -> tuple[str, Tone]:
    """How the accuracy stands against a baseline's: the intervals decide."""
    if scores.accuracy_interval.low > high:
        return "above", "good"
    return ("not_above", "bad") if scores.accuracy <= accuracy else ("hardly_above", "plain")


def _fails(material: Material) -> list[Sentence]:
    scores = material.scores
    if scores is None:
        return [Sentence(say("fails.unknown"))]
    wrong = int(scores.confusion.sum() - np.trace(scores.confusion))
    if wrong == 0:
        # Hanley and Lippman-Hand (1983): none of n says no more than that the rate is below 3 / n.
        return [Sentence(say("fails.nowhere", count=scores.images, bound=min(1.0, 3 / scores.images)), "good")]
    tested = [row for row in scores.per_class if row.support]
    worst = sorted(tested, key=lambda row: (row.recall, row.f1, row.name))[:NAMED]
    named = tuple(say("fails.one_class", name=row.name, recall=row.recall, support=row.support)
                  for row in worst if row.recall < 1)  # fmt: skip
    sentences = [Sentence(say("fails.classes", wrong=wrong, worst=named), section="scores")] if named else []
    unrecognised = tuple(row.name for row in tested if row.recall == 0)
    if unrecognised:
        few = unrecognised[:NAMED]
        text = say("fails.never", count=len(unrecognised), few=few, more="" if len(unrecognised) <= NAMED else " …")
        sentences.append(Sentence(text, "bad", "scores"))
    pair = confused_pairs(scores.confusion, scores.classes)[0]
    text = say("fails.pair", truth=pair.truth, answer=pair.answer, count=pair.count, share=pair.share)
    sentences.append(Sentence(text, section="mistakes"))
    return sentences


# -- what to distrust: each rule says something or nothing -------------------------------------------------------


def _alarms(material: Material) -> list[Sentence]:
    epochs = material.run.epochs
    nan = [event for line in material.run.steps for event in line.get("events", ()) if event.get("kind") == "nan"]
    found = [Sentence(say("distrust.nan", layer=str(event.get("layer", "?"))), "bad", "curves") for event in nan]
    last = epochs[-1].get("alarms", ()) if epochs else ()
    found += [Sentence(alarm_text(alarm, epochs, material.classes), "bad", "curves") for alarm in last]
    earlier = sum(len(epoch.get("alarms", ())) for epoch in epochs[:-1])
    if earlier:
        found.append(Sentence(say("distrust.earlier_alarms", count=earlier), "plain", "curves"))
    return found


def _over_fitting(material: Material) -> list[Sentence]:
    epochs = [epoch for epoch in material.run.epochs if "loss" in epoch]
    if not epochs:
        return []
    last, best = epochs[-1], min(epochs, key=lambda epoch: epoch["loss"])
    found = []
    if last["loss"] > RISEN * best["loss"] and last["train_loss"] < best["train_loss"]:
        text = say("distrust.risen", best=best["loss"], epoch=best["epoch"], last=last["loss"])
        found.append(Sentence(text, "bad", "curves"))
    if last["train_accuracy"] - last["accuracy"] > GAP:
        text = say("distrust.gap", train=last["train_accuracy"], validation=last["accuracy"])
        found.append(Sentence(text, "bad", "curves"))
    return found


def _unfinished_learning(material: Material) -> list[Sentence]:
    accuracy = [epoch["accuracy"] for epoch in material.run.epochs if "accuracy" in epoch]
    quarter = max(1, len(accuracy) // 4)
    if len(accuracy) < 4 or (accuracy[-1] - accuracy[-1 - quarter]) / quarter < STILL_RISING:
        return []
    return [Sentence(say("distrust.still_rising", before=accuracy[-1 - quarter], now=accuracy[-1], epochs=quarter),
                     "plain", "curves")]  # fmt: skip


def _few_images(material: Material) -> list[Sentence]:
    scores = material.scores
    if scores is None:
        return []
    found = []
    if scores.images < FEW_TEST:
        width = scores.accuracy_interval.high - scores.accuracy_interval.low
        found.append(Sentence(say("distrust.few_test", count=scores.images, points=100 * width), "bad", "scores"))
    small = [row for row in scores.per_class if row.support < SMALL_CLASS]
    if small:
        found.append(Sentence(_named("distrust.small_test", [row.name for row in small], least=SMALL_CLASS),
                              "plain", "scores"))  # fmt: skip
    return found


def _calibrated(material: Material) -> list[Sentence]:
    part = calibration(material)
    if not isinstance(part, Calibration) or part.ece < OVERCONFIDENT:
        return []
    kind, tone = ("over", "bad") if part.bias > 0 else ("under", "plain")
    found = [Sentence(say(f"distrust.{kind}_confident", ece=part.ece, bias=abs(part.bias)), tone, "calibration")]
    if part.ece_calibrated is not None and part.ece_calibrated < part.ece and part.temperature is not None:
        text = say("distrust.temperature", temperature=part.temperature, ece=part.ece_calibrated)
        found.append(Sentence(text, "plain", "calibration"))
    return found


def _data(material: Material) -> list[Sentence]:
    part = data(material)
    if not isinstance(part, DataPart):
        return [Sentence(say("distrust.foreign"))]
    found = []
    if part.crossing:
        found.append(Sentence(say("distrust.duplicates", count=part.crossing), "bad", "data"))
    if not part.grouped:
        found.append(Sentence(say("distrust.no_groups"), "plain", "data"))
    if part.unreadable:
        found.append(Sentence(say("distrust.unreadable", count=len(part.unreadable)), "plain", "data"))
    train = {row.name: row.train for row in part.counts}
    few = [name for name, count in train.items() if count < FEW_TRAIN]
    if few:
        found.append(Sentence(_named("distrust.few_train", few, least=FEW_TRAIN), "bad", "data"))
    most, least = max(train.values(), default=0), min(train.values(), default=0)
    if most > IMBALANCE * max(least, 1):
        largest, smallest = max(train, key=train.__getitem__), min(train, key=train.__getitem__)
        text = say("distrust.imbalance", largest=largest, most=most, smallest=smallest, least=least)
        found.append(Sentence(text, "plain", "data"))
    return found


def _silent(material: Material) -> list[Sentence]:
    counts = final_counts(material.run.steps, "dead")
    layers = [(name, dead, total) for name, (dead, total) in counts.items() if dead > SILENT * total]
    probe = 0 if material.run.probe is None else len(material.run.probe.images)
    return [Sentence(say("distrust.silent", layer=name, dead=dead, total=total, probe=probe), "plain", "curves")
            for name, dead, total in layers[:NAMED]]  # fmt: skip


def _shortcuts(material: Material) -> list[Sentence]:
    """Places by which a class is recognised, whatever the object is."""
    try:
        part = shortcuts(material)
    except OpsinError:
        return []  # a damaged file is told of in its own part
    if not isinstance(part, Searched) or part.stale:
        return []
    return [Sentence(place.sentence, "bad", "shortcuts") for place in part.found]


RULES: tuple[Callable[[Material], list[Sentence]], ...] = (
    _shortcuts, _alarms, _over_fitting, _calibrated, _few_images, _data, _silent, _unfinished_learning,
)  # fmt: skip


def _named(key: str, names: list[str], **values: int) -> Text:
    more = "" if len(names) <= NAMED else " …"
    return say(key, count=len(names), few=tuple(names[:NAMED]), more=more, **values)


def _best_epoch(material: Material) -> tuple[int, float] | None:
    known = [(epoch["epoch"], epoch["accuracy"]) for epoch in material.run.epochs if "accuracy" in epoch]
    return max(known, key=lambda pair: (pair[1], pair[0])) if known else None


def _last_step(material: Material) -> int:
    return max((line["step"] for line in (*material.run.steps, *material.run.epochs)), default=0)


def _short(count: int) -> str:
    """A count in three figures: `225k`, `1.23M`."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.3g}{letter}"
    return str(count)
