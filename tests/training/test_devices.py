"""Where to compute: what is there is taken, what is not is refused."""

import pytest
import torch

from opsin.errors import OpsinError
from opsin.training.devices import check_amp, resolve_device


def test_auto_takes_the_best_that_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "tpu:0"])
def test_what_is_not_there_is_refused(name):
    with pytest.raises(OpsinError, match=f"device '{name}' cannot be used here"):
        resolve_device(name)


def test_mixed_precision_is_refused_where_it_only_slows_down(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    with pytest.raises(OpsinError, match="amp=True would only slow training down"):
        check_amp(torch.device("cpu"))
    check_amp(torch.device("cuda"))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    check_amp(torch.device("cpu"))
