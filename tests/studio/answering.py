"""A worker whose answers are simple: run as a program by the tests."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from opsin.errors import OpsinError
from opsin.reporting.views.wire import Picture
from opsin.studio.worker import serve

own = {}


def open_subject(told):
    if (Path(told["folder"]) / "damaged").exists():
        raise OpsinError("the file is damaged; write it again")
    return told


def answer(subject, question, args, progress):
    return globals()[f"ask_{question}"](subject, progress, **args)


def ask_echo(subject, progress, **args):
    return args


def ask_told(subject, progress):
    return {**subject, "pid": os.getpid()}


def ask_put(subject, progress, pixels):
    own[f"own/{int(pixels.sum())}"] = pixels
    return {"id": f"own/{int(pixels.sum())}"}


def ask_own(subject, progress):
    return {"ids": sorted(own)}


def ask_own_slowly(subject, progress):
    return {"ids": sorted(own), "pid": os.getpid()}


def ask_wait(subject, progress, seconds):
    time.sleep(seconds)
    return {"waited": seconds}


def ask_work(subject, progress, seconds, mark=None):
    """Slow: tells its progress, and that it has begun and ended by files."""
    if mark:
        Path(mark + ".begun").write_text(str(os.getpid()))
    steps = 20
    for step in range(steps):
        progress("working", step, steps)
        time.sleep(seconds / steps)
    progress("working", steps, steps)
    if mark:
        Path(mark + ".ended").touch()
    return {"pid": os.getpid()}


def ask_exit(subject, progress):
    os._exit(3)


def ask_die(subject, progress):
    os.kill(os.getpid(), signal.SIGKILL)


def ask_fail(subject, progress):
    raise RuntimeError("no such thing\nsecond line")


def ask_refuse(subject, progress):
    raise OpsinError("this is refused; ask something else")


def ask_print(subject, progress):
    print("said by a network", flush=True)  # noqa: T201
    os.write(1, b"and by its C code")
    return {"done": True}


def ask_arrays(subject, progress, count):
    return {"zeros": np.zeros(count, np.float32), "picture": Picture(b"abc", "image/png")}


known = [name.removeprefix("ask_") for name in globals() if name.startswith("ask_")]

if __name__ == "__main__":
    if sys.argv[1:] == ["broken"]:
        sys.exit(5)
    serve(open_subject, answer, known, ["work", "own_slowly"])
