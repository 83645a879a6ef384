"""Lines of a results file: one header, one cell record per cell, one trailer. docs/records.md is for users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import (
    Field,
    JsonValue,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    field_validator,
)

from asyncbench.results.accuracy import Accuracy
from asyncbench.results.cell_parts import CpuThrottling, Memory, OutputsChecked, Reason, Stalls, Warmup
from asyncbench.results.fields import Facts, RecordModel, Text, UtcText
from asyncbench.results.latency import Latency
from asyncbench.results.status import Status
from asyncbench.sweep.cell import Driver, InputKind, Precision

# History of the format. A key may be added within a version; one that goes, or changes its meaning, is a new version.
# 1  First published: header, cell, trailer.
SCHEMA_VERSION: Final = 1


class _Record(RecordModel):
    kind: str
    schema_version: Literal[1] = SCHEMA_VERSION
    sweep_id: Text
    """The same in every line of a file, and in the log."""


class HeaderRecord(_Record):
    """The sweep as it was asked for, and the machine. First line of a file, and again wherever `--resume` went on."""

    kind: Literal["header"] = "header"
    created_at: UtcText
    asyncbench_version: str
    command: list[Text]
    """The command line, program first."""
    config: list[Facts]
    """Every sweep of the run, as `asyncbench schema config` describes it."""
    cells: NonNegativeInt
    """Cells of the whole grid."""
    versions: dict[str, str]
    """Of Python and of every library that can change a figure."""
    host: Facts
    """CPU, memory, kernel; never a host name."""
    devices: list[Facts]
    engines: list[Facts]
    """Engines that were open when the line was written; a cell names its own by `engine_hash`."""
    runner_cost_ns: dict[str, NonNegativeFloat | None]
    """By driver: what one inference of a lane that does nothing takes."""
    seed: int
    resumed: bool = False


class CellRecord(_Record):
    """Result of one cell. Of several records with one `index` the last one holds."""

    kind: Literal["cell"] = "cell"
    index: NonNegativeInt
    """Position in the grid, from 0."""
    status: Status
    reasons: list[Reason] = Field(default_factory=list)
    model: Text
    device: str
    backend: str
    precision: Precision
    """The one that was asked for."""
    graph_precision: Text | None = None
    """The one that the model's file computes in, such as `int8`: most of its weights. Null where it is not known."""
    batch: PositiveInt
    """Items of one inference."""
    concurrency: PositiveInt
    """Inferences in flight that were asked for."""
    depth: PositiveInt = 1
    """Inferences queued on each lane."""
    load: Text = "closed"
    """Name of the load that started the inferences. Closed: the next one starts when the last one is done."""
    load_statistics: Facts = Field(default_factory=dict)
    """Statistics of the load itself in this cell; its own keys."""
    attempt: PositiveInt = 1
    started_at: UtcText | None = None
    n: NonNegativeInt = 0
    """Inferences that ended inside the window."""
    window_ns: NonNegativeInt | None = None
    throughput_items_s: NonNegativeFloat | None = None
    throughput_queries_s: NonNegativeFloat | None = None
    """Inferences per second: items per second divided by `batch`."""
    latency: Latency = Latency()
    achieved_concurrency: NonNegativeFloat | None = None
    """Time-weighted mean of the inferences in flight."""
    littles_law_residual: float | None = None
    """Relative gap between the mean in flight and rate x mean service; 0 is perfect."""
    drift_ratio: float | None = None
    """Relative change of the service time from the start of the window to its end."""
    longest_gap_ns: NonNegativeInt | None = None
    """The longest time in the window in which nothing completed on any lane; a lower bound below 1/2,048 of it."""
    stalls: Stalls | None = None
    """Null where the bench process never stood still in the window."""
    cpu_throttling: CpuThrottling | None = None
    """Null where no control group has a CPU quota."""
    warmup: Warmup | None = None
    memory: Memory = Memory()
    gpu: Facts | None = None
    """Clocks, power, temperature, throttle reasons."""
    conditions: dict[Text, Facts] = Field(default_factory=dict)
    """Other observations of the probes while the cell ran, by the name of the probe."""
    cpu_s_per_item: NonNegativeFloat | None = None
    """CPU-seconds of the bench process per item."""
    joules_per_item: NonNegativeFloat | None = None
    runner_ns_per_inference: NonNegativeFloat | None = None
    """Time of the runner between a completion and the next issue."""
    graph: bool | None = None
    """True where a CUDA graph was replayed."""
    graph_reason: Text | None = None
    """Reason why none was."""
    driver: Driver | None = None
    completion: str | None = None
    """Way in which completions are noticed, such as `spin` or `block`."""
    input: InputKind | None = None
    outputs_checked: OutputsChecked | None = None
    accuracy: Accuracy | None = None
    """The accuracy of the same engine at this batch, on a labelled data set."""
    engine_hash: str | None = None
    """SHA-256 of the plan, or of the model where there is no plan."""
    model_hash: str | None = None
    """SHA-256 of the model's file and of the files that its weights lie in. Null where there is no model."""
    switch_ns: NonNegativeInt | None = None
    """From the request for the cell to its first inference: lanes, inputs, the reference output."""
    facts: Facts = Field(default_factory=dict)
    """Of an error or a refusal: signal, exit code, bytes."""

    def annotate(self, reason: Reason, *, facts: Mapping[str, JsonValue], status: Status | None = None) -> CellRecord:
        """Return the record with one reason and some facts more; of a fact that both have, the record's own stays.

        Args:
            status: The new one; None for the one that it has.
        """
        changed = {
            "status": status or self.status,
            "reasons": [*self.reasons, reason],
            "facts": {**facts, **self.facts},
        }
        return self.model_copy(update=changed)

    def with_accuracy(self, accuracy: Accuracy) -> CellRecord:
        """Return the record of the same cell with the accuracy of its engine beside its speed."""
        return self.model_copy(update={"accuracy": accuracy})


class BestCell(RecordModel):
    """A cell that stands out."""

    index: NonNegativeInt
    model: Text
    device: str
    precision: Precision
    batch: PositiveInt
    concurrency: PositiveInt
    throughput_items_s: NonNegativeFloat


class BestUnderLimit(BestCell):
    """The fastest cell that stays below a latency limit, and its latency."""

    latency_limit_ns: NonNegativeInt
    percentile: str
    """The one that was asked for."""
    latency_ns: NonNegativeInt
    """Its value."""
    latency_high_ns: NonNegativeInt | None = None
    """The upper end of its 95 % interval, which is what must stay below the limit."""


class LatencyLimitCounts(RecordModel):
    """Cells by their standing to a latency limit that was asked for. Those without a figure do not count."""

    percentile: str
    latency_limit_ns: NonNegativeInt
    below: NonNegativeInt
    """The whole 95 % interval of the percentile is."""
    above: NonNegativeInt
    undecided: NonNegativeInt
    """The interval reaches over the limit, or there are too few inferences for the percentile."""


class TrailerRecord(_Record):
    """End of the sweep, and its summary. A file without one was cut short: `--resume` goes on."""

    kind: Literal["trailer"] = "trailer"
    ended_at: UtcText
    status_counts: dict[Status, NonNegativeInt]
    """Cells by status; all six are there."""
    exit_code: NonNegativeInt
    duration_ns: NonNegativeInt
    best_throughput: BestCell | None = None
    best_under_latency_limit: BestUnderLimit | None = None
    latency_limit: LatencyLimitCounts | None = None
    """Null where none was asked for, or where the cells are of several models."""
    knee: BestCell | None = None
    """The fewest items in flight that reach 95 % of the best throughput."""

    @field_validator("status_counts")
    @classmethod
    def _count_every_status(cls, counts: dict[Status, int]) -> dict[Status, int]:
        return {status: counts.get(status, 0) for status in Status}


Record = HeaderRecord | CellRecord | TrailerRecord

record_adapter: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="kind")])


def record_schema() -> dict[str, JsonValue]:
    """Return the JSON schema of one line of a results file, as it is written: no key is ever left out."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of an asyncbench results file, schema version {SCHEMA_VERSION}",
        **record_adapter.json_schema(mode="serialization"),
    }
