"""The ONNX Runtime backend: a session on the CPU, a thread per lane."""
