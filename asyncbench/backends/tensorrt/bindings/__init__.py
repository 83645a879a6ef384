"""Differences between TensorRT's versions, its protocols, and what the installation offers."""
