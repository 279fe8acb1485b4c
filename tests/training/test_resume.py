"""Killed at any moment and resumed, a run ends bit for bit where an uninterrupted one ends."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import opsin
from opsin.errors import OpsinError
from opsin.training.recorder.writer import read_lines
from opsin.training.train import resume
from opsin.training.view import Quiet

KILLS = 20

# A run with everything that has a state: moving average, momentum, dropout, augmentation, mixing, accumulation,
# recorder, per-image losses. Checkpoints are forced often, so that kills also fall between them.
SCRIPT = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
import opsin
import opsin.training.trainer as trainer
from opsin.training.train import resume
from opsin.training.view import Quiet
trainer.CHECKPOINT_SECONDS = 0.2
out = Path(sys.argv[1])
print("ready", flush=True)
if (out / "run.json").exists():
    run = resume(out, view=Quiet())
else:
    data = opsin.load_data("mnist5k")
    model = opsin.build_model("seed_cnn", classes=data.classes, channels=1, size=28, seed=0, options={"dropout": 0.2})
    recipe = opsin.Recipe(epochs=2, batch_size=128, accumulate=2, ema=0.9, crop=2, rotate=10.0, mixup=0.2, cutout=4,
                          optimizer="sgd", lr=0.05, record_every=5, embeddings=64, early_stopping=9)
    run = opsin.train(model, data, recipe, out=out, view=Quiet())
print(run.status, flush=True)
"""


def start(out: Path, script: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, str(script), str(out)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(out: Path, script: Path) -> str:
    process = start(out, script)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return output.split()[-1]


def fingerprint(run: Path) -> dict[str, bytes]:
    """Everything that must not depend on interruptions: all but times."""
    parts = {f"weights/{name}": (run / "weights" / f"{name}.safetensors").read_bytes() for name in ("best", "last")}
    for folder in ("snapshots", "embeddings", "losses", "batches"):
        for path in sorted((run / folder).iterdir()):
            parts[f"{folder}/{path.name}"] = path.read_bytes()
    parts["predictions"] = (run / "predictions.parquet").read_bytes()
    for name in ("steps", "epochs"):
        lines = read_lines(run / f"{name}.jsonl")
        timed = {"seconds", "images_per_second"}
        parts[name] = repr([{k: v for k, v in line.items() if k not in timed} for line in lines]).encode()
    return parts


@pytest.fixture(scope="module")
def script(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("script") / "run.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, script) -> tuple[dict[str, bytes], float]:
    out = tmp_path_factory.mktemp("whole") / "run"
    began = time.monotonic()
    assert finish(out, script) == "finished"
    return fingerprint(out), time.monotonic() - began


@pytest.mark.timeout(900)
def test_killed_at_random_moments(tmp_path, script, uninterrupted):
    """Twenty kills -9 at random moments, over as many runs as they need; every run ends identical."""
    expected, seconds = uninterrupted
    draw = random.Random(0)
    kills, runs = 0, 0
    while kills < KILLS:
        out = tmp_path / f"run{runs}"
        runs += 1
        for _ in range(7):
            process = start(out, script)
            assert process.stdout is not None
            process.stdout.readline()  # imports are done: every kill falls into loading, training or writing
            time.sleep(draw.uniform(0, 0.6 * seconds))
            process.kill()
            process.communicate()
            if process.returncode == 0:
                break
            kills += 1
        assert finish(out, script) == "finished"
        assert fingerprint(out) == expected
        assert not list(out.rglob("*.tmp"))
    assert kills >= KILLS


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to handle")
def test_sigterm_checkpoints_and_ends_cleanly(tmp_path, script, uninterrupted):
    out = tmp_path / "run"
    process = start(out, script)
    assert process.stdout is not None
    process.stdout.readline()
    while not list((out / "snapshots").glob("0000001*.safetensors")):
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert output.split()[-1] == "stopped"
    assert opsin.Run(out).status == "stopped"
    assert finish(out, script) == "finished"
    assert fingerprint(out) == uninterrupted[0]


class StopAfter(Quiet):
    """Asks for a stop after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, *_: object) -> None:
        self.left -= 1
        if not self.left:
            signal.raise_signal(signal.SIGINT)


def test_stopped_just_before_a_snapshot_the_records_go_on(digits, tmp_path):
    """Before a snapshot's step the recorder copies the weights: after a resume these have to be the restored ones."""

    def begin(name, view):
        model = opsin.build_model("lenet5", classes=digits.classes, channels=1, size=28, seed=0)
        recipe = opsin.Recipe(epochs=1, batch_size=512, record_every=5, embeddings=0)
        return opsin.train(model, digits, recipe, out=tmp_path / name, view=view)

    whole, stopped = begin("whole", Quiet()), begin("stopped", StopAfter(4))
    assert stopped.status == "stopped"
    resumed = resume(stopped.path, view=Quiet())
    timed = {"images_per_second"}
    lines = [[{k: v for k, v in line.items() if k not in timed} for line in run.steps] for run in (whole, resumed)]
    assert any("update_ratios" in line for line in lines[0])
    assert lines[0] == lines[1]


def test_a_finished_run_is_left_alone(digits_run):
    before = (digits_run.path / "weights" / "best.safetensors").stat().st_mtime_ns
    assert resume(digits_run.path, view=Quiet()).status == "finished"
    assert (digits_run.path / "weights" / "best.safetensors").stat().st_mtime_ns == before


def test_resuming_with_another_recipe_is_refused(digits, tmp_path, monkeypatch):
    model = opsin.build_model("lenet5", classes=digits.classes, channels=1, size=28, seed=0)
    recipe = opsin.Recipe(epochs=1, batch_size=256, record=False)
    run = opsin.train(model, digits, recipe, out=tmp_path / "run", view=Quiet())
    text = (run.path / "run.json").read_text().replace('"status": "finished"', '"status": "running"')
    (run.path / "run.json").write_text(text)
    with pytest.raises(OpsinError, match="begun with another recipe"):
        opsin.train(model, digits, recipe.replace(lr=0.1), out=run.path, resume=True, view=Quiet())
    with pytest.raises(OpsinError, match="holds no run to resume"):
        opsin.train(model, digits, recipe, out=tmp_path / "none", resume=True, view=Quiet())
