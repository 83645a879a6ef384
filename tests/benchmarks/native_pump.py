"""What the native pump costs without a device.

scripts/native-test plain && .venv/bin/python tests/benchmarks/native_pump.py build/native-plain/libfake_cuda.so
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import trio

from asyncbench._pump import Pump  # noqa: TID251  # measures that module
from asyncbench.clock import now_ns

INFERENCES = 200_000
CALLS = 20_000
ROUNDS = 5_000
A_MINUTE_NS = 60_000_000_000


def pumped_ns(pump: Pump) -> float:
    """Return the time of one inference of an empty lane: credit, launch, poll, three stamps, ring."""
    lane = pump.add_empty_lane(INFERENCES)
    pump.give_credits(lane, INFERENCES)
    pump.wait_idle(lane, A_MINUTE_NS)
    issued_at_ns, _, completed_at_ns, _ = pump.drain(lane)
    pump.remove_lane(lane)
    return float(completed_at_ns[-1] - issued_at_ns[0]) / INFERENCES


def call_ns(call: Callable[[], object]) -> float:
    """Return the time of one call from Python."""
    started_at_ns = now_ns()
    for _ in range(CALLS):
        call()
    return (now_ns() - started_at_ns) / CALLS


async def awaited_ns(pump: Pump) -> float:
    """Return the time of one inference of an empty lane that Trio waits for through the descriptor."""
    lane = pump.add_empty_lane(1)
    started_at_ns = now_ns()
    for _ in range(ROUNDS):
        pump.give_credits(lane, 1)
        pump.arm(lane)
        await trio.lowlevel.wait_readable(pump.fd)
        pump.ready_lanes()
        pump.drain(lane)
    return (now_ns() - started_at_ns) / ROUNDS


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", help="a libcuda: an empty lane does not use it, but a pump wants one to start")
    library = parser.parse_args().library
    with Pump(1, library=library) as pump:
        lane = pump.add_empty_lane(16)
        print(f"empty lane, per inference in the pump thread  {pumped_ns(pump):8.0f} ns")
        print(f"give_credits, idle lane                       {call_ns(lambda: pump.give_credits(lane, 0)):8.0f} ns")
        print(f"drain of nothing, three arrays                {call_ns(lambda: pump.drain(lane)):8.0f} ns")
        print(f"ready_lanes, two lanes                        {call_ns(pump.ready_lanes):8.0f} ns")
        print(f"empty lane, per inference awaited by Trio     {trio.run(awaited_ns, pump):8.0f} ns")


if __name__ == "__main__":
    main()
