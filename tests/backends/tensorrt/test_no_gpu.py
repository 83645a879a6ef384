"""A machine on which no GPU can be used says so, and what to do."""

import pytest

pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")

from asyncbench.backends.tensorrt.run.cuda_device import cuda_error, no_such_device_text, unavailable_gpu
from asyncbench.errors import ExitCode

NO_DEVICE = cuda_error("CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected", "cuInit")


def test_without_a_visible_gpu_another_backend_is_offered(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    error = unavailable_gpu(NO_DEVICE)

    assert error.exit_code is ExitCode.BAD_INPUT
    assert error.message == "no NVIDIA GPU is visible"
    assert "--gpus all" in error.remedy
    assert "--backend onnxruntime" in error.remedy


def test_a_variable_that_hides_the_gpus_is_named(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    error = unavailable_gpu(NO_DEVICE)

    assert error.message == "no NVIDIA GPU is visible: CUDA_VISIBLE_DEVICES is ''"
    assert "unset CUDA_VISIBLE_DEVICES" in error.remedy


def test_a_driver_that_does_not_start_for_another_reason_says_which():
    error = unavailable_gpu(cuda_error("CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "mismatch", "cuInit"))

    assert error.exit_code is ExitCode.BAD_INPUT
    assert "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH" in error.message


@pytest.mark.parametrize(("count", "there"), [(1, "there is 1 device"), (2, "there are 2 devices")])
def test_a_device_that_there_is_not_is_told_with_how_many_there_are(monkeypatch, count, there):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    assert no_such_device_text(7, count) == f"there is no cuda:7: {there}"
