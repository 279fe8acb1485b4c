"""The command line: one file per verb, loaded when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import App
from cyclopts.exceptions import CycloptsError, UnusedCliTokensError

from opsin import __version__
from opsin.errors import CheckFailed, OpsinError

VERBS = {
    "demo": "Train on packaged images, score and report: the two-minute tour.",
    "train": "Train a classifier on a folder of images.",
    "predict": "Classify images.",
    "evaluate": "Score a model on labelled images.",
    "explain": "Show where in images a model's answers come from.",
    "check": "Explain images, and measure how faithful the maps are to the model.",
    "trace": "Open one number of a network down to its arithmetic.",
    "compare": "Where two models differ, and whether that is chance.",
    "studio": "Look into networks in the browser: what they see, how they learned.",
    "report": "Write a run's report as one HTML file.",
    "methods": "List methods of explanation, and which to begin with.",
    "models": "List networks with their size and speed.",
    "datasets": "List packaged and downloadable data.",
    "cache": "List or clear decoded images.",
}

app = App(
    name="opsin",
    help="Image classifiers you can see through.",
    version=__version__,
    help_format="plaintext",
    result_action="return_value",
)
for verb, line in VERBS.items():
    app.command(f"opsin.cli.{verb}:{verb}", name=verb, help=line)


def main(tokens: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 a check failed, 2 misuse."""
    try:
        code = app(tokens, exit_on_error=False, print_error=False, help_on_error=False)
        sys.stdout.flush()
    except CheckFailed as error:
        return _say(error, 1)
    except (OpsinError, CycloptsError) as error:
        return _say(error, 2)
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    except BrokenPipeError:
        # the reader went away (| head): what Python still holds for it at the end must not fail either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


def _say(what: object, code: int) -> int:
    text = " ".join(_message(what).split())
    print(f"opsin: {text}", file=sys.stderr)
    return code


def _message(what: object) -> str:
    """The one line of an error; a validation error inside a parser's error knows better what went wrong."""
    if isinstance(what, UnusedCliTokensError):
        extra = " ".join(what.unused_tokens or ())
        return f"{extra} belongs to no setting; a switch takes no value: --record or --no-record (see --help)"
    errors = getattr(getattr(what, "__cause__", None), "errors", None)  # pydantic is not imported for this
    details: Any = errors() if callable(errors) else None
    if details:
        first = details[0]
        name = str(first["loc"][-1]).replace("_", "-")
        return f"--{name} {first['input']!s} cannot be used: {first['msg'][0].lower()}{first['msg'][1:]}"
    return str(what)
