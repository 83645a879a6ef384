"""Messages of TensorRT during a build, and what they mean for the user: TensorRT itself only says that it failed."""

from __future__ import annotations

import re

from asyncbench.backends.tensorrt.bindings.versions import Severity
from asyncbench.backends.tensorrt.build.messages import BuildRequest
from asyncbench.errors import AsyncbenchError, DoesNotFitError, EngineBuildError

_MAX_KEPT = 20
# Seen in libraries of 8.6 to 11 and RTX 1.7 (`insuficient` is 8.x's own spelling), in LLVM and in the C++ library.
_MEMORY_SIGNS = re.compile(
    r"out ?of ?memory|insuff?icient memory|memory is insufficient|could not be allocated|cannot allocate"
    r"|failed to allocate|allocation fail(?:ed|ure)|error allocating|ran out of scratch memory|bad_alloc",
    re.IGNORECASE,
)
# What a node without any kernel left is called; why none was left is in warnings only.
_NO_KERNEL_SIGN = "could not find any implementation"
_WORKSPACE_SIGN = "insufficient workspace"
_BYTES = re.compile(r"(\d+)[ -]byte")


def tells_out_of_memory(line: str) -> bool:
    """Return whether one line of TensorRT, or of what lies under it, says that memory was refused."""
    return _MEMORY_SIGNS.search(line) is not None


class BuildLog:
    """Log of a build: the first errors and warnings, each once, and what they say about memory."""

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._warnings: list[str] = []
        self._shortage = ""

    def take(self, severity: Severity, message: str) -> None:
        """Take one message; several threads may."""
        line = " ".join(message.split())
        kept = {Severity.ERROR: self._errors, Severity.WARNING: self._warnings}.get(severity)
        if kept is None:
            return
        if len(kept) < _MAX_KEPT and line not in kept:
            kept.append(line)
        # Hundreds of these may come before the one that counts; the largest request tells most.
        if tells_out_of_memory(line) and (not self._shortage or _asked_bytes(line) > _asked_bytes(self._shortage)):
            self._shortage = line

    def warnings(self) -> tuple[str, ...]:
        """Return the first warnings, one line each."""
        return tuple(self._warnings)

    def failure(self, request: BuildRequest, refusal: AsyncbenchError | None = None) -> AsyncbenchError:
        """Return the error for a build that gave no engine: DoesNotFitError only where less workspace may help.

        Args:
            refusal: Why our own allocator last gave nothing.
        """
        said = self._errors[0] if self._errors else "it gave no reason"
        what = f"TensorRT could not build {request.precision} for {request.shape}"
        if any(_WORKSPACE_SIGN in line.lower() for line in self._errors):
            return EngineBuildError(f"{what}: {said}", remedy="raise --workspace; no kernel does with so little")
        shortage = refusal.message if refusal else self._shortage
        if shortage and self._failed_for_memory():
            remedy = "free memory (device or host, as it says), or lower --workspace or the largest --batch"
            return DoesNotFitError(f"{what}: {shortage}", remedy=remedy)
        return EngineBuildError(f"{what}: {said}", remedy="try another --precision, or choose --backend onnxruntime")

    def _failed_for_memory(self) -> bool:
        """Return whether there is no engine for want of memory: kernels that do not fit are skipped every day."""
        return not self._errors or any(
            tells_out_of_memory(line) or _NO_KERNEL_SIGN in line.lower() for line in self._errors
        )


def _asked_bytes(line: str) -> int:
    return max(map(int, _BYTES.findall(line)), default=0)
