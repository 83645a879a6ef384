#pragma once

#include <utility>

#include "cuda_driver.hpp"

namespace asyncbench {

/// Owns one CUDA event. Create and destroy it with its context current.
class CudaEvent {
 public:
  CudaEvent(const CudaDriver& driver, unsigned flags)
      : driver_(&driver), handle_(driver.create_event(flags)) {}
  ~CudaEvent() {
    if (handle_ != nullptr) driver_->destroy_event(handle_);
  }
  CudaEvent(CudaEvent&& other) noexcept
      : driver_(other.driver_), handle_(std::exchange(other.handle_, nullptr)) {}
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;
  CudaEvent& operator=(CudaEvent&&) = delete;

  [[nodiscard]] CudaEventHandle handle() const noexcept { return handle_; }

 private:
  const CudaDriver* driver_;
  CudaEventHandle handle_;
};

}  // namespace asyncbench
