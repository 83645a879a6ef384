"""Device memory of TensorRT: counted and limited; over a device of our own, and through the real bindings' C++."""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.backends.tensorrt.bindings.allocator import CountingAllocator
from asyncbench.backends.tensorrt.bindings.find_bindings import MODULE_NAMES
from asyncbench.backends.tensorrt.bindings.versions import Bindings, Severity
from asyncbench.backends.tensorrt.build.engine_choice import choose_engines
from asyncbench.backends.tensorrt.run.loaded_plan import LoadedPlan
from asyncbench.errors import AsyncbenchError, BadInputError, DeviceLostError, DoesNotFitError, LaneError
from asyncbench.sweep.backends.tensorrt import EngineMode

MIB = 1 << 20


class Device:
    """Gives addresses away and never the same again, each `off` bytes past a multiple of 4096."""

    def __init__(self, *, capacity_bytes: int = 1 << 40, off: int = 0) -> None:
        self.capacity_bytes, self.off = capacity_bytes, off
        self.held: dict[int, int] = {}
        self._next = 4096
        self._lock = Lock()

    def allocate(self, size_bytes: int) -> int:
        with self._lock:
            if sum(self.held.values()) + size_bytes > self.capacity_bytes:
                return 0
            address = self._next + self.off
            self._next += -(-size_bytes // 4096) * 4096 + 4096
            self.held[address] = size_bytes
            return address

    def free(self, address: int) -> None:
        with self._lock:
            del self.held[address]


def allocator_of(device: Device, *, limit_bytes: int | None = None) -> CountingAllocator:
    return CountingAllocator(device.allocate, device.free, limit_bytes=limit_bytes)


def test_what_is_held_and_the_most_that_ever_was_are_exact():
    allocator = allocator_of(Device())

    first = allocator.allocate(3 * MIB, 256)
    allocator.allocate(1 * MIB, 0)
    freed = allocator.free(first)
    allocator.allocate(1, 256)

    assert freed
    assert (allocator.held_bytes, allocator.peak_bytes) == (MIB + 1, 4 * MIB)


def test_above_its_limit_it_gives_nothing_and_keeps_the_reason():
    device = Device()
    allocator = allocator_of(device, limit_bytes=4 * MIB)
    allocator.allocate(3 * MIB, 256)

    address = allocator.allocate(2 * MIB, 256)
    refusal = allocator.take_refusal()

    assert address == 0
    assert len(device.held) == 1
    assert isinstance(refusal, DoesNotFitError)
    assert refusal.message == "TensorRT asked for 2.00 MiB of device memory, 1.00 MiB of its 4.00 MiB are left"
    assert refusal.facts == {"requested_bytes": 2 * MIB, "available_bytes": MIB, "limit_bytes": 4 * MIB}
    assert "--memory-budget" in refusal.remedy
    assert allocator.take_refusal() is None


def test_a_refused_request_does_not_count():
    allocator = allocator_of(Device(capacity_bytes=MIB))

    allocator.allocate(2 * MIB, 256)

    assert (allocator.held_bytes, allocator.peak_bytes) == (0, 0)


def test_a_limit_that_is_lowered_takes_nothing_away_and_gives_nothing_more():
    device = Device()
    allocator = allocator_of(device)
    kept = allocator.allocate(4 * MIB, 256)

    allocator.set_limit(MIB)

    assert kept in device.held
    assert allocator.allocate(1, 256) == 0
    assert allocator.take_refusal().facts["available_bytes"] == 0


def test_a_limit_that_is_raised_counts_at_once():
    allocator = allocator_of(Device(), limit_bytes=0)
    refused = allocator.allocate(MIB, 256)

    allocator.set_limit(MIB)

    assert refused == 0
    assert allocator.allocate(MIB, 256)


def test_no_bytes_are_null_and_null_is_freed_as_tensorrt_has_it():
    allocator = allocator_of(Device(), limit_bytes=0)

    assert allocator.allocate(0, 256) == 0
    assert allocator.free(0)
    assert allocator.take_refusal() is None


def test_memory_that_is_not_aligned_is_padded_and_freed_where_it_starts():
    device = Device(off=64)
    allocator = allocator_of(device)

    address = allocator.allocate(MIB, 256)
    held_bytes = allocator.held_bytes
    ((base, size_bytes),) = device.held.items()

    assert address % 256 == 0
    assert base <= address
    assert address + MIB <= base + size_bytes
    assert held_bytes == allocator.peak_bytes == size_bytes == MIB + 255
    assert allocator.free(address)
    assert device.held == {}
    assert allocator.held_bytes == 0


def test_an_error_of_the_device_is_kept_instead_of_raised():
    lost = DeviceLostError("cuMemAlloc: CUDA_ERROR_ILLEGAL_ADDRESS")

    def allocate(_size_bytes: int) -> int:
        raise lost

    allocator = CountingAllocator(allocate, lambda _address: None, limit_bytes=MIB)

    assert allocator.allocate(MIB, 256) == 0
    assert allocator.take_refusal() is lost
    assert allocator.allocate(MIB, 256) == 0, "the first one must not stay charged"
    assert allocator.take_refusal() is lost


def test_a_defect_of_ours_is_kept_as_an_error_with_its_name():
    allocator = CountingAllocator(lambda size: size // 0, lambda _address: None)

    assert allocator.allocate(1, 0) == 0
    assert "ZeroDivisionError" in allocator.take_refusal().message


def test_what_was_never_given_cannot_be_freed():
    device = Device()
    allocator = allocator_of(device)
    address = allocator.allocate(MIB, 256)
    allocator.free(address)

    assert not allocator.free(address)
    assert isinstance(allocator.take_refusal(), LaneError)
    assert allocator.held_bytes == 0


def test_what_the_device_does_not_take_back_stays_counted():
    def fail(_address: int) -> None:
        raise DeviceLostError("cuMemFree: CUDA_ERROR_LAUNCH_FAILED")

    allocator = CountingAllocator(Device().allocate, fail)
    address = allocator.allocate(MIB, 256)

    assert not allocator.free(address)
    assert allocator.held_bytes == MIB


@given(
    st.lists(st.one_of(st.integers(1, 5000), st.none()), max_size=60),
    st.integers(0, 20_000),
    st.integers(0, 20_000),
    st.sampled_from([0, 64, 4095]),
    st.sampled_from([0, 1, 256, 512]),
)
def test_counted_is_what_the_device_gave_and_never_above_the_limit(steps, limit_bytes, capacity_bytes, off, alignment):
    device = Device(capacity_bytes=capacity_bytes, off=off)
    allocator = allocator_of(device, limit_bytes=limit_bytes)
    live: list[int] = []
    peak_bytes = 0

    for size_bytes in steps:
        if size_bytes is None:
            assert not live or allocator.free(live.pop(0))
        elif address := allocator.allocate(size_bytes, alignment):
            assert not alignment or address % alignment == 0
            live.append(address)
        peak_bytes = max(peak_bytes, allocator.held_bytes)
        assert allocator.held_bytes == sum(device.held.values()) <= limit_bytes
        assert len(device.held) == len(live)

    assert peak_bytes <= allocator.peak_bytes <= limit_bytes


def test_threads_together_stay_below_the_limit_and_give_everything_back():
    device = Device()
    limit_bytes = 3 * MIB
    allocator = CountingAllocator(device.allocate, device.free, limit_bytes=limit_bytes)

    def use(_index: int) -> None:
        for _ in range(200):
            allocator.free(allocator.allocate(MIB, 256))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(8)))

    assert MIB <= allocator.peak_bytes <= limit_bytes
    assert allocator.held_bytes == 0
    assert device.held == {}


# -- through the bindings' own class: Python calls C++, which calls our override


@pytest.fixture(params=[name for name in MODULE_NAMES if importlib.util.find_spec(name) is not None] or [None])
def module(request: pytest.FixtureRequest) -> ModuleType:
    if request.param is None:
        pytest.skip("bindings of TensorRT are not installed")
    return importlib.import_module(request.param)


class FromCpp:
    """Calls an allocator as C++ would: through the base class, whose virtual methods lead to the overrides."""

    def __init__(self, module: ModuleType, allocator: CountingAllocator) -> None:
        self._base = module.IGpuAllocator
        self._object = Bindings(module).create_gpu_allocator(allocate=allocator.allocate, free=allocator.free)
        self._suffix, self._stream = ("_async", (0,)) if hasattr(self._base, "allocate_async") else ("", ())

    def allocate(self, size_bytes: int, alignment: int) -> int:
        capsule = getattr(self._base, f"allocate{self._suffix}")(self._object, size_bytes, alignment, 0, *self._stream)
        return 0 if capsule is None else _pointer(capsule)

    def free(self, address: int) -> bool:
        return getattr(self._base, f"deallocate{self._suffix}")(self._object, _capsule(address), *self._stream)

    def resize(self, address: int, size_bytes: int) -> object:
        return self._base.reallocate(self._object, _capsule(address), 256, size_bytes)


def test_the_bindings_pass_sizes_and_addresses_on_unchanged(module):
    device = Device()
    allocator = allocator_of(device)
    cpp = FromCpp(module, allocator)

    address = cpp.allocate(5 * (1 << 32), 256)
    held_bytes = allocator.held_bytes
    freed = cpp.free(address)

    assert held_bytes == 5 * (1 << 32)
    assert freed
    assert device.held == {}


def test_the_bindings_turn_a_refusal_into_null_without_a_word(module, capfd):
    allocator = allocator_of(Device(), limit_bytes=MIB)
    cpp = FromCpp(module, allocator)

    address = cpp.allocate(2 * MIB, 256)

    assert address == 0
    assert allocator.take_refusal().facts["requested_bytes"] == 2 * MIB
    assert capfd.readouterr() == ("", "")


def test_nothing_is_raised_through_the_bindings(module, capfd):
    def fail(_value: int) -> int:
        raise OverflowError

    allocator = CountingAllocator(fail, fail)
    cpp = FromCpp(module, allocator)

    assert cpp.allocate(MIB, 256) == 0
    assert not cpp.free(4096)
    assert capfd.readouterr() == ("", "")


def test_memory_is_not_resized_in_place(module):
    device = Device()
    cpp = FromCpp(module, allocator_of(device))
    address = cpp.allocate(MIB, 256)

    assert cpp.resize(address, 2 * MIB) is None
    assert device.held == {address: MIB}


@pytest.mark.parametrize("owner", ["Builder", "Runtime"])
def test_tensorrt_keeps_the_allocator_as_long_as_it_may_call_it(rtx, owner):
    logger = rtx.create_logger(lambda _severity, _text: None)
    made = getattr(rtx.module, owner)(logger)
    made.gpu_allocator = kept = rtx.create_gpu_allocator(allocate=lambda _size, _alignment: 0, free=lambda _: True)
    alive = weakref.ref(kept)

    del kept
    gc.collect()
    alive_with_owner = alive() is not None
    del made
    gc.collect()

    assert alive_with_owner
    assert alive() is None


# -- a plan that TensorRT refuses to load: stand-ins, for a real one gets so far only with a GPU


class RefusingBindings:
    """A runtime that asks its allocator for weights, gets nothing, and says `complaint`."""

    def __init__(self, complaint: str) -> None:
        self._complaint = complaint

    def create_logger(self, on_message):
        self._on_message = on_message
        return object()

    def create_gpu_allocator(self, *, allocate, free):
        return SimpleNamespace(allocate=allocate, free=free)

    def create_runtime(self, _logger):
        runtime = SimpleNamespace(gpu_allocator=None)

        def deserialize(_plan: bytes) -> None:
            if runtime.gpu_allocator is not None:
                runtime.gpu_allocator.allocate(2 * MIB, 256)
            self._on_message(Severity.ERROR, self._complaint)

        runtime.deserialize_cuda_engine = deserialize
        return runtime


def load(complaint: str, tmp_path, allocator: CountingAllocator | None = None) -> AsyncbenchError:
    path = tmp_path / "net.engine"
    path.write_bytes(b"plan")
    with pytest.raises(AsyncbenchError) as raised:
        LoadedPlan(RefusingBindings(complaint), path, choose_engines((1,), EngineMode.STATIC)[0], allocator=allocator)
    return raised.value


def test_a_plan_without_room_for_its_weights_does_not_fit(tmp_path):
    error = load("the engine could not be deserialized", tmp_path, allocator_of(Device(), limit_bytes=MIB))

    assert isinstance(error, DoesNotFitError)
    assert error.facts == {"requested_bytes": 2 * MIB, "available_bytes": MIB, "limit_bytes": MIB}
    assert "refused the engine net.engine: TensorRT asked for 2.00 MiB" in error.message


def test_a_plan_that_runs_out_of_tensorrts_own_memory_does_not_fit(tmp_path):
    complaint = (
        "[executionContext.cpp::initializeExecutionContext::625] Error Code 2: OutOfMemory (Requested size was 9)"
    )

    assert isinstance(load(complaint, tmp_path), DoesNotFitError)


def test_a_plan_that_is_refused_with_memory_left_is_bad(tmp_path):
    assert isinstance(load("Serialization error", tmp_path, allocator_of(Device())), BadInputError)


def _pointer(capsule: object) -> int:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return get(capsule, None) or 0


def _capsule(address: int) -> object:
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return new(address, None, None)
