from __future__ import annotations

from asyncbench.backends.simulated.spec import Fault, ServiceTime, SimulatedSpec, parse_simulated_spec, spec_of
from asyncbench.sweep.backends.simulated import Distribution, FaultKind, SimulatedOptions


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


def test_without_a_seed_of_its_own_the_device_has_the_sweeps():
    assert spec_of(SimulatedOptions(), seed=7).seed == 7
    assert spec_of(SimulatedOptions(seed=3), seed=7).seed == 3
