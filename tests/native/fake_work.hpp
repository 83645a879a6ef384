#pragma once

#include "cuda_driver.hpp"
#include "cuda_launcher.hpp"

/// Any pointer is a context to the fake driver.
inline asyncbench::CudaContext some_context() {
  static int context;
  return reinterpret_cast<asyncbench::CudaContext>(&context);
}

/// A graph on a stream of fake_cuda.hpp; the stream knows how long it takes.
inline asyncbench::CudaWork work_on(void* stream) {
  return {.stream = static_cast<asyncbench::CudaStream>(stream), .graph = nullptr};
}
