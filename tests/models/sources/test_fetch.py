from __future__ import annotations

import threading
import urllib.error
import urllib.request

import pytest

from opsin.errors import OpsinError
from opsin.models.sources import fetch


class Answer:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def test_an_answer_counts_also_when_it_is_a_refusal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: Answer())
    assert fetch.why_unreachable("https://host.invalid/x") is None

    def refuse(request, timeout):
        raise urllib.error.HTTPError(request.full_url, 403, "no", None, None)  # type: ignore[arg-type]

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert fetch.why_unreachable("https://host.invalid/x") is None


@pytest.mark.parametrize("error", [urllib.error.URLError("name not known"), TimeoutError("name not known")])
def test_no_network_is_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch, error: Exception):
    def fail(request, timeout):
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(OpsinError, match=r"timm/x could not be fetched \(name not known\).*pretrained=False") as caught:
        fetch.require_reachable("https://host.invalid/x", "timm/x")
    assert "\n" not in str(caught.value)


def test_a_name_lookup_that_hangs_does_not_hold_the_caller(monkeypatch: pytest.MonkeyPatch):
    release = threading.Event()

    def hang(request, timeout):
        release.wait(30)
        return Answer()

    monkeypatch.setattr(urllib.request, "urlopen", hang)
    reason = fetch.why_unreachable("https://host.invalid/x", patience=-0.9)
    release.set()
    assert reason is not None
    assert reason.startswith("no answer")
