"""Which layers of a network are its head: those that are made for the data's classes."""

from __future__ import annotations

from torch import nn

HEAD = ("output", "dense")  # what the last layers of our own networks are called


def head_of(model: nn.Module) -> frozenset[str]:
    """Return the names of the parameters of a network's last layers, which are made for the data's classes."""
    heads = getattr(model, "head_names", HEAD)  # those of torchvision's networks differ
    return frozenset(name for name, _ in model.named_parameters() if any(f".{head}." in f".{name}" for head in heads))
