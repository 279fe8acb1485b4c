from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from opsin.errors import OpsinError
from opsin.models.build import build_model
from opsin.models.sources import fetch, timm_networks


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "why_unreachable", lambda *_: "no network")


def test_its_own_size_is_taken_when_none_is_asked_for():
    assert build_model("timm/mobilenetv3_small_050", 3).options["size"] == [224, 224]


def test_a_vision_transformer_is_built_for_the_size():
    model = build_model("timm/vit_tiny_patch16_224", 3, size=(32, 48))
    assert model.module.pos_embed.shape[1] == 2 * 3 + 1
    assert model.logits(torch.zeros(1, 3, 32, 48)).shape == (1, 3)


def test_pretrained_without_a_network_stops_at_once(offline: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timm_networks, "_cached", lambda *_: None)
    with pytest.raises(OpsinError, match=r"timm/resnet18 could not be fetched \(no network\)") as caught:
        build_model("timm/resnet18", 3, pretrained=True)
    assert "\n" not in str(caught.value)


def test_a_download_that_breaks_off_is_reported(monkeypatch: pytest.MonkeyPatch):
    def fail(name, **arguments):
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(timm, "create_model", fail)
    monkeypatch.setattr(fetch, "why_unreachable", lambda *_: None)
    monkeypatch.setattr(timm_networks, "_cached", lambda *_: None)
    with pytest.raises(OpsinError, match=r"could not be fetched \(reset by peer\)"):
        build_model("timm/resnet18", 3, pretrained=True)


def test_a_name_without_weights_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timm, "get_pretrained_cfg", lambda *_: None)
    with pytest.raises(OpsinError, match="has no pretrained weights"):
        build_model("timm/resnet18", 3, pretrained=True)


def test_cached_weights_are_used_without_asking_the_network(
    offline: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    torch.manual_seed(0)
    stored = timm.create_model("mobilenetv3_small_050")
    save_file(stored.state_dict(), tmp_path / "model.safetensors")
    monkeypatch.setattr(timm_networks, "_cached", lambda *_: tmp_path / "model.safetensors")
    model = build_model("timm/mobilenetv3_small_050", pretrained=True)
    assert len(model.classes) == 1000
    assert torch.equal(model.module.classifier.weight, stored.classifier.weight)
    config = stored.pretrained_cfg
    assert model.preprocess.mean == pytest.approx(config["mean"])
    assert model.preprocess.crop == config["crop_pct"]
    assert model.preprocess.interpolation == config["interpolation"]
    own = build_model("timm/mobilenetv3_small_050", ["a", "b"], channels=1, size=64, pretrained=True)
    assert own.classes == ("a", "b")
    torch.testing.assert_close(
        own.module.conv_stem.weight, stored.conv_stem.weight.sum(1, keepdim=True), atol=1e-5, rtol=1e-5
    )
    assert (own.preprocess.height, own.preprocess.mode) == (64, "L")
