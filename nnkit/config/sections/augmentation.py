"""Schema of the group `augmentation`: what is done to samples while training, drawn anew for each of them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, Literal, final

from pydantic import Field

from nnkit.config.marks import NonNegative, Override, Probability, WholeNumber

Chance = Annotated[float, Field(ge=0, le=1)]
Degrees = Annotated[float, Field(ge=0, le=180)]
HueShift = Annotated[float, Field(ge=0, le=0.5)]
Spread = Annotated[float, Field(ge=0, le=10)]
Alpha = Annotated[float, Field(ge=0, le=100)]

OF_COLOURS = ("saturation", "hue")  # of pictures with three channels
OF_BYTES = ("hue", "policy")  # of pictures whose values are 0 to 255
MIXING = ("mixup", "cutmix")
OF_IMAGES = (
    *("flip", "flip_vertical", "crop", "rotation", "translate", "zoom"),
    *("brightness", "contrast", "saturation", "hue", "erasing", "policy", "cutmix"),
)
OF_SERIES = ("jitter", "scaling", "window_crop")


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class AugmentationConfig:
    """Switches of pictures, of series, and mixup, which takes any numbers; a switch that is 0 (or none) is off."""

    flip: Override[Chance] = 0.0
    flip_vertical: Override[Chance] = 0.0
    crop: Override[WholeNumber] = 0
    rotation: Override[Degrees] = 0.0
    translate: Override[Probability] = 0.0
    zoom: Override[Probability] = 0.0
    brightness: Override[Spread] = 0.0
    contrast: Override[Spread] = 0.0
    saturation: Override[Spread] = 0.0
    hue: Override[HueShift] = 0.0
    erasing: Override[Chance] = 0.0
    policy: Override[Literal["none", "autoaugment", "randaugment"]] = "none"
    jitter: Override[NonNegative] = 0.0
    scaling: Override[NonNegative] = 0.0
    window_crop: Override[Probability] = 0.0
    mixup: Override[Alpha] = 0.0
    cutmix: Override[Alpha] = 0.0

    @property
    def switched_on(self) -> dict[str, float | str]:
        """The switches that are on, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value not in (0, "none")}

    @property
    def mixes(self) -> bool:
        """Whether samples are mixed with others of their step."""
        return bool(self.mixup or self.cutmix)
