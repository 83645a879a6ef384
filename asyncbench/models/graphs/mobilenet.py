"""MobileNet v1, width 1.0, 224 x 224: Howard et al., "MobileNets", 2017, table 1, as released for TensorFlow."""

from __future__ import annotations

import onnx

from asyncbench.models.graphs.graph_writer import LINEAR_GAIN, FeatureMap, GraphWriter

# Of each depthwise separable block: output channels, stride.
_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
_CLASSES = 1001  # index 0 is the background


def build_mobilenet(*, seed: int) -> onnx.ModelProto:
    """Return the network: `input` (N, 3, 224, 224) to `prob` (N, 1001), softmax."""
    graph = GraphWriter(name="mobilenet_v1_1.0_224", seed=seed)
    features = write_separable_blocks(graph, graph.image(size=224))[-1]
    pooled = graph.global_average(features, name="avgpool")
    scores = graph.conv(pooled, name="conv27", channels=_CLASSES, gain=LINEAR_GAIN)
    logits = graph.node("Flatten", (scores.name,), output="logits", axis=1)
    graph.node("Softmax", (logits,), output="prob", axis=1)
    return graph.model({"prob": (_CLASSES,)})


def write_separable_blocks(graph: GraphWriter, image: FeatureMap) -> tuple[FeatureMap, ...]:
    """Write the stem and the 13 blocks, and return what each block puts out. SSD grows on the same ones."""
    features = graph.conv_relu6(image, name="conv0", channels=32, kernel=3, stride=2)
    block_outputs = []
    for index, (channels, stride) in enumerate(_BLOCKS):
        features = graph.depthwise_relu6(features, name=f"conv{2 * index + 1}_dw", stride=stride)
        features = graph.conv_relu6(features, name=f"conv{2 * index + 2}", channels=channels)
        block_outputs.append(features)
    return tuple(block_outputs)
