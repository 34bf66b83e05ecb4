"""The probability from which the second of two classes is predicted, chosen on validation rows."""

# N rows

from __future__ import annotations

import torch
from torch import Tensor


def best_threshold(probability: Tensor, target: Tensor, weight: Tensor, metric: str) -> float:
    """Return the threshold at which a metric is highest.

    Args:
        probability: (N,) of the second class.
        target: (N,) class numbers, 0 and 1.
        weight: (N,) >= 0.
        metric: accuracy, balanced_accuracy, or f1 of the second class.

    Returns:
        A number in (0, 1), half-way between two neighbouring probabilities; of equally good ones that nearest to 0.5.
        0.5 where the rows are of one class.

    Source: every cut between two sorted scores, as in a ROC curve (Fawcett 2006).
    """
    p, order = probability.double().cpu().sort(descending=True)
    is_second, w = target.cpu()[order].double(), weight.double().cpu()[order]
    positives, negatives = (w * is_second).sum(), (w * (1 - is_second)).sum()
    if positives == 0 or negatives == 0:
        return 0.5
    zero = torch.zeros(1, dtype=torch.float64)
    true = torch.cat([zero, (w * is_second).cumsum(0)])  # predicted second and right, for a cut behind the k-th row
    false = torch.cat([zero, (w * (1 - is_second)).cumsum(0)])
    scores = {
        "accuracy": (true + negatives - false) / (positives + negatives),
        "balanced_accuracy": (true / positives + (negatives - false) / negatives) / 2,
        "f1": 2 * true / (true + false + positives),
    }[metric]
    edges = torch.cat([torch.ones(1, dtype=torch.float64), p, zero])
    cuts = ((edges[:-1] + edges[1:]) / 2).clamp(1e-9, 1 - 1e-9)
    is_cut = edges[:-1] > edges[1:]  # none between equal probabilities
    best = is_cut & (scores >= scores[is_cut].max() - 1e-12)
    return float(cuts[best][(cuts[best] - 0.5).abs().argmin()])
