"""What TensorRT said during a build, and what it means for the user: TensorRT itself only says that it failed."""

from __future__ import annotations

from asyncbench.backends.tensorrt.messages import BuildRequest
from asyncbench.backends.tensorrt.versions import Severity
from asyncbench.errors import AsyncbenchError, DoesNotFitError, EngineBuildError

_MAX_KEPT = 20
_OUT_OF_MEMORY = ("outofmemory", "out of memory", "insufficient workspace", "insufficient memory", "cannot allocate")


class BuildLog:
    """Keeps the first errors and warnings, each once."""

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._warnings: list[str] = []

    def take(self, severity: Severity, message: str) -> None:
        """Take one message; several threads may."""
        line = " ".join(message.split())
        kept = {Severity.ERROR: self._errors, Severity.WARNING: self._warnings}.get(severity)
        if kept is not None and len(kept) < _MAX_KEPT and line not in kept:
            kept.append(line)

    def warnings(self) -> tuple[str, ...]:
        """Return the first warnings, one line each."""
        return tuple(self._warnings)

    def failure(self, request: BuildRequest) -> AsyncbenchError:
        """Return the error for a build that gave no engine."""
        said = self._errors[0] if self._errors else "it gave no reason"
        message = f"TensorRT could not build {request.precision} for {request.shape}: {said}"
        if any(sign in line.lower() for line in self._errors for sign in _OUT_OF_MEMORY):
            return DoesNotFitError(message, remedy="free device memory, or lower --workspace or the largest --batch")
        return EngineBuildError(message, remedy="try another --precision, or choose --backend onnxruntime")
