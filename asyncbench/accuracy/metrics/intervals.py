"""95 % intervals of shares, and of the difference of two shares that were measured on the same items."""

from __future__ import annotations

import math

from scipy.optimize import brentq

from asyncbench.results.accuracy import Interval

_Z = 1.959963984540054  # the normal quantile of 0.975
_ABOVE_THE_ESTIMATE = 1e-9  # far below z² / (n + z²), the narrowest half of an interval, for any n that exists


def wilson_interval(successes: int, n: int) -> Interval | None:
    """Return the score interval of a share; None for none of no items.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927).
    """
    if n == 0:
        return None
    share, z2 = successes / n, _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # Rounding must not leave the share itself, 0 or 1, outside.
    return Interval(low=min(max(centre - half, 0.0), share), high=max(min(centre + half, 1.0), share))


def paired_interval(*, first_only: int, second_only: int, n: int) -> Interval | None:
    """Return the interval of the share of the first minus that of the second; None for no items.

    Tango's asymptotic score interval. It needs no correction where the two never differ (0 of n gives plus and minus
    z² / (n + z²)), and keeps its coverage for few items, where the plain one (Wald) is too narrow.

    Args:
        first_only: Items that the first got right and the second wrong.
        second_only: The other way round.
        n: All items, those that both got right or wrong included.

    Source: Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample
    design", Statistics in Medicine 17 (1998); recommended by Fagerland, Lydersen, Laake, BMC Med. Res. Methodol. 14
    (2014).
    """
    if n == 0:
        return None
    difference = (first_only - second_only) / n
    low = -_upper_limit(second_only, first_only, n)
    high = _upper_limit(first_only, second_only, n)
    return Interval(low=min(low, difference), high=max(high, difference))


def _upper_limit(first_only: int, second_only: int, n: int) -> float:
    """Return the largest difference that the score test does not refuse."""
    if first_only == n:
        return 1.0

    def excess(difference: float) -> float:
        gap = n * difference - (first_only - second_only)
        share = _second_share(first_only, second_only, n, difference)
        return gap * gap - _Z * _Z * n * max(2 * share + difference * (1 - difference), 0.0)

    # At 1 the variance is 0. At the estimate the gap is 0, and where the two never differ so is the variance: the
    # limit is above that root.
    return float(brentq(excess, (first_only - second_only) / n + _ABOVE_THE_ESTIMATE, 1.0))


def _second_share(first_only: int, second_only: int, n: int, difference: float) -> float:
    """Return the most likely share of `second_only` if the true difference were `difference`."""
    linear = (2 * n - first_only + second_only) * difference - first_only - second_only
    constant = -second_only * difference * (1 - difference)
    root = math.sqrt(max(linear * linear - 8 * n * constant, 0.0))
    return (root - linear) / (4 * n)
