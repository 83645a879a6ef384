"""The conversion of frozen TensorFlow graphs. What needs TensorFlow runs in scripts/test-convert."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_loader
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "utility" / "convert-frozen-graph"

MAKE_GRAPH = """
import sys
import numpy as np
import tensorflow as tf

folder, batch = sys.argv[1], int(sys.argv[2]) or None
items = np.random.default_rng(1).standard_normal((batch or 3, 8, 8, 3)).astype(np.float32)
kernel = np.random.default_rng(0).standard_normal((3, 3, 3, 4)).astype(np.float32)
graph = tf.Graph()
with graph.as_default():
    images = tf.compat.v1.placeholder(tf.float32, [batch, 8, 8, 3], name="input")
    features = tf.nn.relu6(tf.nn.conv2d(images, tf.constant(kernel), strides=2, padding="SAME"), name="features")
    prob = tf.nn.softmax(tf.reduce_mean(features, [1, 2]), name="prob")
    with tf.compat.v1.Session(graph=graph) as session:
        features, prob = session.run([features, prob], {images: items})
open(f"{folder}/frozen.pb", "wb").write(graph.as_graph_def().SerializeToString())
np.savez(f"{folder}/expected.npz", items=items, features=features, prob=prob)
"""


@pytest.fixture(scope="module")
def script():
    loader = SourceFileLoader("convert_frozen_graph", str(SCRIPT))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def node(name: str, op: str, *inputs: str) -> SimpleNamespace:
    return SimpleNamespace(name=name, op=op, input=list(inputs))


NODES = [
    node("input", "Placeholder"),
    node("weights", "Const"),
    node("conv", "Conv2D", "input", "weights:0"),
    node("check", "Assert", "conv:0"),
    node("split", "Split", "^check", "conv:0"),
    node("first", "Softmax", "split:1"),
    node("second", "Relu", "split"),
    node("unused", "Const"),
]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_placeholders_are_inputs_and_what_nothing_reads_is_an_output(script):
    assert script.find_inputs(NODES) == ["input:0"]
    assert script.find_outputs(NODES) == ["first:0", "second:0"]


def test_names_may_be_those_of_nodes_or_of_tensors(script):
    assert script.as_tensors("input,split:1") == ["input:0", "split:1"]


def test_a_name_that_the_graph_does_not_have_is_refused(script):
    with pytest.raises(script.RefusedError, match=r"the graph has no prob:0: .*--list"):
        script.check_tensors(["first:0", "prob:0"], NODES, what="output")


def test_a_graph_without_inputs_is_refused(script):
    with pytest.raises(script.RefusedError, match="no input was found: name it with --inputs"):
        script.check_tensors([], NODES, what="input")


def test_help_needs_no_tensorflow():
    result = run("--help")

    assert result.returncode == 0
    assert "frozen TensorFlow graph" in result.stdout


def test_a_missing_tensorflow_is_said_so(tmp_path):
    if find_spec("tensorflow"):
        pytest.skip("TensorFlow is here")

    result = run(tmp_path / "none.pb", tmp_path / "out.onnx")

    assert result.returncode == 2
    assert result.stderr == "convert-frozen-graph: tensorflow is missing: pip install tf2onnx tensorflow\n"


@pytest.fixture(scope="module")
def tensorflow():
    if not find_spec("tensorflow") or not find_spec("tf2onnx"):
        pytest.skip("tensorflow and tf2onnx are not installed (scripts/test-convert has them)")


@pytest.fixture(params=[0, 2], ids=["free batch", "batch fixed to 2"])
def frozen(tensorflow, tmp_path, request):
    subprocess.run([sys.executable, "-c", MAKE_GRAPH, tmp_path, str(request.param)], check=True, capture_output=True)
    return tmp_path / "frozen.pb"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "output"), [([], "prob"), (["--inputs", "input", "--outputs", "features"], "features")], ids=str
)
def test_a_frozen_graph_becomes_an_onnx_file_that_computes_the_same_at_any_batch(frozen, options, output):
    import onnx
    import onnxruntime

    out = frozen.with_suffix(".onnx")
    expected = np.load(frozen.parent / "expected.npz")

    result = run(frozen, out, *options)

    assert result.returncode == 0, result.stderr
    model = onnx.load(str(out))
    (given,) = model.graph.input
    sizes = [dimension.dim_param or dimension.dim_value for dimension in given.type.tensor_type.shape.dim]
    assert sizes == ["N", 3, 8, 8]
    assert [entry.version for entry in model.opset_import if not entry.domain] == [13]
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    for items in (slice(None), slice(1)):
        images = expected["items"][items].transpose(0, 3, 1, 2)
        (got,) = session.run(None, {given.name: images})
        assert got == pytest.approx(expected[output][items], abs=1e-4)


@pytest.mark.slow
def test_inputs_and_outputs_are_listed(frozen):
    result = run(frozen, "--list")

    assert result.stdout == "inputs: input:0\noutputs: prob:0\n"


@pytest.mark.slow
def test_a_file_that_is_no_graph_is_refused(tensorflow, tmp_path):
    (tmp_path / "text.pb").write_bytes(b"no graph")

    result = run(tmp_path / "text.pb", tmp_path / "out.onnx")

    assert result.returncode == 2
    assert "is no frozen graph" in result.stderr
    assert not (tmp_path / "out.onnx").exists()
