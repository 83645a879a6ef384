"""Status of a cell, and the codes of the reasons for it."""

from __future__ import annotations

from asyncbench.errors import AsyncbenchError, DoesNotFitError, InternalError, LimitError
from asyncbench.text_enum import TextEnum


class Status(TextEnum):
    """Outcome of a cell."""

    MEASURED = "measured"
    IMPRECISE = "imprecise"
    INVALID = "invalid"
    DOES_NOT_FIT = "does_not_fit"
    INTERRUPTED = "interrupted"
    ERROR = "error"


class ReasonCode(TextEnum):
    """Code of a reason, for programs. A file of another version may have others."""

    # Of a measured cell: the verdict.
    INTERRUPTED = "interrupted"
    OUTPUT_MISMATCH = "canary_mismatch"  # its name since the first schema
    NO_COMPLETIONS = "no_completions"
    LITTLES_LAW = "littles_law"
    STOOD_STILL = "stood_still"
    CPU_THROTTLED = "cpu_throttled"
    TIME_LIMIT = "time_limit"
    OUT_OF_REACH = "out_of_reach"
    DRIFT = "drift"
    FEW_PER_LANE = "few_per_lane"
    LOW_CONCURRENCY = "low_concurrency"
    RUNNER_BOUND = "runner_bound"
    NOT_STEADY = "not_steady"
    # Of its outputs and its memory: they inform.
    RANDOM_OUTPUTS = "random_outputs"
    NOT_FINITE_OUTPUTS = "not_finite_outputs"
    BACKPRESSURE = "backpressure"
    MEMORY_REFUSED = "memory_refused"
    MEMORY_PRESSURE = "memory_pressure"
    RETRIED = "retried"
    # Of a cell that ended in an error, or does not fit.
    MEMORY = "memory"
    LIMIT = "limit"
    OOM_KILLED = "oom_killed"
    LANE_FAILED = "lane_failed"
    ACCURACY_FAILED = "accuracy_failed"
    ENGINE_REFUSED = "engine_refused"
    BENCH_PROCESS_DIED = "bench_process_died"
    INTERNAL_ERROR = "internal_error"


def reason_code_of(error: AsyncbenchError, *, otherwise: ReasonCode) -> ReasonCode:
    """Return the code of an error that is the same wherever it comes from, or else that of the place."""
    if isinstance(error, InternalError):
        return ReasonCode.INTERNAL_ERROR
    if isinstance(error, DoesNotFitError):
        return ReasonCode.LIMIT if isinstance(error, LimitError) else ReasonCode.MEMORY
    return otherwise
