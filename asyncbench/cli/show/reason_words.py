"""The codes of reasons in a few plain words, for progress lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from asyncbench.results.cell_parts import Reason

_WORDS = {
    "interrupted": "stopped by you",
    "canary_mismatch": "outputs differ",
    "no_completions": "nothing completed",
    "littles_law": "time stamps do not fit together",
    "stood_still": "the process stood still at times",
    "cpu_throttled": "held back by a CPU quota",
    "time_limit": "not precise within the time limit",
    "out_of_reach": "too slow for a p99",
    "drift": "speed changed while measuring",
    "few_per_lane": "few inferences",
    "low_concurrency": "lanes were idle at times",
    "runner_bound": "lanes idled, limited by the runner",
    "not_steady": "not known to be steady",
    "backpressure": "lanes shared, memory is short",
    "memory_refused": "fewer lanes, memory was refused",
    "memory_pressure": "lanes withheld, memory was short",
    "retried": "second try",
}


def reason_words(reasons: Iterable[Reason]) -> str:
    """Return `few inferences, second try`; a code that has no words here is shown as words of its own."""
    return ", ".join(dict.fromkeys(_WORDS.get(reason.code, reason.code.replace("_", " ")) for reason in reasons))
