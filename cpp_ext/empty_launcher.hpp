#pragma once

#include "launcher.hpp"
#include "stamp.hpp"

namespace asyncbench {

/// Launcher without a device: each inference ends at once. The time of a lane over it is the cost
/// of everything but the device.
class EmptyLauncher final : public Launcher {
 public:
  void launch(std::size_t /*slot*/) override {}
  bool finished(std::size_t /*slot*/) override { return true; }
  std::int64_t gpu_ns(std::size_t /*slot*/) override { return kNotTimed; }
  DrainState drain_state() noexcept override { return DrainState::drained; }
};

}  // namespace asyncbench
