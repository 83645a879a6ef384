"""The real TensorRT-RTX builder takes the int8 network that comes out of a table."""

from __future__ import annotations

import pytest
import trio

from asyncbench.accuracy.calibration.quantized_graph import write_quantized_model
from asyncbench.backends.tensorrt.build.builder import build_engine
from asyncbench.backends.tensorrt.build.engine_choice import choose_engines
from asyncbench.backends.tensorrt.build.messages import BuildRequest, BuildSettings
from asyncbench.sweep.backends.tensorrt import EngineMode
from asyncbench.sweep.cell import Precision

RTX = "tensorrt_rtx_bindings"
WATCHDOG_S = 60  # longer than any build here: reaching it is a failure


@pytest.fixture
def rtx():
    pytest.importorskip(RTX, reason="tensorrt-rtx-cu13-libs and -bindings 1.7 are not installed")


@pytest.mark.slow
async def test_the_int8_network_of_a_table_is_built_for_a_range_of_batches(rtx, network_path, table, tmp_path):
    write_quantized_model(network_path, table, tmp_path / "int8.onnx")
    request = BuildRequest(
        module_name=RTX,
        model_path=str(tmp_path / "int8.onnx"),
        engine_path=str(tmp_path / "int8.engine"),
        precision=Precision.INT8,
        shape=choose_engines((1, 2, 4), EngineMode.DYNAMIC)[0],
        settings=BuildSettings(),
        compute_capability=(8, 9),
    )

    with trio.fail_after(WATCHDOG_S):
        result = await build_engine(request, lambda _: None)

    assert result.warnings == ()
    assert (tmp_path / "int8.engine").stat().st_size > 0
