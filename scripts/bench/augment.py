#!/usr/bin/env python3
"""What augmentation costs: each switch on batches of pictures, and each option beside a training step of the MNIST CNN.

Times are those of the CPU, so that other processes matter little: microseconds a sample, the least of 5 rounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

from nnkit.assemble import assemble, prepare
from nnkit.augment import Half, augmented, mixed, recipe_of
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.sections.augmentation import AugmentationConfig
from nnkit.spec import InputSpec
from nnkit.train.loop import learn
from nnkit.train.state import TrainState

SIZE, ROUNDS, REPEATS = 128, 5, 10
SHAPES = {"28x28 grey": (1, 28, 28), "32x32 colour": (3, 32, 32)}
SWITCHES: dict[str, dict[str, object]] = {
    "flip": {"flip": 0.5},
    "flip, crop": {"flip": 0.5, "crop": 4},
    "rotation, translate, zoom": {"rotation": 10.0, "translate": 0.1, "zoom": 0.1},
    "brightness, contrast": {"brightness": 0.2, "contrast": 0.2},
    "saturation, hue": {"saturation": 0.2, "hue": 0.1},
    "erasing": {"erasing": 0.5},
    "autoaugment": {"policy": "autoaugment"},
    "randaugment": {"policy": "randaugment"},
    "mixup": {"mixup": 0.2},
    "cutmix": {"cutmix": 1.0},
}


def main() -> int:
    torch.set_num_threads(1)
    for name, shape in SHAPES.items():
        x = torch.randn(SIZE, *shape)
        for switches, values in SWITCHES.items():
            spent = of_switches(x, AugmentationConfig(**values))  # type: ignore[arg-type]
            if spent is not None:
                print(f"{name:<14}{switches:<28}{spent:8.1f} us a sample", flush=True)
    plain = of_training("none")
    for option in ("none", "light", "standard", "strong"):
        spent = plain if option == "none" else of_training(option)
        speed = f"{spent:8.1f} us a sample, {1e6 / spent:8,.0f} samples/s, {spent / plain:.3f} times"
        print(f"training with augmentation={option:<10}{speed}", flush=True)
    return 0


def of_switches(x: torch.Tensor, section: AugmentationConfig) -> float | None:
    recipe = recipe_of(section, InputSpec("x", "image", tuple(x.shape[1:])), scale=((60.0,), (50.0,)), is_bytes=True)
    if recipe is None or set(section.switched_on) != set(recipe.section.switched_on):
        return None
    half = Half(torch.zeros(len(x), dtype=torch.int64), torch.ones(len(x)))

    def once(number: int) -> None:
        rng = np.random.default_rng(number)
        if section.mixes:
            mixed(section, (x,), half, rng)
        else:
            augmented(recipe, x, rng)

    return least(once)


def of_training(option: str) -> float:
    words = ["experiment=mnist_cnn", "data.limit=3000", f"augmentation={option}", "trainer.threads=1"]
    run = assemble(prepare(check(compose(words))), None)
    state = TrainState(1000, sums=run.metrics.zero(run.device))
    batches = list(run.train.epoch(0))[:REPEATS]
    run.model.train()

    def once(number: int) -> None:
        state.step = number
        learn(run, batches[number], state)

    return least(once)


def least(once: Callable[[int], None]) -> float:
    """Return microseconds of the CPU for a sample."""
    found = []
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        for number in range(REPEATS):
            once(number)
        found.append(time.process_time() - started)
    return min(found[1:]) / REPEATS / SIZE * 1e6


if __name__ == "__main__":
    sys.exit(main())
