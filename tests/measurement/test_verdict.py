from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.clock import NS_PER_S
from asyncbench.measurement.stopping import StopProgress, StopReason, StopRule
from asyncbench.measurement.verdict import judge
from asyncbench.measurement.window import WindowResult
from asyncbench.results.cell_parts import CpuThrottling, Reason, Stalls
from asyncbench.results.status import ReasonCode, Status


def window(*, n=10_000, in_flight=4.0, residual=0.0, window_ns=NS_PER_S, longest_ns=400_000):
    return WindowResult(
        n=n,
        opened_at_ns=0,
        ended_at_ns=window_ns,
        window_ns=window_ns,
        mean_in_flight=in_flight,
        mean_service_ns=400_000.0,
        longest_service_ns=longest_ns,
        littles_law_residual=residual,
        inferences_per_s=n * NS_PER_S / window_ns,
    )


def judged(**changed):
    """Return the verdict on a flawless cell on 4 lanes, but for what is changed."""
    flawless = {
        "stop_reason": StopReason.PRECISE,
        "rule": StopRule(),
        "interrupted": False,
        "output_mismatch": None,
        "window": window(),
        "progress": StopProgress(median_ratio=0.005, p99_ratio=0.02),
        "drift_ratio": None,
        "stalls": None,
        "throttling": None,
        "lanes": 4,
        "withheld": False,
        "steady": True,
    }
    return judge(**(flawless | changed))


def codes(verdict):
    return [reason.code for reason in verdict.reasons]


def test_a_flawless_cell_is_measured_without_reasons():
    verdict = judged()

    assert (verdict.status, verdict.reasons) == (Status.MEASURED, ())


@pytest.mark.parametrize(
    ("changed", "status", "code", "text"),
    [
        (
            {"interrupted": True, "stop_reason": None},
            Status.INTERRUPTED,
            ReasonCode.INTERRUPTED,
            "stopped by the user after 10,000 inferences in 1.00 s",
        ),
        (
            {"output_mismatch": "lane 2 differs by 0.5 from lane 0"},
            Status.INVALID,
            ReasonCode.OUTPUT_MISMATCH,
            "lane 2 differs by 0.5 from lane 0",
        ),
        ({"window": None}, Status.INVALID, ReasonCode.NO_COMPLETIONS, "no inference completed inside the window"),
        (
            {"window": window(n=0, in_flight=0.0, residual=None, window_ns=1)},
            Status.INVALID,
            ReasonCode.NO_COMPLETIONS,
            "no inference completed inside the window",
        ),
        (
            {"window": window(n=100, residual=0.06)},
            Status.INVALID,
            ReasonCode.LITTLES_LAW,
            (
                "rate x mean service time is 6 % off the 4.00 in flight, more than the 5 % that a window of "
                "100 inferences allows"
            ),
        ),
        (
            {"stop_reason": StopReason.TIME_LIMIT, "progress": StopProgress(median_ratio=0.02, p99_ratio=0.12)},
            Status.IMPRECISE,
            ReasonCode.TIME_LIMIT,
            (
                "after 1.00 s the median is known within ±2 % (asked within ±1 %) and p99 is known within ±12 % "
                "(asked within ±5 %): about 5.76 s would do"
            ),
        ),
        (
            {
                "stop_reason": StopReason.OUT_OF_REACH,
                "progress": StopProgress(median_ratio=0.005, p99_ratio=None),
                "window": window(n=40),
            },
            Status.IMPRECISE,
            ReasonCode.OUT_OF_REACH,
            (
                "p99 takes 662 inferences at 40/s: about 16.6 s would do, and the window may last 5.00 s; stopped with "
                "the median known within ±0.5 %"
            ),
        ),
        (
            {"drift_ratio": 0.14},
            Status.IMPRECISE,
            ReasonCode.DRIFT,
            "the mean service time rose by 14 % from the first to the last third of the window",
        ),
        (
            {"drift_ratio": -0.25},
            Status.IMPRECISE,
            ReasonCode.DRIFT,
            "the mean service time fell by 25 % from the first to the last third of the window",
        ),
        (
            {"window": window(n=7)},
            Status.IMPRECISE,
            ReasonCode.FEW_PER_LANE,
            "7 inferences completed on 4 lanes: fewer than 2 per lane",
        ),
        (
            {"window": window(in_flight=3.91)},
            Status.MEASURED,
            ReasonCode.LOW_CONCURRENCY,
            "3.91 inferences were in flight on average, 4 could have been",
        ),
        (
            {"steady": False},
            Status.MEASURED,
            ReasonCode.NOT_STEADY,
            "the service time was not known to be steady when the window opened",
        ),
    ],
)
def test_each_flaw_has_its_status_and_says_so_in_one_line(changed, status, code, text):
    verdict = judged(**changed)

    assert verdict.status is status
    assert verdict.reasons == (Reason(code=code, text=text),)


@pytest.mark.parametrize(
    "changed",
    [
        {"drift_ratio": 0.10},
        {"window": window(n=100, residual=0.05)},
        {"window": window(in_flight=3.92)},
        {"window": window(n=8)},
    ],
)
def test_what_is_just_within_its_limit_is_no_flaw(changed):
    assert judged(**changed).reasons == ()


def test_every_flaw_is_told_the_gravest_first():
    verdict = judged(
        interrupted=True,
        output_mismatch="lane 2 differs",
        stop_reason=StopReason.TIME_LIMIT,
        drift_ratio=0.5,
        window=window(n=7, in_flight=3.8, residual=0.9),
        steady=False,
    )

    assert verdict.status is Status.INTERRUPTED
    assert codes(verdict) == [
        ReasonCode.INTERRUPTED,
        ReasonCode.OUTPUT_MISMATCH,
        ReasonCode.LITTLES_LAW,
        ReasonCode.TIME_LIMIT,
        ReasonCode.DRIFT,
        ReasonCode.FEW_PER_LANE,
        ReasonCode.LOW_CONCURRENCY,
        ReasonCode.NOT_STEADY,
    ]


def test_where_lanes_idled_between_inferences_the_figures_are_the_runners_and_not_measured():
    verdict = judged(window=window(in_flight=0.8))

    assert verdict.status is Status.IMPRECISE
    assert verdict.reasons == (
        Reason(
            code=ReasonCode.RUNNER_BOUND,
            text="these figures are the runner's and not the network's: lanes idled for 80 % of the window between "
            "inferences, 320 µs each time (0.80 in flight of 4)",
        ),
    )


def test_where_every_inference_was_awaited_what_that_costs_is_measured_and_told():
    verdict = judged(window=window(in_flight=0.8), awaited=True)

    assert verdict.status is Status.MEASURED
    assert verdict.reasons == (
        Reason(
            code=ReasonCode.RUNNER_BOUND,
            text="lanes idled for 80 % of the window between inferences, 320 µs each time (0.80 in flight of 4): that "
            "is what awaiting every inference costs, and part of these figures",
        ),
    )


@pytest.mark.parametrize("in_flight", [0.01, 0.8, 3.61])
def test_lanes_that_an_open_load_leaves_idle_are_no_finding(in_flight):
    verdict = judged(window=window(in_flight=in_flight), closed_loop=False)

    assert (verdict.status, verdict.reasons) == (Status.MEASURED, ())


@pytest.mark.parametrize(("in_flight", "code"), [(3.61, "low_concurrency"), (3.59, "runner_bound")])
def test_up_to_a_tenth_of_idleness_is_a_remark(in_flight, code):
    verdict = judged(window=window(in_flight=in_flight))

    assert codes(verdict) == [code]
    assert (verdict.status is Status.MEASURED) == (code == "low_concurrency")


def test_invalid_comes_before_imprecise():
    assert judged(output_mismatch="lane 2 differs", drift_ratio=0.5).status is Status.INVALID


def test_a_cell_that_was_interrupted_before_its_window_says_so():
    verdict = judged(interrupted=True, stop_reason=None, window=None)

    assert verdict.status is Status.INTERRUPTED
    assert verdict.reasons[0].text == "stopped by the user before the window opened"


@pytest.mark.parametrize(
    ("reason", "rule"),
    [
        (StopReason.DURATION, StopRule(duration_ns=NS_PER_S)),
        (StopReason.ITERATIONS, StopRule(iterations=7)),
    ],
)
def test_a_fixed_length_is_measured_with_whatever_precision_it_has(reason, rule):
    progress = StopProgress(median_ratio=0.3, p99_ratio=None)

    verdict = judged(stop_reason=reason, rule=rule, progress=progress, window=window(n=7))

    assert verdict.status is Status.MEASURED
    assert codes(verdict) == [ReasonCode.FEW_PER_LANE]


def test_a_time_limit_without_enough_samples_says_that_nothing_is_known():
    verdict = judged(
        stop_reason=StopReason.TIME_LIMIT,
        progress=StopProgress(median_ratio=None, p99_ratio=None),
        window=window(n=5),
        lanes=1,
    )

    assert "the median is not known yet (asked within ±1 %) and p99 is not known yet" in verdict.reasons[0].text


STALL = Stalls(n=1, total_ns=4_020_000_000, longest_ns=4_020_000_000)


def test_a_process_that_stood_still_makes_the_cell_invalid_and_how_long_a_window_should_be_is_not_guessed():
    verdict = judged(
        stalls=STALL,
        window=window(window_ns=8 * NS_PER_S),
        stop_reason=StopReason.TIME_LIMIT,
        progress=StopProgress(median_ratio=4.5, p99_ratio=None),
    )

    assert verdict.status is Status.INVALID
    assert verdict.reasons == (
        Reason(
            code=ReasonCode.STOOD_STILL,
            text="the process stood still for 4.02 s of the 8.00 s window (stopped, frozen or suspended): "
            "measure again",
        ),
    )


@pytest.mark.parametrize(
    ("stalled_ms", "window_s", "status"),
    [
        (1_000, 5, Status.INVALID),
        (1_000, 99, Status.INVALID),
        (1_000, 100, Status.MEASURED),
        (999, 5, Status.IMPRECISE),
        (260, 5, Status.IMPRECISE),
    ],
)
def test_what_a_stall_makes_of_a_cell_depends_on_its_length_and_its_share(stalled_ms, window_s, status):
    stalled_ns = stalled_ms * NS_PER_S // 1_000

    verdict = judged(
        stalls=Stalls(n=1, total_ns=stalled_ns, longest_ns=stalled_ns), window=window(window_ns=window_s * NS_PER_S)
    )

    assert (verdict.status, codes(verdict)) == (status, [ReasonCode.STOOD_STILL])


def test_a_short_stall_in_a_long_window_is_not_worth_a_word():
    stalls = Stalls(n=1, total_ns=NS_PER_S // 4, longest_ns=NS_PER_S // 4)

    assert judged(stalls=stalls, window=window(window_ns=5 * NS_PER_S)).reasons == ()


def test_a_machine_that_was_suspended_makes_the_cell_invalid():
    verdict = judged(stalls=Stalls(n=0, total_ns=0, longest_ns=0, suspended_ns=60 * NS_PER_S))

    assert verdict.status is Status.INVALID
    assert verdict.reasons[0].text == "the machine was suspended for 60.0 s while it measured: measure again"


def throttled(throttled_ns, *, quota_cpus=0.5):
    return CpuThrottling(quota_cpus=quota_cpus, periods=50, throttled_periods=48, throttled_ns=throttled_ns)


def test_a_quota_that_held_the_process_back_is_named_and_the_cell_is_imprecise():
    verdict = judged(throttling=throttled(2_400_000_000), window=window(window_ns=5 * NS_PER_S))

    assert verdict.status is Status.IMPRECISE
    assert verdict.reasons == (
        Reason(
            code=ReasonCode.CPU_THROTTLED,
            text="throttled for 2.40 s (summed over processors) of 5.00 s, in 48 of 50 periods, by its control group's "
            "CPU quota of 0.5 processors: the figures are those of the quota",
        ),
    )


@pytest.mark.parametrize(("throttled_ns", "said"), [(0, []), (10_000_000, [ReasonCode.CPU_THROTTLED])])
def test_a_quota_that_hardly_held_back_only_informs_and_one_that_never_did_says_nothing(throttled_ns, said):
    verdict = judged(throttling=throttled(throttled_ns))

    assert (verdict.status, codes(verdict)) == (Status.MEASURED, said)


def test_a_process_that_stood_still_because_of_its_quota_was_not_stopped():
    verdict = judged(
        stalls=STALL, throttling=throttled(5 * NS_PER_S, quota_cpus=0.001), window=window(window_ns=8 * NS_PER_S)
    )

    assert codes(verdict) == [ReasonCode.CPU_THROTTLED]


@pytest.mark.parametrize(
    ("progress", "known"),
    [
        (StopProgress(median_ratio=4.5, p99_ratio=0.2), "the median is not known yet (asked within ±1 %)"),
        (StopProgress(median_ratio=1.0, p99_ratio=0.2), "the median is known within ±100 % (asked within ±1 %)"),
        (StopProgress(median_ratio=0.0123, p99_ratio=7.0), "p99 is not known yet (asked within ±5 %)"),
        (StopProgress(median_ratio=1e-9, p99_ratio=0.2), "the median is known within ±0.01 % (asked within ±1 %)"),
        (
            StopProgress(median_ratio=0.01001, p99_ratio=0.2),
            "the median is known within just over ±1 % (asked within ±1 %)",
        ),
    ],
)
def test_an_interval_wider_than_its_value_is_no_knowledge(progress, known):
    verdict = judged(stop_reason=StopReason.TIME_LIMIT, progress=progress)

    assert known in verdict.reasons[0].text


@pytest.mark.parametrize(
    ("progress", "why"),
    [
        (
            StopProgress(median_ratio=4.5, p99_ratio=4.5),
            "more than 10 minutes would be needed, it scatters too much for that (the stop rule can ask for less)",
        ),
        (
            StopProgress(median_ratio=4.5, p99_ratio=None),
            "more than 10 minutes would be needed, it is too slow for that",
        ),
    ],
)
def test_nobody_is_told_to_measure_a_cell_for_hours(progress, why):
    verdict = judged(stop_reason=StopReason.TIME_LIMIT, progress=progress, window=window(n=20, in_flight=4.0))

    assert verdict.reasons[0].text.endswith(why)


def test_a_rate_below_one_a_second_is_told_as_the_time_of_one():
    verdict = judged(
        stop_reason=StopReason.OUT_OF_REACH,
        progress=StopProgress(median_ratio=0.005, p99_ratio=None),
        window=window(n=4, window_ns=48 * NS_PER_S),
        lanes=2,
        withheld=True,
    )

    assert verdict.reasons[0].text.startswith(
        "p99 takes 662 inferences at one in 12.0 s: more than 10 minutes would be needed, it is too slow for that, "
    )


def test_a_precision_that_nobody_reaches_is_named_as_it_was_asked_for():
    verdict = judged(
        stop_reason=StopReason.TIME_LIMIT,
        rule=StopRule(median_ratio=1e-6),
        progress=StopProgress(median_ratio=1e-5, p99_ratio=0.02),
    )

    assert "the median is known within ±0.01 % (asked within ±0.0001 %)" in verdict.reasons[0].text


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"drift_ratio": -0.9999}, "fell by 99 % from"),
        ({"drift_ratio": 1234.0}, "rose by 123,400 % from"),
        ({"window": window(in_flight=0.0001)}, "lanes idled for 99 % of the window"),
        ({"window": window(in_flight=0.0001)}, "(less than 0.01 in flight of 4)"),
        ({"window": window(residual=1234.5, n=10**7)}, "is 123,450 % off the 4.00 in flight"),
        (
            {"throttling": CpuThrottling(quota_cpus=1.0, periods=1, throttled_periods=1, throttled_ns=1)},
            "of 1 processor:",
        ),
    ],
)
def test_extreme_figures_read_as_what_can_be(changed, text):
    assert text in judged(**changed).reasons[0].text


def test_one_inference_is_no_inferences():
    assert judged(window=window(n=1), lanes=1).reasons[0].text.startswith("1 inference completed on 1 lane:")


@given(
    median_ratio=st.floats(0, 1e6) | st.none(),
    p99_ratio=st.floats(0, 1e6) | st.none(),
    n=st.integers(1, 10**9),
    window_ns=st.integers(1, 10**13),
    reason=st.sampled_from([StopReason.TIME_LIMIT, StopReason.OUT_OF_REACH]),
)
def test_no_figure_has_an_exponent_or_more_than_100_percent_or_hours(median_ratio, p99_ratio, n, window_ns, reason):
    verdict = judged(
        stop_reason=reason,
        progress=StopProgress(median_ratio=median_ratio, p99_ratio=p99_ratio),
        window=window(n=n, window_ns=window_ns, longest_ns=10**15),
        rule=StopRule(max_window_ns=5 * NS_PER_S),
    )

    text = next(each.text for each in verdict.reasons if each.code in (ReasonCode.TIME_LIMIT, ReasonCode.OUT_OF_REACH))
    assert not re.search(r"\de[+-]?\d", text)
    assert all(float(percent) <= 100 for percent in re.findall(r"±([0-9.]+) %", text))
    assert not re.search(r"about [0-9]+h", text)


def test_one_long_inference_at_an_edge_of_the_window_does_not_break_littles_law():
    assert codes(judged(window=window(n=100, residual=0.06, longest_ns=600_000))) == []


def test_few_in_flight_are_no_surprise_where_lanes_were_withheld():
    assert codes(judged(window=window(in_flight=2.5), withheld=True)) == []


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"stalls": STALL}, ReasonCode.STOOD_STILL),
        ({"stalls": Stalls(n=1, total_ns=NS_PER_S // 3, longest_ns=NS_PER_S // 3)}, ReasonCode.STOOD_STILL),
        ({"throttling": throttled(NS_PER_S)}, ReasonCode.CPU_THROTTLED),
    ],
)
def test_few_in_flight_are_not_the_runners_doing_where_the_whole_process_was_held_back(changed, code):
    assert codes(judged(window=window(in_flight=2.0), **changed)) == [code]


def test_no_reason_spans_two_lines():
    verdict = judged(stop_reason=StopReason.TIME_LIMIT, drift_ratio=0.5, steady=False)

    assert not any("\n" in reason.text for reason in verdict.reasons)


@pytest.mark.parametrize("member", [*Status, *ReasonCode, *StopReason])
def test_words_for_programs_are_written_as_they_are_compared(member):
    assert f"{member}" == member.value == member
