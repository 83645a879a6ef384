"""The bare loop that the pump is measured against, as `scripts/gpu-validate` compiles and calls it."""

from __future__ import annotations

import pytest
from bare_loop import BareLoop, open_bare_loop

pytestmark = pytest.mark.native

SOME_CONTEXT = 0xC0DE
SOME_GRAPH = 0x6EA9


@pytest.fixture(scope="module")
def bare_loop(fake_cuda_library):
    with open_bare_loop(driver=str(fake_cuda_library.path)) as bare_loop:
        yield bare_loop


@pytest.mark.parametrize("completion", ["spin", "yield", "block"])
def test_bare_loop_keeps_every_lane_busy_for_the_time_given(bare_loop, fake_cuda, completion):
    streams = [fake_cuda.stream(low_ns=50_000) for _ in range(2)]

    result = bare_loop.run(
        SOME_CONTEXT, [(stream, SOME_GRAPH) for stream in streams], 20_000_000, completion=completion
    )

    launches = [fake_cuda.count("launches", stream) for stream in streams]
    assert min(launches) >= 1
    assert result.inferences == sum(launches)
    assert result.duration_ns >= 20_000_000
    assert [fake_cuda.count("max_in_flight", stream) for stream in streams] == [1, 1]


def test_bare_loop_raises_the_driver_s_error(bare_loop, fake_cuda):
    fake_cuda.fail("cuEventQuery", nth=3)

    with pytest.raises(RuntimeError, match=r"cuEventQuery: CUDA_ERROR_ILLEGAL_ADDRESS \(700\)"):
        bare_loop.run(SOME_CONTEXT, [(fake_cuda.stream(), SOME_GRAPH)], 60_000_000_000)


def test_bare_replay_takes_as_long_as_its_graphs(bare_loop, fake_cuda):
    stream = fake_cuda.stream(low_ns=100_000)

    took_ns = bare_loop.replay_ns(SOME_CONTEXT, (stream, SOME_GRAPH), 30)

    assert fake_cuda.count("launches", stream) == 30
    assert took_ns >= 30 * 100_000


def test_missing_driver_is_reported_by_its_name(bare_loop):
    without_driver = BareLoop(bare_loop.path, driver="no-such-libcuda.so")

    with pytest.raises(RuntimeError, match="no-such-libcuda"):
        without_driver.run(SOME_CONTEXT, [], 1)


def test_missing_compiler_is_one_line_with_its_remedy(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")

    with pytest.raises(RuntimeError, match="there is no no-such-compiler: install g\\+\\+, or set CXX"):
        with open_bare_loop():
            pass
