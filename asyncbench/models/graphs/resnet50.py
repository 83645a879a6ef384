"""ResNet-50 v1, 224 x 224: He et al., "Deep Residual Learning", 2015, table 1; strides in the first 1x1."""

from __future__ import annotations

import onnx

from asyncbench.models.graphs.graph_writer import LINEAR_GAIN, RELU_GAIN, FeatureMap, GraphWriter

# Of each stage: bottleneck channels, blocks, stride of its first block.
_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
_CLASSES = 1000
# Pixels minus their mean have a standard deviation of about 64; a folded batch norm divides by it.
_INPUT_GAIN = RELU_GAIN / 64**2
# Each of the 16 branches adds a 16th to the mean square of its shortcut, so that depth multiplies it by less than e.
_BRANCH_GAIN = LINEAR_GAIN / sum(blocks for _, blocks, _ in _STAGES)


def build_resnet50(*, seed: int) -> onnx.ModelProto:
    """Return the network: `input` (N, 3, 224, 224) to `prob` (N, 1000), softmax."""
    graph = GraphWriter(name="resnet50_v1", seed=seed)
    image = graph.image(size=224)
    stem = graph.conv(image, name="conv1", channels=64, kernel=7, stride=2, padding=3, gain=_INPUT_GAIN)
    features = graph.max_pool(graph.relu(stem), name="pool1", kernel=3, stride=2, padding=1)
    for number, (channels, blocks, stride) in enumerate(_STAGES, start=2):
        features = _write_stage(graph, features, number=number, channels=channels, blocks=blocks, stride=stride)
    pooled = graph.global_average(features, name="avg_pool")
    vector = graph.node("Flatten", (pooled.name,), output="avg_pool.flat", axis=1)
    logits = graph.fully_connected(vector, name="fc", inputs=pooled.channels, outputs=_CLASSES)
    graph.node("Softmax", (logits,), output="prob", axis=1)
    return graph.model({"prob": (_CLASSES,)})


def _write_stage(
    graph: GraphWriter, features: FeatureMap, *, number: int, channels: int, blocks: int, stride: int
) -> FeatureMap:
    for index in range(blocks):
        name = f"res{number}{'abcdef'[index]}"
        features = _write_block(graph, features, name=name, channels=channels, stride=1 if index else stride)
    return features


def _write_block(graph: GraphWriter, features: FeatureMap, *, name: str, channels: int, stride: int) -> FeatureMap:
    narrow = graph.relu(graph.conv(features, name=f"{name}_branch2a", channels=channels, stride=stride))
    middle = graph.relu(graph.conv(narrow, name=f"{name}_branch2b", channels=channels, kernel=3))
    wide = graph.conv(middle, name=f"{name}_branch2c", channels=4 * channels, gain=_BRANCH_GAIN)
    shortcut = features
    if features.channels != wide.channels:
        shortcut = graph.conv(features, name=f"{name}_branch1", channels=4 * channels, stride=stride)
    return graph.relu(graph.add(wide, shortcut, name=f"{name}_add"))
