"""Which engine a resumed file may go on with."""

from __future__ import annotations

import pytest

from asyncbench.errors import BadInputError
from asyncbench.results.reader import read_results
from asyncbench.supervisor.resume_check import check_same_engine
from asyncbench.sweep.cell import Precision
from asyncbench.wire.messages import EngineDescription

ENGINE = EngineDescription(
    model="mobilenet",
    known_as="mobilenet",
    recognized=True,
    precision=Precision.FP32,
    graph_precision="fp32",
    engine_hash="a" * 64,
    model_hash="d" * 64,
    load_ns=1,
    inputs=(),
    outputs=(),
    images=(),
    images_found=0,
    subset_hash="b" * 64,
    extra={},
)


def engine_with(**changed):
    return ENGINE.model_copy(update=changed)


@pytest.fixture
def done(request):
    """A finished cell of that engine, with its accuracy."""
    golden = request.path.parents[1] / "results" / "golden" / "results.jsonl"
    cell = read_results(golden, allow_torn=False).cells[0]
    accuracy = cell.accuracy.model_copy(update={"subset_hash": ENGINE.subset_hash})
    return cell.model_copy(
        update={"engine_hash": ENGINE.engine_hash, "model_hash": ENGINE.model_hash, "accuracy": accuracy}
    )


def test_the_same_engine_on_the_same_images_goes_on(done):
    check_same_engine([done], ENGINE)


def test_other_weights_are_refused(done):
    with pytest.raises(BadInputError, match="mobilenet is another model than in the results file"):
        check_same_engine([done], engine_with(engine_hash="c" * 64))


def test_a_plan_that_was_built_anew_is_not_other_weights(done):
    check_same_engine([done.model_copy(update={"backend": "tensorrt"})], engine_with(engine_hash="c" * 64))


def test_the_plan_of_another_model_is_refused(done):
    with pytest.raises(BadInputError, match="mobilenet is another model than in the results file"):
        check_same_engine([done.model_copy(update={"backend": "tensorrt"})], engine_with(model_hash="e" * 64))


def test_a_file_of_before_that_does_not_name_its_model_is_known_by_its_engine(done):
    old = done.model_copy(update={"model_hash": None})

    check_same_engine([old], ENGINE)
    with pytest.raises(BadInputError, match="mobilenet is another model"):
        check_same_engine([old], engine_with(engine_hash="c" * 64))


def test_other_images_or_labels_are_refused(done):
    with pytest.raises(BadInputError, match="the data set imagenet has other images or labels"):
        check_same_engine([done], engine_with(subset_hash="c" * 64))


def test_cells_that_never_had_an_engine_say_nothing(done):
    lost = done.model_copy(update={"engine_hash": None, "model_hash": None, "accuracy": None})

    check_same_engine([lost], engine_with(engine_hash="c" * 64, subset_hash=None))
