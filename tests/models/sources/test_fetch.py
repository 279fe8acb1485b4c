from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from opsin.errors import OpsinError
from opsin.models.sources import fetch


@pytest.mark.parametrize("error", [urllib.error.URLError("name not known"), TimeoutError("name not known")])
def test_no_network_is_one_line_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch, error: Exception):
    def fail(request, timeout):
        raise error

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(OpsinError, match=r"timm/x could not be fetched \(name not known\).*pretrained=False") as caught:
        fetch.require_reachable("https://host.invalid/x", "timm/x")
    assert "\n" not in str(caught.value)
