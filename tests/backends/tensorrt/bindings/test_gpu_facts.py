"""The driver's own version is not that of the CUDA it offers."""

import pytest

from asyncbench.backends.tensorrt.bindings.gpu_facts import read_driver_major

CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.124.06  Wed Feb 26 02:14:28 UTC 2025\nGCC version:  gcc\n"
OPEN = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U22)\n"
    "GCC version:  gcc version 12.3.0\n"
)


@pytest.mark.parametrize(("text", "major"), [(CLOSED, 570), (OPEN, 580), ("", 0), ("GCC version: gcc 12.3.0\n", 0)])
def test_the_drivers_version_is_read_from_the_kernel(tmp_path, text, major):
    folder = tmp_path / "proc/driver/nvidia"
    folder.mkdir(parents=True)
    (folder / "version").write_text(text)

    assert read_driver_major(tmp_path) == major


def test_a_machine_without_that_file_has_no_known_version(tmp_path):
    assert read_driver_major(tmp_path) == 0
