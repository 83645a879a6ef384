from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.errors import BadInputError
from asyncbench.results.same_sweep import check_same_sweep
from asyncbench.sweep.config import check_config
from asyncbench.sweep.loading import read_flags

CONFIG = {"model": "mobilenet", "batch": [1, 2], "stop": {"min_duration_ns": 5, "iterations": None}}
configs = st.dictionaries(
    st.text("abc", min_size=1, max_size=2),
    st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2) | st.dictionaries(st.text("xy"), st.integers(0, 3)),
)


def refusal_of(header, present):
    with pytest.raises(BadInputError) as refusal:
        check_same_sweep(header, present)
    assert "repeat the options" in refusal.value.remedy
    return refusal.value.message


@pytest.mark.parametrize(
    ("present", "named"),
    [
        ({**CONFIG, "model": "resnet50"}, 'model was "mobilenet", now it is "resnet50"'),
        ({**CONFIG, "batch": [1, 4]}, "batch was [1, 2], now it is [1, 4]"),
        ({**CONFIG, "stop": {"min_duration_ns": 6}}, "stop.min_duration_ns was 5, now it is 6"),
        ({**CONFIG, "depth": 2}, "depth was null, now it is 2"),
        ({"batch": [1], "model": "x"}, 'model was "mobilenet", now it is "x"'),
    ],
)
def test_the_first_key_that_differs_is_named_with_both_values(make_header, present, named):
    assert refusal_of(make_header(config=[CONFIG]), [present]) == f"the results file is of another sweep: {named}"


def test_in_a_task_list_the_sweep_is_numbered(make_header):
    header = make_header(config=[CONFIG, CONFIG])

    assert "sweep 2: model was" in refusal_of(header, [CONFIG, {**CONFIG, "model": "resnet50"}])
    assert "sweep 2: the config was" in refusal_of(header, [CONFIG])
    assert "sweep 3: the config was null" in refusal_of(header, [CONFIG, CONFIG, CONFIG])


def test_long_values_do_not_make_the_message_long(make_header):
    header = make_header(config=[{"batch": list(range(1_000))}])

    assert len(refusal_of(header, [{"batch": list(range(2_000))}])) < 250


@given(theirs=st.lists(configs, max_size=2), ours=st.lists(configs, max_size=2))
def test_exactly_equal_configs_are_the_same_sweep(make_header, theirs, ours):
    header = make_header(config=theirs)

    if theirs == ours:
        check_same_sweep(header, ours)
    else:
        refusal_of(header, ours)


HEADER_OF_BEFORE = {
    "model": "mobilenet",
    "concurrency": [1],
    "batch": [1, 2],
    "backend": "tensorrt",
    "intra_op_threads": 1,
    "engine": "auto",
    "completion": "spin",
    "depth": 2,
    "transfers": False,
    "gpu_time": False,
    "workspace": None,
    "tactic_sources": None,
    "simulated": None,
}


def test_a_file_that_an_older_version_began_is_gone_on_with(make_header):
    flags = {"model": "mobilenet", "concurrency": 1, "batch": "1,2", "backend": "tensorrt"}
    same, other = (read_flags(flags | {"tensorrt": {"depth": depth}}).model_dump(mode="json") for depth in (2, 4))

    check_same_sweep(make_header(config=[HEADER_OF_BEFORE]), [same])
    difference = refusal_of(make_header(config=[HEADER_OF_BEFORE]), [other])

    assert difference == "the results file is of another sweep: tensorrt.depth was 2, now it is 4"


def test_a_simulated_sweep_that_an_older_version_began_is_gone_on_with(make_header):
    section = {"service": {"median": "2ms"}, "slots": 2}
    before = HEADER_OF_BEFORE | {"backend": "simulated", "depth": 1, "simulated": section}
    now = {"model": "mobilenet", "concurrency": 1, "batch": [1, 2], "backend": "simulated", "simulated": section}

    check_same_sweep(make_header(config=[before]), [check_config(now, source="").model_dump(mode="json")])
