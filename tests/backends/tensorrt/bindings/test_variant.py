from __future__ import annotations

import dataclasses

import pytest

from asyncbench.backends.tensorrt.bindings.variant import TensorRtProduct, TensorRtVariant, why_plan_is_foreign

TRT = TensorRtVariant(
    name=TensorRtProduct.TENSORRT,
    version="8.6.0",
    module_name="tensorrt",
    has_builder=True,
    has_progress_monitor=False,
    has_timing_cache=True,
    has_precision_flags=True,
    has_calibrators=True,
    has_user_managed_contexts=False,
    precision_flags=frozenset(),
)


def head(tag: bytes, *version: int) -> bytes:
    return tag + bytes(20) + bytes(version) + bytes(36)


@pytest.mark.parametrize(
    ("version", "plan"),
    [("8.6.0", (8, 6, 0, 12)), ("11.4.0.106", (11, 4, 0, 106)), ("10.14.1.48.post1", (10, 14, 1, 48))],
)
def test_a_plan_of_the_same_version_is_ours(version, plan):
    assert why_plan_is_foreign(head(b"ftrt", *plan), dataclasses.replace(TRT, version=version)) is None


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (head(b"ftrt", 8, 5, 3, 1), "built by tensorrt 8.5.3.1, this is tensorrt 8.6.0"),
        (head(b"vtrt", 8, 6, 0, 1), "built by tensorrt_rtx 8.6.0.1"),
        (head(b"PK\3\4", 8, 6, 0, 1), "no TensorRT engine"),
        (head(b"ftrt", 8, 6, 0, 1)[:27], "no TensorRT engine"),
        (b"", "no TensorRT engine"),
    ],
)
def test_any_other_plan_is_foreign_and_says_why(plan, reason):
    assert reason in (why_plan_is_foreign(plan, TRT) or "")
