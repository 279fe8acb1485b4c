"""`opsin demo digits`: train on real handwritten digits, score and report."""

from __future__ import annotations

from pathlib import Path

from opsin.cli.demos.asked import Asked

DATA = "mnist5k"


def run(asked: Asked) -> int:
    """Train, score, write the report, and say what to open; returns the exit code."""
    from opsin.cli.show import document, progress, scores_text
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
    page = report(trained.path, language=asked.language)
    if asked.json:
        scores = trained.scores.as_dict() if trained.scores else None
        document({"run": trained.path, "report": page, "scores": scores})
        return 0
    if trained.scores:
        print(scores_text(trained.scores))
    print(f"open {page}")
    return 0
