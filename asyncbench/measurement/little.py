"""Little's law: what is in flight is the rate times the time that each one takes."""

from __future__ import annotations

from asyncbench.clock import NS_PER_S


def little_residual(*, mean_in_flight: float, inferences_per_s: float, mean_service_ns: float) -> float:
    """Return the relative gap between a window and Little's law; 0.0 is perfect.

    Args:
        mean_in_flight: Time-weighted mean over the window, > 0.
        inferences_per_s: Completions inside the window; inferences, not items.
        mean_service_ns: Mean of completed - issued.

    Source: Little, "A Proof for the Queuing Formula: L = λW", Oper. Res. 9 (1961).
    """
    return abs(inferences_per_s * mean_service_ns / NS_PER_S - mean_in_flight) / mean_in_flight
