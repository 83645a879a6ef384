"""What crosses the pipe."""

import pytest

from asyncbench import errors
from asyncbench.errors import AsyncbenchError
from asyncbench.sweep.cell import Cell, Precision
from asyncbench.sweep.loading import read_flags
from asyncbench.wire.messages import EVENTS, REQUESTS, OpenEngine, RunCell, error_of, refusal_of, to_line

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AsyncbenchError)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_keeps_its_kind_its_remedy_and_its_facts_across_the_pipe(kind):
    error = kind("what happened", remedy="do this", size_bytes=5)

    received = error_of(EVENTS.validate_json(to_line(refusal_of(error))))

    assert type(received) is kind
    assert received.exit_code == kind.exit_code
    assert str(received) == "what happened: do this"
    assert received.facts == {"size_bytes": 5}


@pytest.mark.parametrize(
    ("flags", "label"), [({"model_file": "a/net.onnx"}, "net"), ({"model": "resnet50"}, "resnet50")]
)
def test_a_configuration_crosses_the_pipe_with_what_was_given_and_no_more(flags, label):
    config = read_flags(flags)
    request = OpenEngine(sweep_id="s", config=config, precision=Precision.FP32, device="auto")

    received = REQUESTS.validate_json(to_line(request))

    assert received.config == config
    assert received.config.model_label == label
    assert received.config.model_fields_set == config.model_fields_set


def test_a_cell_crosses_the_pipe_whole():
    cell = Cell(model="a", precision=Precision.INT8, batch=4, concurrency=2, device="cuda:1")

    assert REQUESTS.validate_json(to_line(RunCell(index=3, cell=cell))).cell == cell
