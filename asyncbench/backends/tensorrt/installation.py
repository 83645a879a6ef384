"""The TensorRT and the first GPU of this machine: whether they are there, and what they can do. Blocking."""

from __future__ import annotations

from asyncbench.backends.tensorrt.bindings.find_bindings import find_bindings, system_folders
from asyncbench.backends.tensorrt.bindings.precision import describe_precisions, slow_precisions
from asyncbench.backends.tensorrt.bindings.versions import Bindings
from asyncbench.backends.tensorrt.run.cuda_device import CudaDevice
from asyncbench.errors import AsyncbenchError
from asyncbench.sweep.cell import Precision


def why_unavailable() -> str | None:
    """Return why no engine can be run on this machine, or None if one can. Blocking."""
    try:
        find_bindings(folders=system_folders())
        CudaDevice(0)
    except AsyncbenchError as error:
        return str(error)
    return None


def describe_installation() -> str:
    """Return what TensorRT and which first GPU are used. Blocking; only where `why_unavailable` gives no reason."""
    variant = find_bindings(folders=system_folders()).variant
    gpu = CudaDevice(0).facts()
    return f"{variant} on {gpu.name} (compute capability {gpu.compute_capability_text})"


def describe_installed_precisions() -> str:
    """Return the supported precisions, and why the others are not, on one line.

    Raises:
        BackendUnavailableError: There is no TensorRT or no GPU, or its builder does not start.
    """
    bindings = find_bindings(folders=system_folders())
    device = CudaDevice(0)
    device.activate()
    return describe_precisions(bindings.variant, device.facts(), called_slow=_slow_for_builder(bindings))


def _slow_for_builder(bindings: Bindings) -> tuple[Precision, ...]:
    if not bindings.variant.has_precision_flags:
        return ()  # such a version has no opinion either, and a builder takes seconds
    return slow_precisions(bindings.create_builder(bindings.create_logger(lambda *_: None)))
