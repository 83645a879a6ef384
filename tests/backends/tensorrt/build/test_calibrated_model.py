"""How a calibration reaches a builder, with and without calibrators."""

from __future__ import annotations

import dataclasses
import os
import struct

import numpy as np
import onnx
import pytest

from asyncbench.accuracy.calibration.calibrate import CalibrationBatch, calibrate
from asyncbench.accuracy.calibration.legacy_cache import read_cache
from asyncbench.accuracy.calibration.table import ImageHash, Method, MethodName, read_table, write_table
from asyncbench.backends.tensorrt.bindings.variant import TensorRtProduct, TensorRtVariant
from asyncbench.backends.tensorrt.build.calibrated_model import calibrated_model
from asyncbench.errors import BadInputError

OLD = TensorRtVariant(
    name=TensorRtProduct.TENSORRT,
    version="8.6.1",
    module_name="tensorrt",
    has_builder=True,
    has_progress_monitor=False,
    has_timing_cache=True,
    has_precision_flags=True,
    has_calibrators=True,
    has_user_managed_contexts=False,
    precision_flags=frozenset(),
)
NEW = dataclasses.replace(OLD, version="11.4.0", has_calibrators=False)


@pytest.fixture
def network(write_network):
    return write_network()


@pytest.fixture
def table_path(network, tmp_path):
    noise = np.random.default_rng(0).standard_normal((2, 3, 8, 8), dtype=np.float32)
    (name,) = (value.name for value in onnx.load(str(network)).graph.input)
    batch = CalibrationBatch(inputs={name: noise}, images=(ImageHash(name="a.jpg", sha256="0" * 64),))
    method = Method(name=MethodName.MIN_MAX)
    path = tmp_path / "table.json"
    write_table(calibrate(network, [batch], method=method, recipe=None, on_progress=lambda _: None), path)
    return path


def test_a_builder_with_calibrators_gets_a_cache_with_its_own_head(network, table_path, tmp_path):
    made = calibrated_model(network, table_path, OLD, folder=tmp_path / "kept")

    assert made.model_path == network
    cache = read_cache(made.calibration_cache_path)
    assert cache.version_number == "8601"
    assert cache.scales


def test_a_cache_of_an_older_version_is_given_the_head_that_this_one_looks_for(network, table_path, tmp_path):
    made = calibrated_model(network, table_path, dataclasses.replace(OLD, version="8.2.1"), folder=tmp_path / "old")

    again = calibrated_model(network, made.calibration_cache_path, OLD, folder=tmp_path / "new")

    assert read_cache(again.calibration_cache_path).version_number == "8601"
    assert read_cache(again.calibration_cache_path).scales == read_cache(made.calibration_cache_path).scales


def test_a_builder_without_calibrators_gets_a_quantized_graph(network, table_path, tmp_path):
    made = calibrated_model(network, table_path, NEW, folder=tmp_path / "kept")

    assert made.calibration_cache_path is None
    operators = {node.op_type for node in onnx.load(str(made.model_path)).graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators


@pytest.mark.parametrize("variant", [OLD, NEW])
def test_weights_in_another_file_are_part_of_what_an_int8_file_is_known_by(network, tmp_path, variant):
    model, outside = onnx.load(str(network)), tmp_path / "outside.onnx"
    onnx.save(model, outside, save_as_external_data=True, location="w.bin", size_threshold=0)
    (name,) = (value.name for value in model.graph.input)
    noise = np.random.default_rng(0).standard_normal((2, 3, 8, 8), dtype=np.float32)
    batch = CalibrationBatch(inputs={name: noise}, images=(ImageHash(name="a.jpg", sha256="0" * 64),))
    calibrated = calibrate(
        outside, [batch], method=Method(name=MethodName.MIN_MAX), recipe=None, on_progress=lambda _: None
    )
    free = dataclasses.replace(calibrated, model_sha256=None)  # as a cache of TensorRT, which names no model
    write_table(free, tmp_path / "free.json")
    made = []
    for _ in range(2):
        made.append(calibrated_model(outside, tmp_path / "free.json", variant, folder=tmp_path / "kept"))
        weights = np.fromfile(tmp_path / "w.bin", np.float32)
        (2 * weights).tofile(tmp_path / "w.bin")

    names = {one.calibration_cache_path or one.model_path for one in made}
    assert len(names) == 2


@pytest.mark.parametrize("variant", [OLD, NEW])
def test_a_table_of_another_model_is_refused_before_anything_is_built(write_network, table_path, tmp_path, variant):
    other = write_network(name="other", operator="Sigmoid")

    with pytest.raises(BadInputError, match="another model"):
        calibrated_model(other, table_path, variant, folder=tmp_path / "kept")


@pytest.mark.parametrize("variant", [OLD, NEW])
@pytest.mark.parametrize("head", ["TRT-8601-EntropyCalibration2", "1"])
def test_a_cache_of_another_model_is_refused_with_how_many_tensors_are_not_its_own(network, tmp_path, variant, head):
    path = tmp_path / "other.cache"
    path.write_text(f"{head}\nconv77: 3c010204\n(Unnamed Layer* 4) [Constant]_output: 3d65992f\nconv78: 3c010204\n")

    with pytest.raises(
        BadInputError, match=r"other\.cache is of another model: 2 of its 2 tensors .*\(conv77, conv78\)"
    ):
        calibrated_model(network, path, variant, folder=tmp_path / "kept")

    assert not list((tmp_path / "kept").iterdir())


@pytest.mark.parametrize("head", ["TRT-7103-MinMaxCalibration", "1"])
def test_a_cache_of_this_model_reaches_both_kinds_of_builder(network, table_path, tmp_path, head):
    lines = [f"{name}: {struct.pack('>f', amax / 127).hex()}\n" for name, amax in read_table(table_path).ranges.items()]
    path = tmp_path / "mine.cache"
    path.write_text("".join([f"{head}\n", *lines, "(Unnamed Layer* 4) [Constant]_output: 3d65992f\n"]))

    old = calibrated_model(network, path, OLD, folder=tmp_path / "kept")
    new = calibrated_model(network, path, NEW, folder=tmp_path / "kept")

    assert read_cache(old.calibration_cache_path).scales == read_cache(path).scales
    assert any(node.op_type == "QuantizeLinear" for node in onnx.load(str(new.model_path)).graph.node)


@pytest.mark.parametrize("variant", [OLD, NEW], ids=["calibrators", "no calibrators"])
def test_a_calibration_that_is_a_pipe_is_refused_and_not_waited_for(network, tmp_path, variant):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(BadInputError, match="pipe: it is a pipe, not a file"):
        calibrated_model(network, tmp_path / "pipe", variant, folder=tmp_path / "kept")
