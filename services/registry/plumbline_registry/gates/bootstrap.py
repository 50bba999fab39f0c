"""How sure one can be that one bundle finds keypoints as well as another, from the same pictures."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from plumbline_contract.evaluation import EvaluationRecord, Ranking

DRAWS: Final = 1000
_LOW_PERCENTILE: Final = 5.0


class PairedDifference(NamedTuple):
    """AP of the candidate minus AP of the current bundle."""

    measured: float
    at_least: float
    """Lower end of the one-sided 95% interval."""


def paired_difference(candidate: EvaluationRecord, current: EvaluationRecord, draws: int = DRAWS) -> PairedDifference:
    """Percentile bootstrap over pictures, the same draw for both, so that hard pictures weigh on both alike.

    Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. Both must be of the same pictures.
    """
    new, old = Ranking(candidate), Ranking(current)
    generator = np.random.default_rng(0)
    pictures = len(candidate.pictures)
    differences = np.empty(draws)
    for draw in range(draws):
        weights_I = np.bincount(generator.integers(0, pictures, pictures), minlength=pictures)
        differences[draw] = new.average_precision(weights_I) - old.average_precision(weights_I)
    measured = new.average_precision() - old.average_precision()
    return PairedDifference(measured, float(np.percentile(differences, _LOW_PERCENTILE)))
