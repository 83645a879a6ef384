#pragma once

#include "cuda_driver.hpp"

namespace asyncbench {

/// Makes a CUDA context current on this thread for the lifetime of the object.
class ScopedContext {
 public:
  ScopedContext(const CudaDriver& driver, CudaContext context) : driver_(driver) {
    driver_.push_context(context);
  }
  ~ScopedContext() { driver_.pop_context(); }
  ScopedContext(const ScopedContext&) = delete;
  ScopedContext& operator=(const ScopedContext&) = delete;

 private:
  const CudaDriver& driver_;
};

}  // namespace asyncbench
