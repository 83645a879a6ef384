"""Published weights and labelled images through the whole tool."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2].parent / "shared"
MODEL = SHARED / "models" / "mobilenet_v1_1.0_224.onnx"
IMAGES = SHARED / "images" / "imagenet"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MODEL.exists(), reason="../shared is not beside the repository"),
]


def test_a_file_with_known_weights_gets_its_recipe_and_its_labels_are_counted(tool):
    arguments = ("--concurrency", "1,2", "--batch", "10", "--iterations", "2", "--backend", "onnxruntime")

    tool.run("sweep", "--model", MODEL, "--images", IMAGES, *arguments, "--output", "out.jsonl")

    header, *cells, _ = tool.records()
    assert header["engines"][0]["known_as"] == "mobilenet"
    assert header["engines"][0]["model"] == MODEL.stem
    assert len(cells) == 2
    for cell in cells:
        assert cell["status"] == "measured"
        assert cell["outputs_checked"]["labels_counted"] == 10
        assert cell["outputs_checked"]["labels_right"] >= 8
