"""Update rules on one flat tensor, with weight decay apart from the gradient in all of them.

The rules are torch.optim's; its fused kernels are called directly where there are such. `torch.optim` itself is not
used: making its first optimizer costs more than a second, and it steps parameter by parameter.
"""

# P elements in all

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from nnkit.config.sections.optimizer import (
    AdagradConfig,
    AdamConfig,
    NAdamConfig,
    OptimizerConfig,
    RMSpropConfig,
    SGDConfig,
)
from nnkit.optim.flat import FlatParameters, Stretch

State = dict[str, Tensor]
Rule = Callable[[Any, Tensor, Tensor, State, float], None]
# A larger rate is no float32 any more (some rules multiply it by up to 1.9), and none can train with this one.
LARGEST_RATE = torch.finfo(torch.float32).max / 2
COUNTS = ("step", "mu_product")  # of the state: not one number a parameter, but one a stretch


@final
@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of the parameters with its part of all else, as views; `weights` are what is decayed."""

    stretch: Stretch
    values: Tensor
    weights: Tensor
    grad: Tensor
    state: State


@final
class Optimizer:
    """One update rule, its settings, and its state.

    Attributes:
        state: tensors (P,), and counts: () where all parameters have one pace, else one number a stretch.
    """

    def __init__(self, parameters: FlatParameters, config: OptimizerConfig) -> None:
        """Take the parameters and the settings; the state starts as the rule's first step expects it."""
        self._parameters = parameters
        self._config = config
        self._rule, names = _RULES[type(config)]
        if not getattr(config, "momentum", True):
            names = tuple(name for name in names if name != "momentum")
        self.state: State = {name: _first_value(name, parameters) for name in names}
        self._parts = [self._part(number, stretch) for number, stretch in enumerate(parameters.stretches)]

    def _part(self, number: int, stretch: Stretch) -> _Part:
        values, grad = self._parameters.values, self._parameters.grad
        if len(self._parameters.stretches) == 1:
            return _Part(stretch, values, values[: stretch.decayed], grad, self.state)
        own = slice(stretch.start, stretch.stop)
        state = {name: x[number] if name in COUNTS else x[own] for name, x in self.state.items()}
        return _Part(stretch, values[own], values[stretch.start : stretch.decayed], grad[own], state)

    @property
    def param_groups(self) -> list[dict[str, list[Tensor]]]:
        """The flat parameters, in the form that torch's gradient scaler reads."""
        return [{"params": [self._parameters.values]}]

    @torch.no_grad()
    def step(self, factor: float = 1.0, epoch: int | None = None) -> None:
        """Update the parameters from their gradients.

        Args:
            factor: on the configured learning rate.
            epoch: from 0; what does not learn yet in it is left alone. None: all learns.
        """
        for part in self._parts:
            pace = part.stretch.pace
            if epoch is not None and epoch < pace.opens:
                continue
            lr = min(self._config.lr * factor * pace.factor, LARGEST_RATE)
            if self._config.weight_decay:
                part.weights.mul_(1 - lr * self._config.weight_decay)
            self._rule(self._config, part.values, part.grad, part.state, lr)

    def state_by_name(self) -> dict[str, dict[str, Tensor]]:
        """Return the state for saving: each (P,) tensor by parameter name, each count under the name "".

        Counts that differ from stretch to stretch stand under the names of their parameters.
        """
        return {
            key: self._counts(value) if key in COUNTS else self._parameters.by_name(value)
            for key, value in self.state.items()
        }

    def _counts(self, value: Tensor) -> dict[str, Tensor]:
        if not value.dim():
            return {"": value.clone()}
        pairs = zip(self._parameters.stretches, value, strict=True)
        return {name: count.clone() for stretch, count in pairs for name in stretch.names}

    def load(self, saved: dict[str, dict[str, Tensor]]) -> None:
        """Set the state from what `state_by_name` returned. Raises: KeyError where something is missing."""
        for key, value in self.state.items():
            if key not in COUNTS:
                self._parameters.fill(value, saved[key])
                continue
            counts = value.view(-1)
            for number, stretch in enumerate(self._parameters.stretches):
                counts[number].copy_(saved[key][""] if "" in saved[key] else saved[key][stretch.names[0]])


def _first_value(name: str, parameters: FlatParameters) -> Tensor:
    if name not in COUNTS:
        return torch.zeros_like(parameters.values)
    stretches = len(parameters.stretches)
    shape = () if stretches <= 1 else (stretches,)
    return torch.full(shape, float(name == "mu_product"), device=parameters.values.device)


def _sgd(config: SGDConfig, values: Tensor, grad: Tensor, state: State, lr: float) -> None:
    """Source: Sutskever et al. 2013, in torch.optim.SGD's form: v = m v + g, w = w - lr v."""
    if config.momentum:
        velocity = state["momentum"].mul_(config.momentum).add_(grad)
        grad = grad.add(velocity, alpha=config.momentum) if config.nesterov else velocity
    values.add_(grad, alpha=-lr)


def _adam(config: AdamConfig, values: Tensor, grad: Tensor, state: State, lr: float) -> None:
    """Source: Kingma & Ba 2015; weight decay has been done (Loshchilov & Hutter 2019)."""
    state["step"].add_(1)
    torch._fused_adam_(
        [values],
        [grad],
        [state["mean"]],
        [state["square"]],
        [],
        [state["step"]],
        lr=lr,
        beta1=config.beta1,
        beta2=config.beta2,
        weight_decay=0.0,
        eps=config.eps,
        amsgrad=False,
        maximize=False,
    )


def _nadam(config: NAdamConfig, values: Tensor, grad: Tensor, state: State, lr: float) -> None:
    """Source: Dozat 2016, with torch.optim.NAdam's schedule of the momentum."""
    state["step"].add_(1)
    step = float(state["step"])
    mu, mu_next = (config.beta1 * (1 - 0.5 * 0.96 ** (t * config.momentum_decay)) for t in (step, step + 1))
    product = float(state["mu_product"].mul_(mu))
    mean = state["mean"].lerp_(grad, 1 - config.beta1)
    square = state["square"].mul_(config.beta2).addcmul_(grad, grad, value=1 - config.beta2)
    size = (square / (1 - config.beta2**step)).sqrt_().add_(config.eps)
    values.addcdiv_(grad, size, value=-lr * (1 - mu) / (1 - product))
    values.addcdiv_(mean, size, value=-lr * mu_next / (1 - product * mu_next))


def _rmsprop(config: RMSpropConfig, values: Tensor, grad: Tensor, state: State, lr: float) -> None:
    """Source: Hinton 2012, lecture 6e, with torch.optim.RMSprop's momentum."""
    square = state["square"].mul_(config.alpha).addcmul_(grad, grad, value=1 - config.alpha)
    size = square.sqrt().add_(config.eps)
    if config.momentum:
        values.add_(state["momentum"].mul_(config.momentum).addcdiv_(grad, size), alpha=-lr)
    else:
        values.addcdiv_(grad, size, value=-lr)


def _adagrad(config: AdagradConfig, values: Tensor, grad: Tensor, state: State, lr: float) -> None:
    """Source: Duchi et al. 2011."""
    square = state["square"].addcmul_(grad, grad)
    values.addcdiv_(grad, square.sqrt().add_(config.eps), value=-lr)


_RULES: dict[type, tuple[Rule, tuple[str, ...]]] = {
    SGDConfig: (_sgd, ("momentum",)),
    AdamConfig: (_adam, ("mean", "square", "step")),
    NAdamConfig: (_nadam, ("mean", "square", "step", "mu_product")),
    RMSpropConfig: (_rmsprop, ("square", "momentum")),
    AdagradConfig: (_adagrad, ("square",)),
}
