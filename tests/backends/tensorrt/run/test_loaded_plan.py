"""What a plan tells of its outputs, with bindings that load nothing."""

from __future__ import annotations

import pytest

from asyncbench.backends.tensorrt.bindings.versions import IoTensor
from asyncbench.backends.tensorrt.build.engine_choice import choose_engines
from asyncbench.backends.tensorrt.run.loaded_plan import LoadedPlan
from asyncbench.errors import BadInputError
from asyncbench.sweep.backends.tensorrt import EngineMode


class FakeBindings:
    """Bindings of one engine: its output has `engine_shape`, and in a context what `at_batch` makes of the batch."""

    def __init__(self, engine_shape, at_batch):
        self.engine_shape = engine_shape
        self.at_batch = at_batch
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

    def set_optimization_profile_async(self, _profile, _stream):
        return True

    def get_tensor_shape(self, _name):
        return self.at_batch(self.input_shapes["x"][0])


@pytest.fixture
def load(tmp_path):
    (tmp_path / "plan").write_bytes(b"")

    def load_plan(engine_shape, at_batch, batches=(1, 4)):
        bindings = FakeBindings(engine_shape, at_batch)
        (shape,) = choose_engines(batches, EngineMode.DYNAMIC)
        return LoadedPlan(bindings, tmp_path / "plan", shape)

    return load_plan


def test_a_size_that_the_engine_leaves_open_is_learned_from_a_context(load):
    plan = load((-1, -1), lambda batch: (batch, 64))

    plan.check_outputs()
    assert plan.outputs[0].item_shape == (64,)


@pytest.mark.parametrize("engine_shape", [(-1, 64), (1, 64)], ids=["open", "of a first profile for batch 1 alone"])
def test_what_the_engine_says_of_the_batch_itself_does_not_count(load, engine_shape):
    plan = load(engine_shape, lambda batch: (batch, 64))

    plan.check_outputs()
    assert plan.outputs[0].item_shape == (64,)


@pytest.mark.parametrize("shape", [(1, 8, 16), (8, 16), ()])
def test_an_output_without_the_batch_is_refused(load, shape):
    with pytest.raises(BadInputError, match=r"output 'y' has the shape \(.*\) at batch 4, without a batch axis"):
        load(shape, lambda _batch: shape).check_outputs()


def test_an_output_whose_size_depends_on_the_data_is_refused(load):
    with pytest.raises(BadInputError, match="depends on the data"):
        load((-1, -1), lambda batch: (batch, -1)).check_outputs()
