"""The recipe: nothing that was given is ignored silently, and everything round-trips."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsin.errors import OpsinError
from opsin.training.recipe import Recipe, read_settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "did you mean epochs"),
        ({"epochs": 0}, "epochs=0 cannot be used"),
        ({"lr": -1.0}, "lr=-1.0 cannot be used"),
        ({"schedule": "linear"}, "'constant', 'step', 'cosine' or 'one_cycle'"),
        ({"momentum": 0.5}, "needs optimizer=sgd"),
        ({"momentum": 0.9}, "needs optimizer=sgd"),
        ({"step_every": 3}, "needs schedule=step"),
        ({"focal_gamma": 1.0}, "needs loss=focal"),
        ({"loss": "focal", "label_smoothing": 0.1}, "needs loss=cross_entropy"),
        ({"trunk": "frozen", "flip": True}, "frozen trunk's features are cached"),
        ({"trunk": "frozen", "mixup": 0.2}, "frozen trunk's features are cached"),
        ({"fine_tune": 3}, "needs trunk=frozen"),
        ({"trunk": "frozen", "fine_tune_lr": 1e-4}, "needs fine_tune epochs"),
        ({"record": False, "record_every": 10}, "needs record=true"),
        ({"schedule": "constant", "warmup": 0.1}, "needs schedule=cosine or one_cycle"),
    ],
)
def test_a_setting_that_is_unknown_or_without_effect_is_an_error(settings, message):
    with pytest.raises(OpsinError, match=message) as error:
        Recipe(**settings)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd", "momentum": 0.5},
        {"schedule": "step", "step_every": 3},
        {"trunk": "frozen", "fine_tune": 2, "flip": True, "fine_tune_lr": 1e-4},
        {"momentum": 0.0},  # switched off: it is off
        {"trunk": "frozen", "flip": False},
    ],
)
def test_settings_that_have_their_effect_are_accepted(settings):
    recipe = Recipe(**settings)
    assert {name: getattr(recipe, name) for name in settings} == settings


def test_only_settings_in_effect_are_stored():
    stored = Recipe(epochs=3).in_effect()
    assert stored["lr"] == 0.003
    assert "momentum" not in stored
    assert "focal_gamma" not in stored
    assert "momentum" in Recipe(optimizer="sgd").in_effect()


def test_what_was_stored_is_a_recipe_that_repeats_the_run(tmp_path):
    recipe = Recipe(epochs=3, optimizer="sgd", crop=2, ema=0.99, layers=("conv1", "fc2"))
    (tmp_path / "run.json").write_text(json.dumps({"recipe": recipe.in_effect()}))
    again = Recipe.load(tmp_path)
    assert again.in_effect() == recipe.in_effect()
    assert Recipe.load(tmp_path / "run.json", epochs=5).epochs == 5


def test_toml(tmp_path):
    (tmp_path / "r.toml").write_text('epochs = 4\nlr = 0.01\nschedule = "cosine"\n')
    recipe = Recipe.load(tmp_path / "r.toml")
    assert (recipe.epochs, recipe.lr, recipe.schedule) == (4, 0.01, "cosine")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.toml", "epochs = = 4", "cannot read the recipe"),
        ("r.json", "[1]", "holds no settings"),
        ("r.json", "{", "not valid JSON"),
        ("r.yaml", "epochs: 4", "a recipe is a .toml or .json"),
        ("r.toml", "epoch = 4", "did you mean epochs"),
    ],
)
def test_bad_recipe_files(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(OpsinError, match=message):
        Recipe.load(tmp_path / name)


def test_missing_recipe_file(tmp_path):
    with pytest.raises(OpsinError, match="cannot read"):
        read_settings(tmp_path / "none.toml")


settings = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 500),
        "batch_size": st.integers(1, 4096),
        "lr": st.floats(1e-6, 10),
        "weight_decay": st.floats(0, 1),
        "clip": st.none() | st.floats(1e-3, 100),
        "ema": st.none() | st.floats(0.01, 0.9999),
        "label_smoothing": st.floats(0, 0.9),
        "crop": st.integers(0, 8),
        "rotate": st.floats(0, 180),
        "flip": st.booleans(),
        "early_stopping": st.none() | st.integers(1, 50),
        "schedule": st.sampled_from(["constant", "step", "cosine", "one_cycle"]),
        "optimizer": st.sampled_from(["sgd", "adam", "adamw"]),
    },
)


@given(settings)
def test_every_recipe_survives_json(values):
    recipe = Recipe(**values)
    again = Recipe(**json.loads(json.dumps(recipe.in_effect())))
    assert again.in_effect() == recipe.in_effect()
    assert recipe.replace().model_fields_set == set(values)
