from __future__ import annotations

import dataclasses

import pytest

from asyncbench.backends.tensorrt.flavour import Flavour, FlavourName
from asyncbench.backends.tensorrt.gpu_facts import GpuFacts
from asyncbench.backends.tensorrt.precision import check_precision, supported_precisions
from asyncbench.errors import BackendUnavailableError
from asyncbench.sweep.cell import Precision

TRT8 = Flavour(
    name=FlavourName.TENSORRT,
    version="8.6.0",
    module_name="tensorrt",
    has_builder=True,
    has_progress_monitor=False,
    has_timing_cache=True,
    has_precision_flags=True,
    has_calibrators=True,
    has_user_managed_contexts=False,
    builds_without_gpu=False,
    precision_flags=frozenset({Precision.FP16, Precision.INT8}),
)
TRT11 = dataclasses.replace(
    TRT8, version="11.4.0", has_precision_flags=False, has_calibrators=False, precision_flags=frozenset()
)


def gpu(major: int, minor: int) -> GpuFacts:
    return GpuFacts(name="GPU", compute_capability=(major, minor), driver_major=570, cuda_major=12)


@pytest.mark.parametrize(
    ("flavour", "compute_capability", "expected"),
    [
        (TRT8, (9, 0), "fp32 fp16 int8"),  # H200
        (TRT11, (9, 0), "fp32 fp16 int8 bf16 fp8"),
        (TRT11, (8, 0), "fp32 fp16 int8 bf16"),  # A100
        (TRT11, (7, 5), "fp32 fp16 int8"),  # T4
        (TRT8, (6, 1), "fp32 int8"),  # GTX 1080
        (TRT8, (5, 3), "fp32 fp16"),  # Jetson Nano
        (TRT8, (6, 2), "fp32 fp16"),  # Jetson TX2
    ],
)
def test_supported_is_what_both_the_version_and_the_gpu_have(flavour, compute_capability, expected):
    assert " ".join(supported_precisions(flavour, gpu(*compute_capability))) == expected


def test_what_the_version_lacks_is_refused_with_what_it_has():
    with pytest.raises(BackendUnavailableError, match=r"TensorRT 8.6.0 cannot build bf16: .* from fp32, fp16, int8"):
        check_precision(Precision.BF16, TRT8, gpu(9, 0))


def test_what_the_gpu_lacks_is_refused_with_what_it_has():
    with pytest.raises(BackendUnavailableError, match=r"compute capability 7.5\) has no hardware for bf16: .*int8$"):
        check_precision(Precision.BF16, TRT11, gpu(7, 5))


def test_what_is_supported_is_not_refused():
    check_precision(Precision.FP8, TRT11, gpu(8, 9))


def test_a_runtime_without_builder_builds_nothing():
    assert supported_precisions(dataclasses.replace(TRT11, has_builder=False), gpu(9, 0)) == ()
