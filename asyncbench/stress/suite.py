"""All scenarios, one after the other; each finding is reported at once."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import trio

from asyncbench.clock import NS_PER_S, now_ns
from asyncbench.errors import AsyncbenchError, BackendUnavailableError
from asyncbench.stress import build, cancel, cgroup, disk, gpu, hog, kill, shrink, soak
from asyncbench.stress.context import Finding, ScenarioContext, StressSettings

Scenario: TypeAlias = Callable[[ScenarioContext], Awaitable[None]]

SCENARIOS: Final[Mapping[str, Scenario]] = {
    "kill": kill.run,
    "cancel": cancel.run,
    "disk": disk.run,
    "cgroup": cgroup.run,
    "shrink": shrink.run,
    "hog": hog.run,
    "build": build.run,
    "gpu": gpu.run,
    "soak": soak.run,
}
# The soak takes hours: it runs where it is asked for.
DEFAULT_SCENARIOS: Final = tuple(name for name in SCENARIOS if name != "soak")
RUNS: Final = "the scenario runs to its end"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioEnd:
    """Result of a scenario.

    Attributes:
        held: Whether no promise broke.
        skipped: Why nothing of it could run here; empty where it ran.
        device: What it ran on beside the processor; empty where that is nothing.
    """

    name: str
    held: bool
    skipped: str
    device: str
    took_s: float
    verdicts: tuple[Finding, ...]


async def run_scenario(
    name: str, scenario: Scenario, settings: StressSettings, report: Callable[[Finding], None]
) -> ScenarioEnd:
    """Run one scenario in a folder of its own, removed after it.

    Args:
        report: Takes each finding as soon as it is known.
    """
    findings: list[Finding] = []

    def keep(finding: Finding) -> None:
        if finding.is_verdict or finding.held is False:
            findings.append(finding)
        report(finding)

    started_at_ns, skipped = now_ns(), ""
    with tempfile.TemporaryDirectory(prefix=f"asyncbench-stress-{name}-", ignore_cleanup_errors=True) as folder:
        context = ScenarioContext(scenario=name, settings=settings, folder=Path(folder), report=keep)
        try:
            await scenario(context)
        except BackendUnavailableError as error:
            skipped = error.message
            context.skip(RUNS, skipped)
        except AsyncbenchError as error:
            context.check(RUNS, "an error", held=False, error=str(error))
            context.conclude(RUNS, str(error))
    return ScenarioEnd(
        name=name,
        held=all(each.held is not False for each in findings),
        skipped=skipped,
        device=context.device,
        took_s=(now_ns() - started_at_ns) / NS_PER_S,
        verdicts=tuple(each for each in findings if each.is_verdict),
    )


async def run_suite(
    scenarios: Mapping[str, Scenario],
    settings: StressSettings,
    *,
    report: Callable[[Finding], None],
    ended: Callable[[ScenarioEnd], None],
) -> bool:
    """Run scenarios one after the other; return whether every promise held."""
    held = True
    for name, scenario in scenarios.items():
        end = await run_scenario(name, scenario, settings, report)
        ended(end)
        held = held and end.held
        await trio.lowlevel.checkpoint()
    return held
