"""`opsin demo digits`: train on real handwritten digits, score and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opsin.cli.demos.asked import Asked

if TYPE_CHECKING:
    from opsin.records import Evidence
    from opsin.training.run import Run

DATA = "mnist5k"
BESIDE = ("integrated_gradients", "guided_backprop")
MEASURES = ("deletion", "insertion", "road_morf", "road_lerf", "randomisation")
STEPS = 10
MOST_MACS = 10_000_000  # of the network, so that three methods are checked in a dozen seconds on one core


def run(asked: Asked) -> int:
    """Train, score, write the report, and say how to look at it; returns the exit code."""
    from opsin.cli.show import document, program, progress, scores_text
    from opsin.data.load import load_data
    from opsin.reporting.report import report
    from opsin.training.recipe import Recipe
    from opsin.training.train import free_folder, train

    with progress() as advance:
        images = load_data(asked.data or DATA, seed=asked.settings.get("seed", 0), progress=advance)
    folder = asked.out or free_folder(Path("runs") / (asked.name if asked.data is None else images.name))
    trained = train(asked.model, images, Recipe(**asked.settings), out=folder)
    if trained.status != "finished":
        print(f"stopped; go on with: opsin train --resume --out {trained.path}")
        return 0
    checked, reason = check_explanations(trained)
    page = report(trained.path, language=asked.language)
    if asked.json:
        scores = trained.scores.as_dict() if trained.scores else None
        verdicts = {item.method: item.verdict for item in checked}
        document({"run": trained.path, "report": page, "scores": scores, "explanations": verdicts})
        return 0
    if trained.scores:
        print(scores_text(trained.scores))
    print("explanations" if checked else f"explanations  not checked: {reason}")
    for item in checked:
        gain = "" if item.advantage is None else f"score gained over random maps {item.advantage:+.3f}"
        print(f"  {item.method:<28}{item.verdict:<26}{gain}".rstrip())
    print(f"open {page}")
    print(f"or look inside: {program()} studio {trained.path}")
    return 0


def check_explanations(trained: Run) -> tuple[list[Evidence], str]:
    """Check the recommended method, one that looks at every pixel, and one that is known to draw the picture rather
    than the network; or say why not."""
    from opsin.cli.show import notes_shown_below, progress
    from opsin.errors import OpsinError
    from opsin.evidence.held_out import check_run
    from opsin.explanation.recommend import recommend
    from opsin.models.load import load_model

    cost = trained.info["model"].get("macs")
    if cost is None or cost > MOST_MACS:
        return [], f"this takes minutes with a network of this size; opsin check {trained.path} --report"
    try:
        with progress() as advance, notes_shown_below():
            methods = dict.fromkeys([recommend(load_model(trained.path)).method, *BESIDE])
            kept = check_run(trained, list(methods), steps=STEPS, measures=MEASURES, progress=advance)
    except OpsinError as error:
        return [], str(error)
    return [item.evidence for item in kept if item.evidence is not None], ""
