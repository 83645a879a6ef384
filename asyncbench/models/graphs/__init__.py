"""The packaged networks as ONNX graphs: the published architectures, with seeded weights."""

from asyncbench.models.graphs.model_file import write_model

__all__ = ["write_model"]
