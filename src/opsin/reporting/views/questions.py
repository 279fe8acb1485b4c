"""Every question that a view can ask, and who answers it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from opsin.errors import OpsinError
from opsin.inference.answers import Progress
from opsin.reporting.views import (
    channel,
    classes,
    compare,
    evidence,
    film,
    filters,
    flow,
    overview,
    response,
    space,
    why,
)
from opsin.reporting.views.subject import Subject

AnswerFunction = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Question:
    """Who answers, and whether that may take longer than a person waits: slow ones can be cancelled and must not hold
    up others.

    `answer(subject, *, progress, ...)` returns plain values, NumPy arrays and Pictures (see `wire.pack`); its other
    parameters are the question's arguments.
    """

    answer: AnswerFunction
    slow: bool = False


QUESTIONS: Mapping[str, Question] = {
    "subject": Question(overview.subject),
    "images": Question(overview.images),
    "thumbnails": Question(overview.thumbnails),
    "steps": Question(film.steps),
    "probe": Question(film.probe),
    "snapshot": Question(film.snapshot),
    "filters": Question(filters.filters),
    "gabor": Question(filters.gabor, slow=True),
    "spaces": Question(space.spaces),
    "space": Question(space.space),
    "layout": Question(space.layout, slow=True),
    "classes": Question(classes.classes),
    "curves": Question(classes.curves),
    "gallery": Question(classes.gallery),
    "others": Question(compare.others),
    "compare": Question(compare.compare, slow=True),
    "compare_maps": Question(compare.compare_maps, slow=True),
    "methods": Question(why.methods),
    "answers": Question(why.answers),
    "why": Question(why.why),
    "explain": Question(why.explain, slow=True),
    "evidence": Question(evidence.evidence),
    "check": Question(evidence.check, slow=True),
    "channel": Question(channel.channel),
    "top_images": Question(channel.top_images, slow=True),
    "dream": Question(channel.dream, slow=True),
    "put": Question(flow.put),
    "input": Question(flow.input),
    "graph": Question(flow.graph),
    "maps": Question(flow.maps),
    "trace": Question(flow.trace),
    "fields": Question(flow.fields),
    "response": Question(response.response, slow=True),
}


def answer(
    subject: Subject, question: str, args: Mapping[str, Any], progress: Progress | None = None
) -> dict[str, Any]:
    """Answer a question.

    Args:
        subject: what is looked at.
        question: a name in QUESTIONS.
        args: its arguments, as `wire.unpack` gives them.
        progress: told what is done, how much, and of how much.

    Raises:
        OpsinError: there is no such question, an argument is unknown, missing or of the wrong type, or there is no
            answer.
    """
    if question not in QUESTIONS:
        raise OpsinError(f"{question!r} was asked; expected one of {', '.join(QUESTIONS)}")
    function = QUESTIONS[question].answer
    try:
        checked = _arguments(function).model_validate(dict(args))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise OpsinError(f"{question} was asked with {where}: {first['msg'][0].lower()}{first['msg'][1:]}") from error
    named = {name: getattr(checked, name) for name in type(checked).model_fields}
    return function(subject, progress=progress or _silent, **named)


@cache
def _arguments(function: AnswerFunction) -> type[BaseModel]:
    """The arguments of an answer function as a Pydantic model, from its signature."""
    hints = get_type_hints(function, include_extras=True)  # with the bounds of numbers
    fields: dict[str, Any] = {
        name: (hints[name], ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in ("subject", "progress")
    }
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)
    return create_model(function.__name__, __config__=config, **fields)


def _silent(_what: str, _done: int, _total: int) -> None:
    pass
