#pragma once

#include "launcher.hpp"
#include "stamp.hpp"

namespace asyncbench {

/// Does nothing, at once: what a lane over it takes is the cost of everything but the device.
class EmptyLauncher final : public Launcher {
 public:
  void launch(std::size_t /*slot*/) override {}
  bool finished(std::size_t /*slot*/) override { return true; }
  std::int64_t gpu_ns(std::size_t /*slot*/) override { return kNotTimed; }
  Rest rest() noexcept override { return Rest::done; }
};

}  // namespace asyncbench
