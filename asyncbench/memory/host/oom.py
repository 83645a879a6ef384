"""Out-of-memory kills: be the first to be killed, and tell whether a process that died was killed for memory."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncbench.errors import Fact
from asyncbench.memory.host.cgroup import CgroupOomReading
from asyncbench.memory.host.probe import OomCount
from asyncbench.text_enum import TextEnum
from asyncbench.units import format_size

_CRASHES: Final = frozenset(
    {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP}
)


class DeathKind(TextEnum):
    """The ways in which a process ends."""

    OOM_KILLED = "oom_killed"
    KILLED = "killed"
    CRASHED = "crashed"
    EXITED = "exited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The end of a process and its likely cause.

    Attributes:
        sentence: For people, about `it`, without a full stop.
        memory_suspected: It ran out of memory, for sure or likely: trying again with less is worth it.
        facts: For the record.
    """

    kind: DeathKind
    sentence: str
    memory_suspected: bool
    facts: dict[str, Fact]


def prefer_to_be_killed(score: int, *, root: Path = Path("/")) -> bool:
    """Make the kernel choose this process, and the children it will have, first when memory runs out.

    Args:
        score: Up to 1000, which means always first. Raising it needs no privilege, lowering it does.

    Returns:
        Whether the kernel took it.
    """
    try:
        (root / "proc/self/oom_score_adj").write_text(str(score), encoding="ascii")
    except OSError:
        return False
    return True


def classify_death(returncode: int, *, before: OomCount, after: OomCount, cpu_time_limit: str | None = None) -> Death:
    """Return how a process of the own group ended.

    The kernel counts a kill before it sends the signal: whoever was reaped is counted.

    Args:
        returncode: As subprocess gives it: an exit code, or minus the signal.
        before: Read before the process started, or at any time while it lived.
        after: Read after it was reaped.
        cpu_time_limit: What limits its CPU time, such as `ulimit -t is 3 s`; the kernel ends whoever meets that, first
            by SIGXCPU and then by SIGKILL.
    """
    new_kills = _difference(before.oom_kills, after.oom_kills)
    facts: dict[str, Fact] = {**_ending(returncode), "oom_kills": new_kills}
    if returncode != -signal.SIGKILL:
        return _other_death(returncode, new_kills, facts, cpu_time_limit)
    if new_kills is None:
        sentence = "it was ended by SIGKILL: likely, but not certainly, by the kernel's out-of-memory killer"
        return Death(kind=DeathKind.KILLED, sentence=sentence, memory_suspected=True, facts=facts)
    if new_kills == 0:
        sender = "another program or a person sent"
        if cpu_time_limit is not None:
            sender = f"comes where CPU time is used up ({cpu_time_limit}), or which {sender}"
        sentence = f"it was ended by SIGKILL, which {sender}: memory was not the reason"
        return Death(kind=DeathKind.KILLED, sentence=sentence, memory_suspected=False, facts=facts)
    if not after.of_own_group:
        sentence = (
            "it was likely, but not certainly, ended by the kernel's out-of-memory killer: "
            f"that ended {_processes(new_kills)} on this machine meanwhile"
        )
        return Death(kind=DeathKind.OOM_KILLED, sentence=sentence, memory_suspected=True, facts=facts)
    return _out_of_memory(_group_that_was_full(before, after), facts)


def _out_of_memory(full: CgroupOomReading | None, facts: dict[str, Fact]) -> Death:
    sentence = f"the kernel's out-of-memory killer ended it: {_shortage(full)}"
    if full is not None:
        facts |= {"cgroup": full.name, "limit_bytes": full.limit_bytes, "peak_bytes": _own_peak_bytes(full)}
    return Death(kind=DeathKind.OOM_KILLED, sentence=sentence, memory_suspected=True, facts=facts)


def _shortage(full: CgroupOomReading | None) -> str:
    if full is None or full.limit_bytes is None:
        return "the machine had no memory left, no limit of a group was reached"
    limit = format_size(full.limit_bytes)
    peak_bytes = _own_peak_bytes(full)
    if peak_bytes is None:
        return f"the group reached its limit of {limit}"
    return f"the group used {format_size(peak_bytes)} of {limit}"


def _own_peak_bytes(full: CgroupOomReading) -> int | None:
    """Return the peak under the limit that was met; one above it is of a time before the limit was lowered."""
    if full.peak_bytes is None or full.limit_bytes is None or full.peak_bytes > full.limit_bytes:
        return None
    return full.peak_bytes


def _other_death(returncode: int, new_kills: int | None, facts: dict[str, Fact], cpu_time_limit: str | None) -> Death:
    meanwhile = f"; the kernel's out-of-memory killer ended {_processes(new_kills)} meanwhile" if new_kills else ""
    if returncode >= 0:
        kind, sentence = DeathKind.EXITED, f"it ended by itself with exit code {returncode}"
    else:
        kind = DeathKind.CRASHED if -returncode in _CRASHES else DeathKind.KILLED
        sentence = f"it {'crashed with' if kind is DeathKind.CRASHED else 'was ended by'} {facts['signal']}"
        if returncode == -signal.SIGXCPU and cpu_time_limit is not None:
            sentence += f": its CPU time is used up ({cpu_time_limit})"
    return Death(kind=kind, sentence=sentence + meanwhile, memory_suspected=bool(new_kills), facts=facts)


def _group_that_was_full(before: OomCount, after: OomCount) -> CgroupOomReading | None:
    """Return the innermost group whose limit was met in between."""
    earlier = {group.name: group.limit_hits for group in before.groups}
    hit = (group for group in after.groups if _difference(earlier.get(group.name), group.limit_hits))
    return next((group for group in hit if group.limit_bytes is not None), None)


def _difference(before: int | None, after: int | None) -> int | None:
    # Less than before: not the same counter any more.
    return after - before if before is not None and after is not None and after >= before else None


def _ending(returncode: int) -> dict[str, Fact]:
    if returncode >= 0:
        return {"exit_code": returncode}
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"  # a real-time signal has no name
    return {"signal": name, "signal_number": -returncode}


def _processes(count: int) -> str:
    return f"{count} process{'es' if count != 1 else ''}"
