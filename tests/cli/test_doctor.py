"""What `asyncbench doctor` makes of the answer of the process that looks for TensorRT."""

from __future__ import annotations

from asyncbench.cli.doctor import tensorrt_findings

FOUND = "TensorRT 8.6.0 on NVIDIA H200 (compute capability 9.0)"
PRECISIONS = "fp32, fp16, int8; TensorRT 8.6.0 cannot build bf16"


def lines(stdout: str, stderr: str = "", *, works: bool) -> list[str]:
    return [line for finding in tensorrt_findings(stdout, stderr, works=works) for line in finding.lines()]


def test_the_precisions_are_on_a_line_of_their_own():
    assert lines(f"{FOUND}\n{PRECISIONS}\n", works=True) == [
        f"yes  tensorrt backend:     {FOUND}",
        f"     precisions there:     {PRECISIONS}",
    ]


def test_what_a_library_prints_first_is_not_taken_for_the_answer():
    assert lines(f"loading ...\n{FOUND}\n{PRECISIONS}\n", works=True)[0].endswith(FOUND)


def test_why_there_is_no_tensorrt_is_all_that_is_said():
    assert lines("there is no NVIDIA driver\n", works=False) == ["no   tensorrt backend:     there is no NVIDIA driver"]


def test_of_a_crash_the_last_line_is_said():
    crash = "Traceback ...\nImportError: libnvinfer.so.10\n"

    assert lines("", crash, works=False) == ["no   tensorrt backend:     ImportError: libnvinfer.so.10"]


def test_the_command_says_which_precisions_there_are_without_a_gpu(tool):
    printed = tool.run("doctor").stdout

    assert "precisions there:     that of the model file; int8 with --calibration" in printed
