"""What a plan tells of its outputs, with bindings that load nothing."""

from __future__ import annotations

import pytest

from asyncbench.backends.tensorrt.engine_choice import EngineMode, choose_engines
from asyncbench.backends.tensorrt.loaded_plan import LoadedPlan
from asyncbench.backends.tensorrt.versions import IoTensor
from asyncbench.errors import BadInputError


class FakeBindings:
    """Bindings of one engine: its output has `engine_shape`, and in a context whose inputs are set `context_shape`."""

    def __init__(self, engine_shape, context_shape):
        self.engine_shape = engine_shape
        self.context_shape = context_shape
        self.input_shapes = {}

    def create_logger(self, _on_message):
        return None

    def create_runtime(self, _logger):
        return self

    def deserialize_cuda_engine(self, _plan):
        return self

    def io_tensors(self, _engine):
        return (
            IoTensor(name="x", is_input=True, shape=(-1, 4, 16), dtype="float32"),
            IoTensor(name="y", is_input=False, shape=self.engine_shape, dtype="float32"),
        )

    def create_user_managed_context(self, _engine):
        return self

    def set_input_shape(self, name, shape):
        self.input_shapes[name] = tuple(shape)
        return True

    def get_tensor_shape(self, _name):
        assert self.input_shapes
        return self.context_shape


@pytest.fixture
def load(tmp_path):
    (tmp_path / "plan").write_bytes(b"")

    def load_plan(engine_shape, context_shape=None, batches=(2, 4)):
        bindings = FakeBindings(engine_shape, context_shape)
        (shape,) = choose_engines(batches, EngineMode.DYNAMIC)
        return LoadedPlan(bindings, tmp_path / "plan", shape)

    return load_plan


def test_a_size_that_the_engine_leaves_open_is_learned_from_a_context(load):
    plan = load((-1, -1), (2, 64))

    plan.check_outputs()
    assert plan.outputs[0].item_shape == (64,)
    assert plan.bindings.input_shapes == {"x": (2, 4, 16)}


def test_an_engine_that_leaves_only_the_batch_open_is_asked_nothing_more(load):
    plan = load((-1, 64))

    plan.check_outputs()
    assert plan.outputs[0].item_shape == (64,)
    assert plan.bindings.input_shapes == {}


@pytest.mark.parametrize("shape", [(1, 8, 16), (2, 8, 16), ()])
def test_an_output_without_the_batch_is_refused(load, shape):
    with pytest.raises(BadInputError, match=r"output 'y' has the shape \(.*\) at batches 2 to 4, without a batch axis"):
        load(shape).check_outputs()


def test_an_output_whose_size_depends_on_the_data_is_refused(load):
    with pytest.raises(BadInputError, match="depends on the data"):
        load((-1, -1), (2, -1)).check_outputs()
