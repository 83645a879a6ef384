"""What goes wrong in a bench process is an answer in one line: the process goes on, or says that it is unfit."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager

import pytest
import trio
from structlog.testing import capture_logs

from asyncbench.bench.server import BenchServer
from asyncbench.sweep.cell import Cell, Precision
from asyncbench.sweep.config import SweepConfig
from asyncbench.testing import host_reading, simulated_engine
from asyncbench.wire.line_stream import read_lines
from asyncbench.wire.messages import EVENTS, CellEnded, EngineOpened, OpenEngine, Refused, RunCell, to_line

CONFIG = SweepConfig.model_validate(
    {"backend": "simulated", "concurrency": [1, 2], "batch": [1], "iterations": 2, "warmup": "none"}
)
CELL = Cell(model="any", precision=Precision.FP32, batch=1, concurrency=1)
OPEN = OpenEngine(sweep_id="s", config=CONFIG, precision="fp32", device="auto")


@pytest.fixture(autouse=True)
def log():
    """What is logged, which would otherwise be printed with all local variables."""
    with capture_logs() as entries:
        yield entries


class BrokenLanes:
    """A simulated engine whose lanes cannot be opened while there are errors left."""

    def __init__(self, engine, errors):
        self._engine, self._errors = engine, errors

    def __getattr__(self, name):
        return getattr(self._engine, name)

    @asynccontextmanager
    async def open_lanes(self, **arguments):
        if self._errors:
            async with trio.open_nursery() as nursery:  # where most of what fails does
                nursery.start_soon(self._fail)
                nursery.start_soon(trio.sleep_forever)
        async with self._engine.open_lanes(**arguments) as lanes:
            yield lanes

    async def _fail(self):
        raise self._errors.pop()


class Backend:
    name = "simulated"

    def __init__(self, errors):
        self._errors = errors

    @asynccontextmanager
    async def open_engine(self, _request):
        async with simulated_engine() as engine:
            yield BrokenLanes(engine, self._errors)


async def answers(tmp_path, make_backend, *requests):
    """Return what a bench process answers to requests, in order."""
    to_bench, requests_read = trio.testing.memory_stream_one_way_pair()
    events, from_bench = trio.testing.memory_stream_one_way_pair()
    bench = BenchServer(
        make_backend=make_backend,
        make_reference=lambda *_: None,
        model_folder=tmp_path,
        events=events,
        read_host=host_reading,
    )
    given = []
    async with aclosing(read_lines(from_bench)) as lines, trio.open_nursery() as nursery:
        nursery.start_soon(bench.serve, requests_read)
        for request in requests:
            await to_bench.send_all(to_line(request))
            async for line in lines:
                event = EVENTS.validate_json(line)
                if isinstance(event, EngineOpened | Refused | CellEnded):
                    given.append(event)
                    break
        await to_bench.aclose()
    return given


async def test_a_mistake_while_an_engine_is_opened_refuses_it_and_the_next_may_open(tmp_path):
    mistakes = [TypeError("unexpected")]

    def make_backend(config, say):
        if mistakes:
            raise mistakes.pop()
        return Backend([])

    refused, opened = await answers(tmp_path, make_backend, OPEN, OPEN)

    assert refused.error == "InternalError"
    assert refused.message.startswith("an internal error: TypeError: unexpected")
    assert isinstance(opened, EngineOpened)


async def test_a_file_that_is_missing_while_an_engine_is_opened_is_bad_input(tmp_path):
    def make_backend(config, say):
        (tmp_path / "nope.json").read_bytes()

    (refused,) = await answers(tmp_path, make_backend, OPEN)

    assert (refused.error, refused.remedy) == ("BadInputError", "check the path")
    assert refused.message == f"{tmp_path}/nope.json: No such file or directory"


@pytest.mark.parametrize(
    ("error", "code", "status", "unfit"),
    [
        (KeyError("inputs"), "internal_error", "error", True),
        (OSError(2, "No such file or directory", "/gone.jpg"), "lane_failed", "error", False),
        (MemoryError("Unable to allocate 261. KiB"), "memory", "does_not_fit", False),
        (RuntimeError("can't start new thread"), "limit", "does_not_fit", False),
    ],
)
async def test_what_fails_in_a_cell_costs_that_cell(tmp_path, error, code, status, unfit):
    run = [RunCell(index=index, cell=CELL) for index in range(2)]

    _, first, second = await answers(tmp_path, lambda *_: Backend([error]), OPEN, *run)

    assert (first.record.status, [reason.code for reason in first.record.reasons]) == (status, [code])
    assert str(error.args[-1]) in first.record.reasons[0].text or code == "limit"
    assert first.unfit is unfit
    assert second.record.n == 2
