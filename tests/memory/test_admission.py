from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.errors import DoesNotFitError
from asyncbench.memory.admission import admit
from asyncbench.memory.available import Available, LimitedBy
from asyncbench.memory.forecast import MemoryForecast

MIB = 2**20
NO_LIMIT = Available(device_bytes=None, host_bytes=None)
POWERS = (1, 2, 4, 8, 16, 32, 64, 128)


def linear(batch, lanes):
    """10 MiB and, a lane, 1 MiB for each item on the device, half of that on the host."""
    return MemoryForecast(device_bytes=(10 + batch * lanes) * MIB, host_bytes=batch * lanes * MIB // 2)


def admit_linear(available, *, batch=8, concurrency=16, batches=POWERS, share_lanes=True):
    return admit(
        linear, batch=batch, concurrency=concurrency, batches=batches, available=available, share_lanes=share_lanes
    )


def device_only(device_bytes):
    return Available(device_bytes=device_bytes, host_bytes=None)


def test_without_limits_every_lane_fits():
    admission = admit_linear(NO_LIMIT)

    assert (admission.lanes, admission.limited_by) == (16, None)
    assert admission.need == linear(8, 16)
    assert admission.available == NO_LIMIT


@pytest.mark.parametrize(
    ("available", "lanes", "limited_by"),
    [
        (Available(device_bytes=138 * MIB, host_bytes=64 * MIB), 16, None),
        (Available(device_bytes=138 * MIB - 1, host_bytes=64 * MIB), 15, LimitedBy.DEVICE),
        (Available(device_bytes=138 * MIB, host_bytes=64 * MIB - 1), 15, LimitedBy.HOST),
        (Available(device_bytes=18 * MIB, host_bytes=64 * MIB), 1, LimitedBy.DEVICE),
        (Available(device_bytes=58 * MIB, host_bytes=None, shared_pool=True), 4, LimitedBy.POOL),
    ],
)
def test_as_many_lanes_as_fit_share_the_work(available, lanes, limited_by):
    admission = admit_linear(available)

    assert (admission.lanes, admission.limited_by) == (lanes, limited_by)
    assert admission.need == linear(8, lanes)


def test_where_not_even_one_lane_fits_the_error_says_what_would():
    with pytest.raises(DoesNotFitError) as caught:
        admit_linear(device_only(31 * MIB), batch=128)

    assert str(caught.value) == (
        "batch 128 with 1 lane needs 138 MiB of device memory, 31.0 MiB are available; "
        "the largest batch that fits is 21, of those asked for 16: "
        "lower --batch to 21, or free device memory"
    )
    assert caught.value.facts == {
        "requested_bytes": 138 * MIB,
        "available_bytes": 31 * MIB,
        "limited_by": "device",
        "lanes_requested": 1,
        "lanes_that_fit": 0,
        "largest_batch_that_fits": 21,
        "largest_listed_batch_that_fits": 16,
    }


def test_where_no_batch_fits_the_largest_is_zero():
    with pytest.raises(DoesNotFitError) as caught:
        admit_linear(Available(device_bytes=None, host_bytes=MIB // 2 - 1))

    assert str(caught.value) == (
        "batch 8 with 1 lane needs 4.00 MiB of host memory, 512 KiB are available; no batch fits: free host memory"
    )
    assert caught.value.facts["largest_batch_that_fits"] == 0
    assert caught.value.facts["largest_listed_batch_that_fits"] == 0


def test_where_none_of_the_listed_batches_fits_the_error_says_so():
    with pytest.raises(DoesNotFitError, match="the largest batch that fits is 7, of those asked for none:") as caught:
        admit_linear(device_only(17 * MIB), batches=(8, 16))

    assert caught.value.facts["largest_listed_batch_that_fits"] == 0


def test_of_a_memory_that_is_short_the_options_that_hold_it_back_are_named_and_no_others():
    remedies = {LimitedBy.POOL: ("raise --memory-budget", "lower --memory-reserve"), LimitedBy.HOST: ("never said",)}
    with pytest.raises(DoesNotFitError) as caught:
        admit_linear(Available(device_bytes=MIB, host_bytes=None, shared_pool=True, remedies=remedies))

    assert str(caught.value).endswith("free shared memory, or raise --memory-budget, or lower --memory-reserve")


def test_where_lanes_may_not_be_shared_fewer_lanes_do_not_do():
    with pytest.raises(DoesNotFitError) as caught:
        admit_linear(device_only(74 * MIB), share_lanes=False)

    assert str(caught.value) == (
        "batch 8 with 16 lanes needs 138 MiB of device memory, 74.0 MiB are available; "
        "the largest batch that fits is 4, of those asked for 4: "
        "lower --batch to 4, or lower --concurrency to 8, or let lanes be shared by --on-pressure backpressure, "
        "or free device memory"
    )
    assert (caught.value.facts["lanes_requested"], caught.value.facts["lanes_that_fit"]) == (16, 8)


def test_where_lanes_may_not_be_shared_all_of_them_are_admitted():
    assert admit_linear(device_only(138 * MIB), share_lanes=False).lanes == 16


steps = st.integers(0, 50)


@given(
    fixed=steps,
    per_lane=steps,
    per_item=steps,
    host_per_item=steps,
    batch=st.integers(1, 40),
    concurrency=st.integers(1, 40),
    batches=st.lists(st.integers(1, 40), max_size=6),
    device=st.none() | st.integers(0, 20_000),
    host=st.none() | st.integers(0, 20_000),
    shared_pool=st.booleans(),
    share_lanes=st.booleans(),
)
def test_bisection_finds_what_trying_everything_finds(  # noqa: PLR0917 - hypothesis fills them by name
    fixed, per_lane, per_item, host_per_item, batch, concurrency, batches, device, host, shared_pool, share_lanes
):
    available = Available(device_bytes=device, host_bytes=host, shared_pool=shared_pool)

    def need_of(batch, lanes):
        return MemoryForecast(
            device_bytes=fixed + lanes * (per_lane + batch * per_item), host_bytes=lanes * batch * host_per_item
        )

    def fits(batch, lanes):
        return available.shortage(need_of(batch, lanes)) is None

    lanes = max((n for n in range(1, concurrency + 1) if fits(batch, n)), default=0)
    needed = 1 if share_lanes else concurrency

    def ask():
        return admit(
            need_of,
            batch=batch,
            concurrency=concurrency,
            batches=batches,
            available=available,
            share_lanes=share_lanes,
        )

    if lanes >= needed:
        found = ask()
        assert found.lanes == lanes
        assert (found.limited_by is None) == (lanes == concurrency)
    else:
        with pytest.raises(DoesNotFitError) as caught:
            ask()
        facts = caught.value.facts
        assert facts["lanes_that_fit"] == lanes
        assert facts["requested_bytes"] > facts["available_bytes"]
        assert facts["largest_batch_that_fits"] == max((n for n in range(1, 41) if fits(n, needed)), default=0)
        assert facts["largest_listed_batch_that_fits"] == max((n for n in batches if fits(n, needed)), default=0)


def test_a_huge_sweep_asks_for_few_forecasts():
    asked = []

    def need_of(batch, lanes):
        asked.append((batch, lanes))
        return linear(batch, lanes)

    with pytest.raises(DoesNotFitError):
        admit(need_of, batch=1_000_000, concurrency=1_000, batches=POWERS, available=device_only(MIB), share_lanes=True)

    assert len(asked) < 50
