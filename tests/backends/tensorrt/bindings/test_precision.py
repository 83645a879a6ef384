from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.backends.tensorrt.bindings.gpu_facts import GpuFacts
from asyncbench.backends.tensorrt.bindings.precision import (
    check_precision,
    describe_precisions,
    slow_precisions,
    supported_precisions,
    why_not,
)
from asyncbench.backends.tensorrt.bindings.variant import TensorRtProduct, TensorRtVariant
from asyncbench.errors import BackendUnavailableError
from asyncbench.sweep.cell import Precision

TRT8 = TensorRtVariant(
    name=TensorRtProduct.TENSORRT,
    version="8.6.0",
    module_name="tensorrt",
    has_builder=True,
    has_progress_monitor=False,
    has_timing_cache=True,
    has_precision_flags=True,
    has_calibrators=True,
    has_user_managed_contexts=False,
    precision_flags=frozenset({Precision.FP16, Precision.INT8}),
)
TRT10 = dataclasses.replace(TRT8, version="10.3.0", precision_flags=frozenset(Precision))
TRT11 = dataclasses.replace(
    TRT8, version="11.4.0", has_precision_flags=False, has_calibrators=False, precision_flags=frozenset()
)
RTX = dataclasses.replace(TRT11, name=TensorRtProduct.RTX, version="1.7.1.116")
LEAN = dataclasses.replace(TRT11, has_builder=False)


def gpu(major: int, minor: int) -> GpuFacts:
    return GpuFacts(name="GPU", compute_capability=(major, minor), driver_major=570, cuda_major=12)


@pytest.mark.parametrize(
    ("variant", "compute_capability", "expected"),
    [
        (TRT8, (9, 0), "fp32 fp16 int8"),  # H200
        (TRT11, (9, 0), "fp32 fp16 int8 bf16 fp8"),
        (TRT11, (8, 0), "fp32 fp16 int8 bf16"),  # A100
        (TRT11, (7, 5), "fp32 fp16 int8"),  # T4
        (TRT8, (6, 1), "fp32 int8"),  # GTX 1080
        (TRT8, (5, 3), "fp32 fp16"),  # Jetson Nano
        (TRT8, (6, 2), "fp32 fp16"),  # Jetson TX2
        (TRT8, (5, 0), "fp32"),  # GTX 980
        (TRT8, (3, 7), ""),  # K80, which the predecessor still named
        (TRT8, (6, 0), "fp32 fp16"),  # P100
        (TRT8, (7, 2), "fp32 fp16 int8"),  # Jetson AGX Xavier
        (TRT8, (8, 7), "fp32 fp16 int8"),  # Jetson Orin
        (TRT10, (8, 7), "fp32 fp16 int8 bf16"),
        (TRT10, (7, 0), "fp32 fp16 int8"),  # V100
        (dataclasses.replace(TRT10, version="10.5.0"), (7, 0), ""),
        (TRT10, (6, 1), ""),
        (TRT11, (8, 6), "fp32 fp16 int8 bf16"),  # A10
        (TRT11, (12, 0), "fp32 fp16 int8 bf16 fp8"),  # RTX 5090
        (RTX, (12, 0), "fp32 fp16 int8 bf16 fp8"),
        (RTX, (7, 5), "fp32 fp16"),  # int8 of Turing is not used there
        (RTX, (7, 0), ""),
    ],
)
def test_supported_is_what_both_the_version_and_the_gpu_have(variant, compute_capability, expected):
    assert " ".join(supported_precisions(variant, gpu(*compute_capability))) == expected


def test_what_the_version_lacks_is_refused_with_what_it_has():
    with pytest.raises(BackendUnavailableError, match=r"TensorRT 8.6.0 cannot build bf16: .* from fp32, fp16, int8"):
        check_precision(Precision.BF16, TRT8, gpu(9, 0))


def test_what_the_gpu_lacks_is_refused_with_what_it_has():
    with pytest.raises(BackendUnavailableError, match=r"compute capability 7.5\) has no hardware for bf16: .*int8$"):
        check_precision(Precision.BF16, TRT11, gpu(7, 5))


def test_what_is_supported_is_not_refused():
    check_precision(Precision.FP8, TRT11, gpu(8, 9))


@pytest.mark.parametrize(
    ("precision", "variant", "compute_capability", "line"),
    [
        (Precision.INT8, TRT8, (5, 3), r"GPU \(compute capability 5.3\) has no hardware for int8: .* fp32, fp16$"),
        (
            Precision.FP16,
            TRT11,
            (7, 0),
            r"TensorRT 11.4.0 needs a GPU of compute capability 7.5 or newer, GPU .*7.0\) is",
        ),
        (Precision.INT8, RTX, (7, 5), r"TensorRT-RTX 1.7.1.116 has no int8 for GPU .*7.5\): .* fp32, fp16$"),
        (Precision.FP32, LEAN, (9, 0), r"\(runtime only\) cannot build fp32: choose --backend onnxruntime$"),
    ],
)
def test_a_refusal_says_whose_fault_it_is_and_what_there_is(precision, variant, compute_capability, line):
    with pytest.raises(BackendUnavailableError, match=line):
        check_precision(precision, variant, gpu(*compute_capability))


def test_a_runtime_without_builder_builds_nothing():
    assert supported_precisions(LEAN, gpu(9, 0)) == ()


@given(
    st.sampled_from([TRT8, TRT10, TRT11, RTX, LEAN]),
    st.tuples(st.integers(min_value=3, max_value=15), st.integers(min_value=0, max_value=9)),
    st.sampled_from(Precision),
)
def test_what_is_refused_is_never_offered_and_what_is_offered_never_refused(variant, capability, precision):
    here = gpu(*capability)

    why = why_not(precision, variant, here)

    assert (why is None) == (precision in supported_precisions(variant, here))
    assert why is None or why in describe_precisions(variant, here)


def test_people_are_told_what_is_missing_and_why():
    assert describe_precisions(TRT8, gpu(9, 0)) == (
        "fp32, fp16, int8; TensorRT 8.6.0 cannot build bf16; TensorRT 8.6.0 cannot build fp8"
    )


def test_people_are_told_once_that_a_gpu_is_too_old():
    assert describe_precisions(TRT11, gpu(6, 1)) == (
        "none; TensorRT 11.4.0 needs a GPU of compute capability 7.5 or newer, GPU (compute capability 6.1) is older"
    )


def test_where_tensorrt_disagrees_people_are_told():
    slow = slow_precisions(SimpleNamespace(platform_has_fast_fp16=True, platform_has_fast_int8=False))

    assert slow == (Precision.INT8,)
    assert describe_precisions(TRT10, gpu(8, 9), called_slow=slow).endswith(
        "; TensorRT 10.3.0 itself calls int8 slow here"
    )


def test_where_both_agree_that_a_precision_is_missing_it_is_said_once():
    said = describe_precisions(TRT8, gpu(5, 3), called_slow=(Precision.INT8,))

    assert said.count("int8") == 1


def test_the_builder_of_rtx_has_no_opinion(rtx):
    builder = rtx.create_builder(rtx.create_logger(lambda *_: None))

    assert slow_precisions(builder) == ()
