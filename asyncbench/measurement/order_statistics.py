"""Between which ranks of a sorted sample a quantile lies, whatever the distribution."""

from __future__ import annotations

from math import ceil, log, sqrt

from scipy.special import bdtr, ndtri


def smallest_sample(ratio: float, confidence: float) -> int:
    """Return the smallest n in which the shortest and the longest value enclose the quantile with that confidence."""
    return ceil(log((1 - confidence) / 2) / log(max(ratio, 1 - ratio)))


def interval_ranks(n: int, ratio: float, confidence: float) -> tuple[float, float]:
    """Return the fractional ranks, each 1 to n, between which the `ratio` quantile lies with that confidence.

    Whole ranks can only give an interval that covers too often. The fraction between two neighbours is chosen so that
    each end misses the quantile in `(1 - confidence) / 2` of all samples, where the density is even between them.

    Args:
        n: Sample size, at least `smallest_sample(ratio, confidence)`.
        ratio: Which quantile, between 0 and 1.
        confidence: Two-sided, between 0 and 1.

    Sources: Hettmansperger and Sheather, Stat. Probab. Lett. 4 (1986), for the median; Nyblom, "Note on interpolated
    order statistics", Stat. Probab. Lett. 14 (1992), for any quantile.
    """
    tail = (1 - confidence) / 2
    return _rank_above(tail, n, ratio), _rank_above(1 - tail, n, ratio)


def _rank_above(chance: float, n: int, ratio: float) -> float:
    """Return the rank whose order statistic exceeds the quantile with probability `chance`."""
    rank = _last_rank(chance, n, ratio)
    chance_here, chance_next = bdtr(rank - 1, n, ratio), bdtr(rank, n, ratio)
    reach = (chance - chance_here) / (chance_next - chance_here)
    weight = (n - rank) * ratio * reach
    return rank + float(weight / (weight + rank * (1 - ratio) * (1 - reach)))


def _last_rank(chance: float, n: int, ratio: float) -> int:
    """Return the last rank, 1 to n - 1, whose order statistic exceeds the quantile with at most that probability.

    The order statistic of rank r exceeds it when fewer than r of n values lie below it: binomial.
    """
    guess = n * ratio + ndtri(chance) * sqrt(n * ratio * (1 - ratio))
    rank = min(max(int(guess), 1), n - 1)
    while rank > 1 and bdtr(rank - 1, n, ratio) > chance:
        rank -= 1
    while rank < n - 1 and bdtr(rank, n, ratio) <= chance:
        rank += 1
    return rank
