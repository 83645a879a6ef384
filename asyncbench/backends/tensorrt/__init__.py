"""TensorRT 8.6 to 11 and TensorRT-RTX: engines built in a child process, lanes over them, the native pump."""
