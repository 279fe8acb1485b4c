"""The Recipe: everything that is asked of a training run. No PyTorch here, so that the command line starts quickly."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opsin.errors import OpsinError, did_you_mean
from opsin.files import read_json

SGD_FAMILY = ("sgd", "momentum", "nesterov")
DEFAULT_LR = {"sgd": 0.1, "adam": 1e-3, "adamw": 3e-3}
AUGMENTATIONS = (
    "flip", "vertical_flip", "crop", "resized_crop", "rotate", "translate", "scale", "shear", "colour_jitter",
    "cutout", "randaugment", "transform",
)  # fmt: skip


class Settings(BaseModel):
    """The settings of a Recipe, each within its range, not yet held against one another.

    Every field is a flag of `opsin train`. Shares lie in 0..1, angles are degrees, distances are pixels of the
    network's input.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(10, ge=1, description="passes over the training images")
    batch_size: int = Field(64, ge=1, description="images per optimiser step, before accumulation")
    seed: int = Field(0, ge=0, lt=2**32, description="decides initial weights, order and every random draw")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")
    engine: Literal["torch", "scratch"] = Field("torch", description="scratch: layers in NumPy, see opsin.scratch")

    optimizer: str = Field("adamw", description="sgd, adam, adamw or any name of timm.optim")
    lr: float | None = Field(None, gt=0, description="peak learning rate; by default .003 adamw, .001 adam, .1 sgd")
    momentum: float = Field(0.9, ge=0, lt=1, description="of sgd (Nesterov)")
    weight_decay: float = Field(0.01, ge=0, description="of weights; biases and norms are left alone")
    schedule: Literal["constant", "step", "cosine", "one_cycle"] = "one_cycle"
    warmup: float = Field(0.25, ge=0, lt=1, description="share of all steps over which the rate rises")
    step_every: int = Field(5, ge=1, description="epochs between two drops of schedule step")
    step_gamma: float = Field(0.7, gt=0, le=1, description="factor of each drop of schedule step")
    clip: float | None = Field(None, gt=0, description="largest gradient norm over all weights")
    accumulate: int = Field(1, ge=1, description="batches whose gradients are summed into one step")
    ema: float | None = Field(None, gt=0, lt=1, description="decay of the moving average of the weights")

    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    focal_gamma: float = Field(2.0, ge=0, description="of loss focal (Lin et al. 2017)")
    class_weights: Literal["none", "balanced"] = Field("none", description="weights of classes in the loss")
    balanced_sampling: bool = Field(False, description="draw every class equally often")
    dropout: float | None = Field(None, ge=0, lt=1, description="probability of the network's dropout layers")
    mixup: float = Field(0.0, ge=0, description="alpha of the Beta distribution (Zhang et al. 2018)")
    cutmix: float = Field(0.0, ge=0, description="alpha of the Beta distribution (Yun et al. 2019)")

    flip: bool = Field(False, description="mirror left and right, every other image")
    vertical_flip: bool = Field(False, description="mirror top and bottom, every other image")
    crop: int = Field(0, ge=0, description="pad by so many pixels, then crop at random")
    resized_crop: float | None = Field(None, gt=0, le=1, description="smallest share of the area that a crop keeps")
    rotate: float = Field(0.0, ge=0, le=180, description="largest angle in degrees")
    translate: float = Field(0.0, ge=0, lt=1, description="largest shift as a share of the side")
    scale: float = Field(0.0, ge=0, lt=1, description="largest change of scale: .1 draws from .9 to 1.1")
    shear: float = Field(0.0, ge=0, lt=90, description="largest angle in degrees")
    colour_jitter: float = Field(0.0, ge=0, le=1, description="strength of brightness, contrast and saturation")
    cutout: int = Field(0, ge=0, description="side in pixels of a square that is blanked")
    randaugment: int = Field(0, ge=0, le=30, description="magnitude of torchvision's RandAugment")
    transform: str | None = Field(None, description="module:function of your own transform")

    trunk: Literal["train", "frozen"] = Field("train", description="frozen: train the last layer on cached features")
    fine_tune: int = Field(0, ge=0, description="epochs of training everything after a frozen trunk")
    fine_tune_lr: float = Field(3e-4, gt=0, description="peak learning rate of these epochs")
    early_stopping: int | None = Field(None, ge=1, description="stop after so many epochs without a better one")
    select: Literal["accuracy", "loss"] = Field(
        "accuracy", description="what the best weights are best at, on validation"
    )
    amp: bool = Field(False, description="mixed precision")
    channels_last: bool = Field(True, description="memory layout of images")

    record: bool = Field(True, description="snapshots of the inside of the network")
    record_every: int = Field(100, ge=1, description="steps between two snapshots")
    probe: int = Field(16, ge=1, le=256, description="how many images are watched")
    layers: tuple[str, ...] | None = Field(None, description="layers to record; chosen by itself when not given")
    embeddings: int = Field(2000, ge=0, description="how many validation images are embedded after each epoch")


class Recipe(Settings):
    """How a network is trained: `Settings` that make sense together.

    A setting that was given and is unknown, or that has no effect together with the others, is an error: nothing is
    ignored silently.

    Raises:
        OpsinError: a setting is unknown, out of range or without effect.
    """

    NEEDS: ClassVar[Mapping[str, Need]]

    def __init__(self, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise OpsinError(_one_line(error, settings)) from None
        self._refuse_settings_without_effect()

    @classmethod
    def load(cls, path: str | Path, **overrides: Any) -> Recipe:
        """Read a recipe from a TOML or JSON file, or from a finished run's `run.json`; `overrides` win.

        Raises:
            OpsinError: the file is missing or malformed, or holds a setting that is wrong.
        """
        return cls(**{**read_settings(path), **overrides})

    def replace(self, **changes: Any) -> Recipe:
        """A copy with some settings changed; what was given stays given."""
        return Recipe(**{**self.model_dump(include=self.model_fields_set), **changes})

    @property
    def peak_lr(self) -> float:
        """The learning rate in effect: the given one, or the optimiser's usual one."""
        return self.lr if self.lr is not None else DEFAULT_LR.get(self.optimizer, 1e-3)

    @property
    def augmented(self) -> bool:
        """Whether training images are changed at random before the network sees them."""
        return any(getattr(self, name) not in (None, 0, False) for name in AUGMENTATIONS)

    def in_effect(self) -> dict[str, Any]:
        """The settings that have an effect with the others, resolved, as plain values: what is printed and stored."""
        settings = self.model_dump(mode="json")
        settings["lr"] = self.peak_lr
        return {
            name: value
            for name, value in settings.items()
            if value is not None and (name not in self.NEEDS or self.NEEDS[name].met(self))
        }

    def _refuse_settings_without_effect(self) -> None:
        for name in sorted(self.model_fields_set):
            need = self.NEEDS.get(name)
            switched_off = getattr(self, name) in (None, 0, False)
            if need and not switched_off and not need.met(self):
                raise OpsinError(
                    f"{name}={getattr(self, name)} has no effect here: it needs {need.text}; give that or leave "
                    f"{name} out"
                )


class Need(NamedTuple):
    """When a setting has an effect, and how that is said."""

    met: Callable[[Recipe], bool]
    text: str


def _trains_pixels(recipe: Recipe) -> bool:
    return recipe.trunk == "train" or recipe.fine_tune > 0


_PIXELS = Need(_trains_pixels, "trunk=train or fine_tune epochs (a frozen trunk's features are cached)")
Recipe.NEEDS = {
    "momentum": Need(lambda recipe: recipe.optimizer in SGD_FAMILY, "optimizer=sgd"),
    "warmup": Need(lambda recipe: recipe.schedule in ("cosine", "one_cycle"), "schedule=cosine or one_cycle"),
    "step_every": Need(lambda recipe: recipe.schedule == "step", "schedule=step"),
    "step_gamma": Need(lambda recipe: recipe.schedule == "step", "schedule=step"),
    "label_smoothing": Need(lambda recipe: recipe.loss == "cross_entropy", "loss=cross_entropy"),
    "focal_gamma": Need(lambda recipe: recipe.loss == "focal", "loss=focal"),
    "fine_tune": Need(lambda recipe: recipe.trunk == "frozen", "trunk=frozen"),
    "fine_tune_lr": Need(lambda recipe: recipe.trunk == "frozen" and recipe.fine_tune > 0, "fine_tune epochs"),
    "record_every": Need(lambda recipe: recipe.record, "record=true"),
    "layers": Need(lambda recipe: recipe.record, "record=true"),
    "probe": Need(lambda recipe: recipe.record, "record=true"),
    "amp": Need(lambda recipe: recipe.engine == "torch", "engine=torch"),
    "channels_last": Need(lambda recipe: recipe.engine == "torch", "engine=torch"),
    **dict.fromkeys((*AUGMENTATIONS, "mixup", "cutmix"), _PIXELS),
}  # fmt: skip


def read_settings(path: str | Path) -> dict[str, Any]:
    """The settings that a TOML or JSON file (or a `run.json`, or the run folder) holds.

    Raises:
        OpsinError: the file is missing, malformed or of another kind.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "run.json"
    if path.suffix == ".json":
        values = read_json(path)
        values = values.get("recipe", values) if isinstance(values, dict) else values
    elif path.suffix == ".toml":
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise OpsinError(f"cannot read the recipe {path}: {error}") from error
    else:
        raise OpsinError(f"a recipe is a .toml or .json file or a run folder, not {path}")
    if not isinstance(values, dict):
        raise OpsinError(f"{path} holds no settings; expected lines such as epochs = 10")
    return values


def _one_line(error: ValidationError, settings: Mapping[str, Any]) -> str:
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"][:1])) or "recipe"
    if first["type"] == "extra_forbidden":
        near = did_you_mean(name, list(Recipe.model_fields))
        return f"unknown setting {name}={settings.get(name)!r}{near}; see opsin train --help for the settings"
    return f"{name}={settings.get(name)!r} cannot be used: {first['msg'][0].lower()}{first['msg'][1:]}"
