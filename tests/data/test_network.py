from __future__ import annotations

import threading
import urllib.error
import urllib.request

import pytest

from opsin.data import network


class Answer:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def test_an_answer_counts_also_when_it_is_a_refusal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Answer())
    assert network.why_unreachable("https://host.invalid/x") is None

    def refuse(request, timeout):
        raise urllib.error.HTTPError(request.full_url, 403, "no", None, None)  # type: ignore[arg-type]

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert network.why_unreachable("https://host.invalid/x") is None


def test_a_name_lookup_that_hangs_does_not_hold_the_caller(monkeypatch: pytest.MonkeyPatch):
    release = threading.Event()

    def hang(request, timeout):
        release.wait(30)
        return Answer()

    monkeypatch.setattr(urllib.request, "urlopen", hang)
    reason = network.why_unreachable("https://host.invalid/x", patience=-0.9)
    release.set()
    assert reason is not None
    assert reason.startswith("no answer")
