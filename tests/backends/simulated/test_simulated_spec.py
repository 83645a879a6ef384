from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.backends.simulated.spec import (
    Distribution,
    Fault,
    FaultKind,
    ServiceTime,
    SimulatedSpec,
    parse_simulated_spec,
)
from asyncbench.errors import BadInputError


def test_an_empty_configuration_is_the_default_device():
    assert parse_simulated_spec({}) == SimulatedSpec()


def test_every_key_fills_its_field():
    parsed = parse_simulated_spec(
        {
            "service": {
                "kind": "bimodal",
                "median": "2ms",
                "per_item": "100us",
                "sigma": 0.5,
                "spread": 0.1,
                "slow_ratio": 0.2,
                "slow_factor": 3,
            },
            "slots": 2,
            "memory": "1GiB",
            "engine_bytes": "1MiB",
            "lane_bytes": "2KiB",
            "item_bytes": "3B",
            "faults": [{"at": 5, "kind": "hang", "batch": 4, "concurrency": 2}],
            "wrong_outputs_from": 7,
            "wrong_outputs_lane": 1,
            "drift": 0.01,
            "warmup_factor": 3,
            "warmup_inferences": 4,
            "seed": 9,
        }
    )

    assert parsed == SimulatedSpec(
        service=ServiceTime(
            kind=Distribution.BIMODAL,
            median_ns=2_000_000,
            per_item_ns=100_000,
            sigma=0.5,
            spread_ratio=0.1,
            slow_ratio=0.2,
            slow_factor=3.0,
        ),
        slots=2,
        memory_bytes=2**30,
        engine_bytes=2**20,
        lane_bytes=2048,
        item_bytes=3,
        faults=(Fault(at=5, kind=FaultKind.HANG, batch=4, concurrency=2),),
        wrong_outputs_from=7,
        wrong_outputs_lane=1,
        drift_ratio=0.01,
        warmup_factor=3.0,
        warmup_inferences=4,
        seed=9,
    )


@pytest.mark.parametrize(
    ("mapping", "where"),
    [
        ({"slot": 1}, "unknown key 'slot'"),
        ({"slots": 0}, "simulated.slots: 0"),
        ({"slots": True}, "simulated.slots: True"),
        ({"slots": "4"}, "simulated.slots: '4'"),
        ({"memory": 1024}, "simulated.memory: 1024"),
        ({"memory": "1"}, "'1' is not a size"),
        ({"service": "1ms"}, "simulated.service: '1ms' is not an object"),
        ({"service": {"median": 1}}, "simulated.service.median: 1"),
        ({"service": {"median": "1"}}, "'1' is not a duration"),
        ({"service": {"kind": "normal"}}, "one of constant, lognormal, exponential, uniform, bimodal"),
        ({"service": {"kind": []}}, r"simulated.service.kind: \[\]"),
        ({"service": {"spread": 1.5}}, "a number from 0 to 1"),
        ({"service": {"sigma": float("nan")}}, "simulated.service.sigma: nan"),
        ({"faults": {}}, "simulated.faults: {} is not a list"),
        ({"faults": [{"at": 1}]}, r"simulated.faults\[0\]: a fault needs"),
        ({"faults": [{"at": -1, "kind": "kill"}]}, r"simulated.faults\[0\].at: -1"),
        ({"seed": None}, "simulated.seed: None"),
    ],
)
def test_a_wrong_value_is_one_line_that_says_where(mapping, where):
    with pytest.raises(BadInputError, match=where) as refusal:
        parse_simulated_spec(mapping)

    assert "\n" not in str(refusal.value)
    assert refusal.value.remedy


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["service", "slots", "memory", "faults", "seed", "drift", "warmup_factor", "nothing"])


@given(st.dictionaries(KEYS, JSON))
def test_any_configuration_is_a_device_or_a_refusal(mapping):
    try:
        parsed = parse_simulated_spec(mapping)
    except BadInputError:
        return

    assert isinstance(parsed, SimulatedSpec)
