from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.errors import BadInputError
from asyncbench.sweep.backends.simulated import SimulatedOptions
from asyncbench.sweep.config import check_config


def options_of(section):
    return check_config({"backend": "simulated", "simulated": section}, source="").simulated


@pytest.mark.parametrize(
    ("section", "line"),
    [
        ({"slot": 1}, 'key "simulated.slot" is unknown: did you mean key "simulated.slots"?'),
        ({"slots": 0}, 'key "simulated.slots" is 0: make it greater than or equal to 1'),
        ({"slots": True}, 'key "simulated.slots" is true: make it a whole number'),
        ({"slots": "4"}, 'key "simulated.slots" is "4": make it a whole number'),
        ({"memory": 1024}, 'key "simulated.memory" is 1024: make it a text in quotes'),
        ({"memory": "1"}, "key \"simulated.memory\": '1' is not a size: write it with its unit"),
        ({"service": "1ms"}, 'key "simulated.service" is "1ms": make it an object in braces'),
        ({"service": {"median": 1}}, 'key "simulated.service.median" is 1: make it a text in quotes'),
        ({"service": {"median": "1"}}, "key \"simulated.service.median\": '1' is not a duration"),
        (
            {"service": {"kind": "normal"}},
            'key "simulated.service.kind" is "normal": make it "constant", "lognormal", "exponential", "uniform" or',
        ),
        ({"service": {"kind": []}}, 'key "simulated.service.kind" is []: make it "constant"'),
        ({"service": {"spread": 1.5}}, 'key "simulated.service.spread" is 1.5: make it less than or equal to 1'),
        ({"service": {"sigma": float("nan")}}, 'key "simulated.service.sigma" is NaN: make it a finite number'),
        ({"faults": {}}, 'key "simulated.faults" is {}: make it a list in brackets'),
        ({"faults": [{"at": 1}]}, 'key "simulated.faults[0].kind" is missing: add it'),
        (
            {"faults": [{"at": -1, "kind": "kill"}]},
            'key "simulated.faults[0].at" is -1: make it greater than or equal to 0',
        ),
    ],
)
def test_a_wrong_value_is_one_line_that_says_where(section, line):
    with pytest.raises(BadInputError) as refusal:
        options_of(section)

    assert str(refusal.value).startswith(line)
    assert str(refusal.value).isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["service", "slots", "memory", "faults", "seed", "drift", "warmup_factor", "nothing"])


@given(st.dictionaries(KEYS, JSON))
def test_any_section_is_a_device_or_a_refusal(section):
    try:
        options = options_of(section)
    except BadInputError:
        return

    assert isinstance(options, SimulatedOptions)
