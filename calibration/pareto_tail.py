"""The tail of a distribution: a generalised Pareto distribution of the excesses over a level, and whether it fits.

Above a high level the excesses of almost any distribution follow a generalised Pareto distribution (Balkema and de
Haan 1974, Pickands 1975). It is fitted as Zhang and Stephens do ("A new and efficient estimation method for the
generalized Pareto distribution", Technometrics 51, 2009), which needs no numerical search for a maximum. The fit is
tested by the Anderson-Darling statistic with a parametric bootstrap, because both parameters are fitted to the sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

MIN_EXCESSES = 8
"""Excesses that a fit of two parameters needs at least; a convention of this toolkit."""

_PRIOR = 3.0  # as Zhang and Stephens choose it
_BOOTSTRAP_ROUNDS = 199  # p-values in steps of 0.005, as (1 + farther) / 200


@dataclass(frozen=True)
class Pareto:
    """A generalised Pareto distribution of excesses.

    Attributes:
        shape: 0 is an exponential tail, above 0 a heavier one, below 0 a bounded one.
        scale: above 0, in the unit of the excesses.
    """

    shape: float
    scale: float

    def survival(self, excess: Values | float) -> Values:
        """Return the probability of a larger excess, for excesses of at least 0."""
        scaled = np.asarray(excess, dtype=np.float64) / self.scale
        if abs(self.shape) < 1e-9:
            return np.asarray(np.exp(-scaled))
        with np.errstate(divide="ignore"):  # beyond the end of a bounded tail
            return np.asarray(np.exp(-np.log1p(np.maximum(self.shape * scaled, -1.0)) / self.shape))

    def quantile(self, probability: Values) -> Values:
        """Return the quantiles of these probabilities, each below 1."""
        log = np.log1p(-probability)
        if abs(self.shape) < 1e-9:
            return np.asarray(-self.scale * log)
        return np.asarray(self.scale * np.expm1(-self.shape * log) / self.shape)


def fit(excesses: Values) -> Pareto | None:
    """Fit excesses above 0; None when they are too few, all equal, or too far apart for floating-point numbers.

    >>> sample = Pareto(shape=0.2, scale=3.0).quantile((np.arange(1000) + 0.5) / 1000)
    >>> found = fit(sample)
    >>> round(found.shape, 1), round(found.scale, 1)
    (0.2, 3.0)
    """
    size = len(excesses)
    if size < MIN_EXCESSES:
        return None
    rising = np.sort(excesses)
    largest = float(rising[-1])
    if not (rising[0] > 0 and np.isfinite(largest) and largest - rising[0] > 1e-6 * largest):
        return None
    rising = rising / largest
    quarter = rising[int(size / 4 + 0.5) - 1]
    candidates = 20 + int(np.sqrt(size))
    with np.errstate(all="ignore"):
        steps = np.arange(1, candidates + 1) - 0.5
        theta = 1.0 + (1 - np.sqrt(candidates / steps)) / (_PRIOR * quarter)
        theta = np.where(np.abs(theta) < 1e-9, 1e-9, theta)
        shapes = np.log1p(-theta[:, None] * rising).mean(axis=1)
        likelihood = size * (np.log(-theta / shapes) - shapes - 1)
        weights = np.exp(likelihood - np.fmax.reduce(likelihood))  # NaN where all are
        weights = np.where(np.isfinite(weights), weights, 0.0)
        best = float((theta * weights).sum() / weights.sum())
        shape = float(np.log1p(-best * rising).mean())
        scale = -shape / best * largest
    if not (np.isfinite(shape) and np.isfinite(scale) and scale > 0):
        return None
    return Pareto(shape, scale)


def fit_unbounded(excesses: Values) -> Pareto | None:
    """Fit as `fit`, but replace a bounded tail by an exponential one of the same mean.

    Shapes below 0 are mostly an accident of the sample, and say that nothing is ever much higher than the highest value
    of the sample. For extrapolation the exponential tail is the conservative choice.
    """
    found = fit(excesses)
    return Pareto(0.0, float(excesses.mean())) if found and found.shape < 0 else found


def anderson_darling(excesses: Values, pareto: Pareto) -> float:
    """Return the Anderson-Darling statistic A squared: the distance of the sample, with more weight on both ends."""
    size = len(excesses)
    above = np.clip(pareto.survival(np.sort(excesses)), 1e-12, 1 - 1e-12)
    weights = 2 * np.arange(1, size + 1) - 1
    return float(-size - (weights * (np.log1p(-above) + np.log(above[::-1]))).mean())


def goodness_of_fit(excesses: Values, pareto: Pareto, rng: np.random.Generator) -> float:
    """Return the p-value of a fit: how often samples of the fitted distribution are as far from their own fit."""
    observed = anderson_darling(excesses, pareto)
    farther = 0
    for _ in range(_BOOTSTRAP_ROUNDS):
        sample = np.maximum(pareto.quantile(rng.random(len(excesses))), 1e-12 * pareto.scale)
        own = fit(sample)
        farther += own is None or anderson_darling(sample, own) >= observed
    return (1 + farther) / (1 + _BOOTSTRAP_ROUNDS)
