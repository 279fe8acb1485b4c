"""Training end to end on real digits: what it reaches, what it leaves behind, what it refuses."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import opsin
from opsin.errors import CheckFailed, OpsinError
from opsin.training.choose import choose
from opsin.training.train import free_folder
from opsin.training.view import Lines, Quiet


def small(digits, **settings):
    settings = {"epochs": 1, "batch_size": 256, "embeddings": 50, **settings}
    if settings.get("record", True):
        settings.setdefault("record_every", 5)
    return opsin.build_model("lenet5", classes=digits.classes, channels=1, size=28, seed=0), opsin.Recipe(**settings)


def test_it_learns_real_digits(digits_run):
    assert digits_run.status == "finished"
    assert digits_run.scores.images == 1000
    assert digits_run.scores.accuracy > 0.955
    beaten = {baseline.name: baseline.accuracy for baseline in digits_run.scores.baselines}
    assert len(beaten) == 3
    assert digits_run.scores.accuracy > max(beaten.values())


def test_with_shuffled_labels_it_learns_nothing(digits, tmp_path, monkeypatch):
    """The planted fault: were the accuracy above read off anything but the images, this would pass it too."""
    model, recipe = small(digits, record=False)
    rng = np.random.default_rng(0)
    monkeypatch.setattr(digits, "labels", rng.permutation(digits.labels))
    run = opsin.train(model, digits, recipe, out=tmp_path / "run", view=Quiet())
    assert run.scores.accuracy < 0.3


def test_the_run_folder_holds_what_it_should(digits_run, digits):
    info = digits_run.info
    assert info["classes"] == list(digits.classes)
    assert info["data"]["fingerprint"] == digits.fingerprint
    assert info["recipe"]["rotate"] == 10
    assert "momentum" not in info["recipe"]
    steps = digits_run.snapshot_steps
    assert steps[0] == 0
    assert steps[1] == 20
    assert steps[-1] == digits_run.steps[-1]["step"]
    snapshot = digits_run.snapshot(20)
    assert set(snapshot.gradients_label) == set(snapshot.activations)
    assert snapshot.probabilities.shape == (16, 10)
    assert sorted(np.bincount(digits_run.probe.labels, minlength=10)) == [1] * 4 + [2] * 6
    assert digits_run.embedding_epochs == [0, 1, 2, 3]
    assert digits_run.embeddings(3).features.shape[1] == 128
    assert digits_run.loss_epochs == [1, 2, 3]
    assert np.isfinite(digits_run.losses(1)).all()
    assert digits_run.batch.images.dtype == np.uint8
    assert [line["epoch"] for line in digits_run.epochs] == [1, 2, 3]
    assert np.sum(digits_run.epochs[0]["confusion"]) == len(digits.validation)
    answers = digits_run.predictions()
    assert set(answers) == {"validation", "test"}
    assert answers["test"].hashes == list(digits.test.hashes)


def test_the_probe_is_validation_only(digits_run, digits):
    assert set(digits_run.probe.indices) <= set(digits.validation.indices)


def test_scores_of_the_run_are_those_of_the_loaded_model(digits_run, digits):
    again = opsin.evaluate(opsin.load_model(digits_run.path), digits, baselines=False)
    assert again.accuracy == digits_run.scores.accuracy
    answers = digits_run.predictions()["test"]
    assert np.mean(answers.probabilities.argmax(1) == answers.label) == pytest.approx(again.accuracy)


def test_a_finished_run_is_a_recipe_that_repeats_itself(digits, tmp_path):
    model, recipe = small(digits, crop=2, dropout=None, ema=0.9, mixup=0.2, clip=1.0, accumulate=2)
    first = opsin.train(model, digits, recipe, out=tmp_path / "a", view=Quiet())
    model, _ = small(digits)
    second = opsin.train(model, digits, opsin.Recipe.load(first.path), out=tmp_path / "b", view=Quiet())
    for name in ("best", "last"):
        a, b = (run.path / "weights" / f"{name}.safetensors" for run in (first, second))
        assert a.read_bytes() == b.read_bytes()


def test_the_callers_random_state_is_untouched(digits, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    model, recipe = small(digits, record=False)
    opsin.train(model, digits, recipe, out=tmp_path / "run", view=Quiet())
    assert torch.equal(torch.rand(1), expected)


def test_an_existing_folder_is_not_overwritten(digits, digits_run):
    model, recipe = small(digits)
    before = (digits_run.path / "run.json").read_bytes()
    with pytest.raises(OpsinError, match="exists; choose another --out, or give --resume"):
        opsin.train(model, digits, recipe, out=digits_run.path, view=Quiet())
    assert (digits_run.path / "run.json").read_bytes() == before


def test_free_folder_counts_on(tmp_path):
    assert free_folder(tmp_path / "digits") == tmp_path / "digits"
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits-2").mkdir()
    assert free_folder(tmp_path / "digits") == tmp_path / "digits-3"


def test_a_folder_that_cannot_be_written_to(digits, tmp_path):
    (tmp_path / "file").write_text("")
    model, recipe = small(digits)
    with pytest.raises(OpsinError, match=r"cannot write|exists"):
        opsin.train(model, digits, recipe, out=tmp_path / "file" / "run", view=Quiet())


class Exploding(nn.Module):
    """Gives NaN from its second layer on after some batches."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.first = nn.Flatten()
        self.second = nn.Linear(784, 10)
        self.left = after

    def forward(self, x):
        x = self.second(self.first(x))
        if self.training:
            self.left -= 1
        return x * float("nan") if self.left < 0 else x


def test_a_nan_stops_the_run_names_the_place_and_keeps_the_last_good_weights(digits, tmp_path):
    model = opsin.Classifier(Exploding(3), classes=digits.classes, preprocess=opsin.Preprocess.simple(1, 28))
    _, recipe = small(digits)
    with pytest.raises(CheckFailed, match=r"loss became nan at step 3 \(epoch 1, batch 4.*last good weights") as error:
        opsin.train(model, digits, recipe, out=tmp_path / "run", view=Quiet())
    assert "\n" not in str(error.value)
    run = opsin.Run(tmp_path / "run")
    assert run.status == "failed"
    weights = run.path / "weights" / "last.safetensors"
    assert weights.exists()
    bad = opsin.Classifier(Exploding(99), classes=digits.classes, preprocess=opsin.Preprocess.simple(1, 28))
    bad.module.second.weight.data[0, 0] = float("inf")
    with pytest.raises(CheckFailed, match=r"the weights second\.weight"):
        opsin.train(bad, digits, recipe, out=tmp_path / "run2", view=Quiet())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 0.5}, "has no dropout layer"),
        ({"optimizer": "sdg"}, "sdg"),
        ({"device": "cuda:77"}, "device 'cuda:77' cannot be used"),
        ({"layers": ("nope",)}, "layer 'nope' cannot be recorded"),
        ({"transform": "nowhere:fn"}, "nowhere"),
    ],
)
def test_what_the_network_or_the_machine_cannot_do_is_refused(digits, tmp_path, settings, message):
    model, recipe = small(digits, **settings)
    with pytest.raises(OpsinError, match=message):
        opsin.train(model, digits, recipe, out=tmp_path / "run", view=Quiet())


def test_a_model_of_other_classes_is_refused(digits, tmp_path):
    model = opsin.build_model("lenet5", classes=["a", "b"], channels=1, size=28)
    with pytest.raises(OpsinError, match=r"build the model with classes=data\.classes"):
        opsin.train(model, digits, opsin.Recipe(), out=tmp_path / "run", view=Quiet())
    bare = opsin.Classifier(nn.Linear(1, 10), classes=digits.classes)
    with pytest.raises(OpsinError, match="no Preprocess"):
        opsin.train(bare, digits, opsin.Recipe(), out=tmp_path / "run", view=Quiet())


def test_early_stopping_stops(digits, tmp_path, capsys):
    model, recipe = small(digits, epochs=30, lr=1e-9, schedule="constant", early_stopping=2, record=False)
    run = opsin.train(model, digits, recipe, out=tmp_path / "run", view=Lines())
    assert len(run.epochs) == 3
    assert "stopped early" in capsys.readouterr().err


def test_only_a_folder_is_needed(picture_folder, tmp_path):
    """A frozen trunk that knows photographs tells three photographs' crops apart."""
    run = opsin.train(None, picture_folder, out=tmp_path / "run", view=Quiet())
    assert run.status == "finished"
    assert run.info["choices"]
    if run.scores:
        assert run.scores.accuracy > 0.6
    run.dataset()


def test_choices_follow_the_images_and_what_was_given_stands(digits):
    plan = choose(digits)
    assert (plan.model, plan.size, plan.recipe.batch_size) == ("seed_cnn", (28, 28), 64)
    assert plan.reasons
    given = choose(digits, opsin.Recipe(epochs=3, batch_size=7), model="lenet5")
    assert (given.model, given.recipe.epochs, given.recipe.batch_size) == ("lenet5", 3, 7)
    focal = choose(digits, opsin.Recipe(loss="focal"))
    assert focal.recipe.label_smoothing == 0


def test_a_wrapped_module_trains_and_loads_into_its_like(digits, tmp_path):
    def make():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 144, 10))

    model = opsin.Classifier(make(), classes=digits.classes, preprocess=opsin.Preprocess.simple(1, 28))
    _, recipe = small(digits, epochs=2)
    run = opsin.train(model, digits, recipe, out=tmp_path / "run", view=Quiet())
    loaded = opsin.load_model(run.path, module=make())
    batch = torch.randn(3, 1, 28, 28)
    # training lays the weights out channels last, where sums run in another order
    torch.testing.assert_close(loaded.logits(batch), model.logits(batch), rtol=1e-5, atol=1e-5)
    for name, tensor in model.module.state_dict().items():
        assert torch.equal(loaded.module.state_dict()[name], tensor)


def test_fine_tuning_follows_a_frozen_trunk(digits, tmp_path):
    model, _ = small(digits)
    trunk = model.module.conv1.weight.detach().clone() if hasattr(model.module, "conv1") else None
    recipe = opsin.Recipe(trunk="frozen", epochs=1, fine_tune=1, batch_size=256, record_every=10, embeddings=50)
    run = opsin.train(model, digits, recipe, out=tmp_path / "run", view=Quiet())
    assert [line["epoch"] for line in run.epochs] == [1, 2]
    assert trunk is not None
    frozen_only = opsin.Recipe(trunk="frozen", epochs=1, batch_size=256, record=False)
    model, _ = small(digits)
    opsin.train(model, digits, frozen_only, out=tmp_path / "run2", view=Quiet())
    assert torch.equal(model.module.conv1.weight, trunk)


def test_json_lines_are_strict(digits_run):
    for name in ("steps.jsonl", "epochs.jsonl"):
        for line in (digits_run.path / name).read_text().splitlines():
            json.loads(line, parse_constant=lambda value: pytest.fail(f"{value} is no JSON"))
