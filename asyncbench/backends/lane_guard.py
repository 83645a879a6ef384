"""Guard of a lane: what its contract forbids is refused in the same words by every backend."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneGuard:
    """The misuse of one lane, refused as `ValueError`: it is a mistake of the caller's, and changes nothing.

    Attributes:
        index: See `Lane.index`.
        max_credits: See `Lane.max_credits`.
    """

    index: int
    max_credits: int

    def check_grant(self, count: int, *, outstanding: int, has_memory: bool) -> None:
        """Raise unless `count` more credits may be given, beside those that are outstanding."""
        if not has_memory:
            raise self._error("has no memory")
        if outstanding + count > self.max_credits:
            message = (
                f"lane {self.index}: {outstanding} + {count} credits outstanding, at most {self.max_credits} may be"
            )
            raise ValueError(message)

    def check_free(self, *, outstanding: int) -> None:
        """Raise where credits were given that came back neither as completions that were taken nor by revocation."""
        if outstanding:
            raise self._error("has credits, or completions that were not taken")

    def check_outputs_readable(self, *, is_idle: bool) -> None:
        """Raise while an inference may write to the outputs."""
        if not is_idle:
            raise self._error("is running: its outputs are being written")

    def check_inputs_writable(self, *, is_idle: bool) -> None:
        """Raise while an inference may read the inputs."""
        if not is_idle:
            raise self._error("is running: its inputs are being read")

    def _error(self, problem: str) -> ValueError:
        return ValueError(f"lane {self.index} {problem}")
