"""Messages that TensorRT really writes, and the errors that they mean."""

from __future__ import annotations

import pytest

from asyncbench.backends.tensorrt.bindings.versions import Severity
from asyncbench.backends.tensorrt.build.engine_choice import choose_engines
from asyncbench.backends.tensorrt.build.log import BuildLog, tells_out_of_memory
from asyncbench.backends.tensorrt.build.messages import BuildRequest, BuildSettings
from asyncbench.errors import DoesNotFitError, EngineBuildError
from asyncbench.sweep.backends.tensorrt import EngineMode
from asyncbench.sweep.cell import Precision

REQUEST = BuildRequest(
    module_name="tensorrt",
    model_path="net.onnx",
    engine_path="net.engine",
    precision=Precision.FP16,
    shape=choose_engines((4,), EngineMode.STATIC)[0],
    settings=BuildSettings(),
)
# Of 8.x, 10 and RTX, from NVIDIA/TensorRT issues 477, 4258, of others' logs, and of the libraries' own strings.
OUT_OF_MEMORY = [
    "1: [defaultAllocator.cpp::allocate::19] Error Code 1: Cuda Runtime (out of memory)",
    "2: [virtualMemoryBuffer.cpp::resizePhysical::145] Error Code 2: OutOfMemory (no further information)",
    "Requested amount of GPU memory (15485030400 bytes) could not be allocated.",
    "Skipping tactic 3 due to insuficient memory on requested size of 449 detected for tactic 4.",
    "UNSUPPORTED_STATE: Skipping tactic 28 due to insufficient memory on requested size of 2833252352 detected",
    "Tactic Device request: 448MB Available: 425MB. Device memory is insufficient to use tactic.",
    "autotuning: User allocator error allocating 15485030400-byte buffer",
    "GPU memory allocation failed during initialization of layer: conv",
    "[Autotuner]: Skipping tactic: ran out of scratch memory while compiling the auto-tuner subgraph.",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    "LLVM ERROR: out of memory",
]
NO_KERNEL = (
    "10: [optimizer.cpp::computeCosts::3869] Error Code 10: Internal Error "
    "(Could not find any implementation for node conv.)"
)
NO_WORKSPACE = (
    "Error Code 10: Internal Error (Could not find any implementation for node conv due to insufficient workspace. "
    "See verbose log for requested sizes.)"
)


@pytest.fixture
def log() -> BuildLog:
    return BuildLog()


@pytest.mark.parametrize("line", OUT_OF_MEMORY)
def test_an_error_about_memory_does_not_fit(log, line):
    log.take(Severity.ERROR, line)

    error = log.failure(REQUEST)

    assert isinstance(error, DoesNotFitError)
    assert error.message == f"TensorRT could not build fp16 for batch 4: {line}"
    assert error.remedy


@pytest.mark.parametrize(
    "line",
    [
        NO_KERNEL,
        "CUDA driver version is insufficient for CUDA runtime version",
        "ran out of registers during register allocation",
        "Insufficient alignment",
    ],
)
def test_other_messages_say_nothing_of_memory(line):
    assert not tells_out_of_memory(line)


@pytest.mark.parametrize("line", OUT_OF_MEMORY)
def test_no_kernel_after_warnings_about_memory_is_a_shortage_in_disguise(log, line):
    log.take(Severity.WARNING, line)
    log.take(Severity.ERROR, NO_KERNEL)

    error = log.failure(REQUEST)

    assert isinstance(error, DoesNotFitError)
    assert line in error.message


def test_kernels_that_were_skipped_do_not_explain_another_error(log):
    log.take(Severity.WARNING, OUT_OF_MEMORY[2])
    log.take(Severity.ERROR, "Error Code 4: shapes of the elementwise inputs differ")

    error = log.failure(REQUEST)

    assert isinstance(error, EngineBuildError)
    assert error.message.endswith("shapes of the elementwise inputs differ")


def test_too_small_a_workspace_asks_for_more_of_it_though_memory_was_short_too(log):
    log.take(Severity.WARNING, OUT_OF_MEMORY[2])
    log.take(Severity.ERROR, NO_WORKSPACE)

    error = log.failure(REQUEST)

    assert isinstance(error, EngineBuildError)
    assert "raise --workspace" in error.remedy


def test_of_many_the_largest_request_is_told_even_behind_all_that_is_kept(log):
    for index in range(100):
        log.take(Severity.WARNING, f"Requested amount of GPU memory ({index} bytes) could not be allocated.")
    log.take(Severity.ERROR, NO_KERNEL)

    assert "(99 bytes)" in log.failure(REQUEST).message


def test_our_own_refusal_says_more_than_tensorrts_words(log):
    log.take(Severity.ERROR, OUT_OF_MEMORY[1])
    refusal = DoesNotFitError("TensorRT asked for 2.00 MiB of device memory, 1.00 MiB of its 4.00 MiB are left")

    error = log.failure(REQUEST, refusal)

    assert error.message.endswith("1.00 MiB of its 4.00 MiB are left")


def test_a_refusal_that_tensorrt_got_over_does_not_explain_another_error(log):
    log.take(Severity.ERROR, "Error Code 4: shapes differ")

    error = log.failure(REQUEST, DoesNotFitError("1 B of 2 B are left"))

    assert isinstance(error, EngineBuildError)


def test_without_a_word_there_is_no_reason(log):
    error = log.failure(REQUEST)

    assert isinstance(error, EngineBuildError)
    assert "it gave no reason" in error.message
