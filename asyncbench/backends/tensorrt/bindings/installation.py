"""What the TensorRT of this machine can build for its first GPU. Blocking; asked by `asyncbench doctor` alone."""

from __future__ import annotations

from asyncbench.backends.tensorrt.bindings.find_bindings import find_bindings, system_folders
from asyncbench.backends.tensorrt.bindings.precision import describe_precisions, slow_precisions
from asyncbench.backends.tensorrt.bindings.versions import Bindings
from asyncbench.backends.tensorrt.run.cuda_device import CudaDevice
from asyncbench.sweep.cell import Precision


def describe_installed_precisions() -> str:
    """Return the supported precisions, and why the others are not, on one line.

    Raises:
        BackendUnavailableError: There is no TensorRT or no GPU, or its builder does not start.
    """
    bindings = find_bindings(folders=system_folders())
    device = CudaDevice(0)
    device.activate()
    return describe_precisions(bindings.flavour, device.facts(), called_slow=_slow_for_builder(bindings))


def _slow_for_builder(bindings: Bindings) -> tuple[Precision, ...]:
    if not bindings.flavour.has_precision_flags:
        return ()  # such a version has no opinion either, and a builder takes seconds
    return slow_precisions(bindings.create_builder(bindings.create_logger(lambda *_: None)))
