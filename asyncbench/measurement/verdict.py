"""Verdict on a measured cell: what its figures are worth, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from asyncbench.clock import NS_PER_S
from asyncbench.measurement.percentile import minimum_samples
from asyncbench.measurement.stopping import StopProgress, StopReason, StopRule, needed_window_ns
from asyncbench.measurement.window import WindowResult
from asyncbench.results.cell_parts import CpuThrottling, Reason, Stalls
from asyncbench.results.status import ReasonCode, Status
from asyncbench.units import counted, format_duration, format_number

DRIFT_LIMIT_RATIO = 0.10
_LITTLE_LIMIT_RATIO = 0.01
_CONCURRENCY_LIMIT_RATIO = 0.98
# A guess: more than a tenth of the time is no longer a remark about the network's figures, but about whose they are.
_IDLE_LIMIT_RATIO = 0.10
_MIN_PER_LANE = 2
# A stall this long is nothing that a scheduler does: the process was stopped, and how long says nothing of the network.
_STOPPED_NS = NS_PER_S
_STOPPED_RATIO = 0.01
_STALLED_RATIO = 0.05
_THROTTLED_RATIO = 0.01
# Finer is not worth a digit: the histogram is not.
_FINEST_RATIO = 0.0001
_MIN_IN_FLIGHT = 0.01
# Nobody measures one cell for longer.
_LONGEST_ADVISED_NS = 600 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Verdict:
    """The status of a measured cell. Reasons come in the order of their weight; some change no status."""

    status: Status
    reasons: tuple[Reason, ...]


_Finding = tuple[Status, ReasonCode, str]


def judge(
    *,
    stop_reason: StopReason | None,
    rule: StopRule,
    interrupted: bool,
    output_mismatch: str | None,
    window: WindowResult | None,
    progress: StopProgress,
    drift_ratio: float | None,
    stalls: Stalls | None,
    throttling: CpuThrottling | None,
    lanes: int,
    withheld: bool,
    steady: bool,
    awaited: bool = False,
    closed_loop: bool = True,
) -> Verdict:
    """Return what a window is worth: interrupted before invalid before imprecise before measured.

    Args:
        stop_reason: None where something else than the rule ended the window.
        output_mismatch: How the outputs differ from the reference; None where they do not.
        window: None where it never opened.
        progress: How precise the service times are.
        drift_ratio: Significant change of the service time over the window; None where there is none.
        stalls: When the process stood still in the window; None where it never did.
        throttling: What a CPU quota withheld in it; None where there is no quota.
        lanes: Lanes that were resident: how many inferences could be in flight.
        withheld: Whether some of them were withheld for a time: then fewer in flight are no surprise.
        steady: Whether the warm-up ended steady, rather than at its limit.
        awaited: Whether each inference was awaited: then what that costs between two of them is what is measured.
        closed_loop: Whether the lanes were to be busy all the time: else they idle because the load wants it.
    """
    findings: list[_Finding] = []
    if interrupted:
        findings.append((Status.INTERRUPTED, ReasonCode.INTERRUPTED, _interrupted_text(window)))
    if output_mismatch is not None:
        findings.append((Status.INVALID, ReasonCode.OUTPUT_MISMATCH, output_mismatch))
    if window is None or window.n == 0:
        findings.append((Status.INVALID, ReasonCode.NO_COMPLETIONS, "no inference completed inside the window"))
    else:
        findings += _law_findings(window, lanes)
        stood_still = list(_stall_findings(stalls, throttling, window))
        findings += stood_still
        # How long a window should have been is unknown where part of it was lost.
        findings += () if stood_still else _precision_findings(stop_reason, rule, progress, window)
        throttled = list(_throttle_findings(throttling, window))
        findings += throttled
        findings += _drift_findings(drift_ratio)
        findings += _few_findings(window, lanes, fixed=rule.fixed)
        # Why lanes idled is known where they were withheld, the whole process was held back, or the load wanted it.
        held_back = withheld or stood_still or any(status is Status.IMPRECISE for status, *_ in throttled)
        findings += _load_findings(window, lanes, awaited=awaited) if closed_loop and not held_back else ()
    if not steady:
        text = "the service time was not known to be steady when the window opened"
        findings.append((Status.MEASURED, ReasonCode.NOT_STEADY, text))
    return _verdict(findings)


def _verdict(findings: list[_Finding]) -> Verdict:
    by_weight = (Status.INTERRUPTED, Status.INVALID, Status.IMPRECISE, Status.MEASURED)
    findings.sort(key=lambda finding: by_weight.index(finding[0]))
    status = findings[0][0] if findings else Status.MEASURED
    return Verdict(status, tuple(Reason(code=code, text=text) for _, code, text in findings))


def _interrupted_text(window: WindowResult | None) -> str:
    if window is None:
        return "stopped by the user before the window opened"
    return f"stopped by the user after {counted(window.n, 'inference')} in {format_duration(window.window_ns)}"


def _law_findings(window: WindowResult, lanes: int) -> Iterator[_Finding]:
    # At either edge each lane has one inference that lies only partly in the window; it may be the longest one.
    limit_ratio = _LITTLE_LIMIT_RATIO + lanes * window.longest_service_ns / (window.n * window.mean_service_ns)
    residual = window.littles_law_residual
    if residual is not None and residual > limit_ratio:
        text = (
            f"rate x mean service time is {format_number(residual * 100)} % off the {_in_flight(window)} in "
            f"flight, more than the {format_number(limit_ratio * 100)} % that a window of "
            f"{counted(window.n, 'inference')} allows"
        )
        yield Status.INVALID, ReasonCode.LITTLES_LAW, text


def _stall_findings(
    stalls: Stalls | None, throttling: CpuThrottling | None, window: WindowResult
) -> Iterator[_Finding]:
    if stalls is None:
        return
    if stalls.suspended_ns:
        text = f"the machine was suspended for {format_duration(stalls.suspended_ns)} while it measured: measure again"
        yield Status.INVALID, ReasonCode.STOOD_STILL, text
    if throttling is not None and throttling.throttled_ns >= stalls.total_ns:
        return  # it is the quota that held the process back, and that has a reason of its own
    share = stalls.total_ns / window.window_ns
    lost = f"{format_duration(stalls.total_ns)} of the {format_duration(window.window_ns)} window"
    stopped = stalls.longest_ns >= _STOPPED_NS
    if stopped and share > _STOPPED_RATIO:
        text = f"the process stood still for {lost} (stopped, frozen or suspended): measure again"
        yield Status.INVALID, ReasonCode.STOOD_STILL, text
    elif stopped or share > _STALLED_RATIO:
        status = Status.IMPRECISE if share > _STALLED_RATIO else Status.MEASURED
        text = f"the process did not run for {lost} (stopped, or other programs kept the processors busy)"
        yield status, ReasonCode.STOOD_STILL, text


def _throttle_findings(throttling: CpuThrottling | None, window: WindowResult) -> Iterator[_Finding]:
    if throttling is None or not throttling.throttled_ns:
        return
    status = Status.IMPRECISE if throttling.throttled_ns > _THROTTLED_RATIO * window.window_ns else Status.MEASURED
    text = (
        f"throttled for {format_duration(throttling.throttled_ns)} (summed over processors) of "
        f"{format_duration(window.window_ns)}, in {throttling.throttled_periods:,} of "
        f"{counted(throttling.periods, 'period')}, by its control group's CPU quota of {_processors(throttling)}: "
        "the figures are those of the quota"
    )
    yield status, ReasonCode.CPU_THROTTLED, text


def _processors(throttling: CpuThrottling) -> str:
    quota = format_number(throttling.quota_cpus)
    return f"{quota} processor{'' if quota == '1' else 's'}"


def _precision_findings(
    stop_reason: StopReason | None, rule: StopRule, progress: StopProgress, window: WindowResult
) -> Iterator[_Finding]:
    needed_ns = needed_window_ns(rule, progress, n=window.n, window_ns=window.window_ns)
    if stop_reason is StopReason.TIME_LIMIT:
        text = (
            f"after {format_duration(window.window_ns)} "
            f"the median is {_known(progress.median_ratio, rule.median_ratio)} "
            f"(asked within {_plus_minus(rule.median_ratio)}) and p99 is {_known(progress.p99_ratio, rule.p99_ratio)} "
            f"(asked within {_plus_minus(rule.p99_ratio)}): {_advice(needed_ns, progress)}"
        )
        yield Status.IMPRECISE, ReasonCode.TIME_LIMIT, text
    elif stop_reason is StopReason.OUT_OF_REACH:
        text = (
            f"p99 takes {minimum_samples(0.99)} inferences at {_rate(window)}: {_advice(needed_ns, progress)}, "
            f"and the window may last {format_duration(rule.max_window_ns)}; stopped with the median "
            f"{_known(progress.median_ratio, rule.median_ratio)}"
        )
        yield Status.IMPRECISE, ReasonCode.OUT_OF_REACH, text


def _advice(needed_ns: float, progress: StopProgress) -> str:
    """Return how long a window would do, if anybody would measure one cell for so long."""
    if needed_ns <= _LONGEST_ADVISED_NS:
        return f"about {format_duration(needed_ns)} would do"
    if progress.p99_ratio is None:
        return "more than 10 minutes would be needed, it is too slow for that"
    return "more than 10 minutes would be needed, it scatters too much for that (the stop rule can ask for less)"


def _known(half_width_ratio: float | None, asked_ratio: float) -> str:
    """Return how well a percentile is known; an interval wider than twice its value is no knowledge."""
    if half_width_ratio is None or half_width_ratio > 1:
        return "not known yet"
    within = _plus_minus(max(half_width_ratio, _FINEST_RATIO))
    # Rounded to the same digits, too wide would read as good enough.
    just_over = half_width_ratio > asked_ratio and within == _plus_minus(asked_ratio)
    return f"known within {'just over ' if just_over else ''}{within}"


def _plus_minus(half_width_ratio: float) -> str:
    return f"±{format_number(float(f'{half_width_ratio * 100:.2g}'))} %"


def _rate(window: WindowResult) -> str:
    if window.inferences_per_s < 1:
        return f"one in {format_duration(window.window_ns / window.n)}"
    return f"{format_number(window.inferences_per_s)}/s"


def _drift_findings(drift_ratio: float | None) -> Iterator[_Finding]:
    if drift_ratio is not None and abs(drift_ratio) > DRIFT_LIMIT_RATIO:
        way = "rose" if drift_ratio > 0 else "fell"
        percent = min(abs(drift_ratio) * 100, 99) if drift_ratio < 0 else drift_ratio * 100
        text = f"the mean service time {way} by {percent:,.0f} % from the first to the last third of the window"
        yield Status.IMPRECISE, ReasonCode.DRIFT, text


def _few_findings(window: WindowResult, lanes: int, *, fixed: bool) -> Iterator[_Finding]:
    if window.n < _MIN_PER_LANE * lanes:
        # Whoever fixed the length knows how many inferences that makes.
        status = Status.MEASURED if fixed else Status.IMPRECISE
        completed, on = counted(window.n, "inference"), counted(lanes, "lane")
        text = f"{completed} completed on {on}: fewer than {_MIN_PER_LANE} per lane"
        yield status, ReasonCode.FEW_PER_LANE, text


def _load_findings(window: WindowResult, lanes: int, *, awaited: bool) -> Iterator[_Finding]:
    if window.mean_in_flight >= _CONCURRENCY_LIMIT_RATIO * lanes:
        return
    idle_ratio = 1 - window.mean_in_flight / lanes
    if idle_ratio > _IDLE_LIMIT_RATIO:
        status = Status.MEASURED if awaited else Status.IMPRECISE
        yield status, ReasonCode.RUNNER_BOUND, _runner_bound_text(window, lanes, idle_ratio, awaited=awaited)
    else:
        text = f"{_in_flight(window)} inferences were in flight on average, {lanes} could have been"
        yield Status.MEASURED, ReasonCode.LOW_CONCURRENCY, text


def _in_flight(window: WindowResult) -> str:
    return f"{window.mean_in_flight:.2f}" if window.mean_in_flight >= _MIN_IN_FLIGHT else "less than 0.01"


def _runner_bound_text(window: WindowResult, lanes: int, idle_ratio: float, *, awaited: bool) -> str:
    """Say whose figures these are. Lanes that wait for a processor or a slot wait inside an inference, not here."""
    idle_ns = idle_ratio * lanes * window.window_ns / window.n
    idle = (
        f"lanes idled for {min(idle_ratio * 100, 99):.0f} % of the window between inferences, "
        f"{format_duration(idle_ns)} each time ({_in_flight(window)} in flight of {lanes})"
    )
    if awaited:
        return f"{idle}: that is what awaiting every inference costs, and part of these figures"
    return f"these figures are the runner's and not the network's: {idle}"
