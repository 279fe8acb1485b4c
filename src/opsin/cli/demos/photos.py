"""`opsin demo photos`: what ImageNet's weights see in photographs, by six methods with their evidence."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsin.cli.demos.asked import Asked

if TYPE_CHECKING:
    from PIL import Image

    from opsin.inference.answers import Progress
    from opsin.models.classifier import Classifier
    from opsin.records import Evidence, Explanation, Prediction

MODEL = "efficientnet_lite0"
# scikit-image's photographs that come with it and show a class of ImageNet
PHOTOS = {"cat": "chelsea", "coffee": "coffee", "motorcycle": "stereo_motorcycle", "camera": "camera"}
# cheaper settings where a method runs the network often: the sanity check draws its maps eight times again
SHOWN: dict[str, dict[str, Any]] = {
    "grad_cam": {},
    "integrated_gradients": {"steps": 16},
    "guided_backprop": {},
    "occlusion": {"window": 64, "stride": 32},
    "layer_cam": {},
    "saliency": {},
}
METHODS = 6
MEASURES = ("deletion", "insertion", "road_morf", "road_lerf", "randomisation")
HEADS = (*(f"{name} (random)" for name in MEASURES[:-1]), "randomisation")
STEPS = 10
BEST = 3


def run(asked: Asked) -> int:
    """Predict, explain, check, write picture and page, and say what to open; returns the exit code."""
    from opsin.cli.show import document, notes_shown_below, progress
    from opsin.inference.predict import predict
    from opsin.models.build import build_model
    from opsin.reporting.report import check_target
    from opsin.training.train import free_folder

    asked.refuse("data", "model", "settings")
    folder = asked.out or free_folder(Path("runs") / asked.name)
    picture, page = folder / "photos.png", folder / "photos.html"
    check_target(page, asked.language)
    began = time.perf_counter()
    model = build_model(MODEL, pretrained=True)
    photos = load_photos()
    answers = predict(model, list(photos.values()))
    found = []
    with progress() as advance, notes_shown_below():
        for name, (layer, options) in chosen_methods(model).items():
            found.append(_checked(model, photos, name, layer, options, advance))
    _write(found, answers, tuple(photos), picture, page, asked)
    predictions = [
        {"photo": name, "predictions": [{"class": label, "probability": share} for label, share in best]}
        for name, best in zip(photos, best_answers(answers), strict=True)
    ]
    if asked.json:
        methods = {explanation.method: evidence.as_dict() for explanation, evidence in found}
        document({"page": page, "picture": picture, "photos": predictions, "methods": methods,
                  "seconds": time.perf_counter() - began})  # fmt: skip
        return 0
    print(_text(found, predictions))
    print(f"open {page}   (picture: {picture})")
    return 0


def load_photos() -> dict[str, Image.Image]:
    """The photographs by name; nothing is downloaded."""
    import skimage
    from PIL import Image

    found = {}
    for name, source in PHOTOS.items():
        pixels = getattr(skimage.data, source)()
        # of the stereo pair the left one
        found[name] = Image.fromarray(pixels[0] if isinstance(pixels, tuple) else pixels)
        found[name].filename = name  # what it is called wherever pictures are named
    return found


def chosen_methods(model: Classifier) -> dict[str, tuple[str | None, dict[str, Any]]]:
    """Layer and options of six methods, the recommended one first."""
    from opsin.explanation.recommend import recommend

    best = recommend(model)
    others = {name: (None, options) for name, options in SHOWN.items() if name != best.method}
    return dict(list({best.method: (best.layer, best.options), **others}.items())[:METHODS])


def best_answers(answers: Prediction) -> list[tuple[tuple[str, float], ...]]:
    """Per photo the likeliest classes with their probabilities."""
    return [
        tuple((answers.classes[at], float(shares[at])) for at in (-shares).argsort(kind="stable")[:BEST].tolist())
        for shares in answers.probabilities
    ]


def _checked(
    model: Classifier, photos: dict[str, Image.Image], method: str, layer: str | None, options: dict[str, Any],
    advance: Progress,
) -> tuple[Explanation, Evidence]:  # fmt: skip
    from opsin.evidence.check import check
    from opsin.explanation.explain import explain
    from opsin.records import Explanation

    explanation = explain(model, list(photos.values()), method, layer=layer, **options)
    assert isinstance(explanation, Explanation)  # one target, one layer
    said = partial(_say, advance, method)
    return explanation, check(explanation, model, measures=MEASURES, steps=STEPS, progress=said)


def _say(advance: Progress, method: str, what: str, done: int, of: int) -> None:
    advance(f"{method}: {what}", done, of)


def _write(
    found: list[tuple[Explanation, Evidence]], answers: Prediction, names: tuple[str, ...], picture: Path, page: Path,
    asked: Asked,
) -> None:  # fmt: skip
    from opsin.files import replacing
    from opsin.reporting.explained import page_of
    from opsin.reporting.parts.why import Answered
    from opsin.reporting.pictures import method_grid
    from opsin.reporting.report import write_page

    explanations = [explanation for explanation, _ in found]
    evidences = [evidence for _, evidence in found]
    said = {name: Answered(None, best) for name, best in zip(names, best_answers(answers), strict=True)}
    with replacing(picture) as temporary:
        method_grid(explanations, verdicts=[item.verdict for item in evidences]).save(temporary, "PNG")
    write_page(
        page_of(explanations, evidences, said, name=f"{MODEL}: photographs of scikit-image"), page, asked.language
    )


def _text(found: list[tuple[Explanation, Evidence]], predictions: list[dict[str, Any]]) -> str:
    """Predictions, then the methods' figures beside random maps, then the protocol."""
    from opsin.cli.show import percent, table

    answers = [
        [item["photo"], *(f"{one['class']} {percent(one['probability'])}" for one in item["predictions"])]
        for item in predictions
    ]
    rows = [
        [
            explanation.method,
            evidence.verdict,
            f"{evidence.advantage or 0:+.3f}",
            *map(partial(_figure, evidence), MEASURES),
        ]
        for explanation, evidence in found
    ]
    first = found[0][1]
    return "\n".join([
        table(["photo", *["likeliest", "then", "then"][:BEST]], answers), "",
        table(["method", "verdict", "gain", *HEADS], rows), "",
        f"{len(first.names)} photographs, {STEPS} steps, score: probability of the predicted class",
        "gain: how much further it moves than with random maps, mean of deletion, insertion and ROAD",
        "wanted: deletion, road_morf and randomisation (likeness with randomised weights) low, insertion and road_lerf "
        "high",
    ])  # fmt: skip


def _figure(evidence: Evidence, name: str) -> str:
    if name not in evidence.measures:
        return "-"
    measure = evidence.measures[name]
    beside = f" ({measure.controls['random'].mean:.3f})" if "random" in measure.controls else ""
    return f"{measure.mean:.3f}{beside}"
