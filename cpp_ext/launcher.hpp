#pragma once

#include <cstddef>
#include <cstdint>

namespace asyncbench {

/// Device interface of a lane. Called on the pump thread only; no call blocks.
///
/// A slot holds one inference in flight, 0 to depth - 1. Slots are used round-robin, so inferences
/// end in slot order.
class Launcher {
 public:
  enum class DrainState {
    pending,  ///< launched work is still running
    drained,  ///< all launched work has ended
    lost,     ///< the device only returns errors: whether the work has ended is unknowable
  };

  Launcher() = default;
  virtual ~Launcher() = default;
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  /// Start the inference of `slot`. Throws DriverError; whether the inference was started is
  /// then unknown.
  virtual void launch(std::size_t slot) = 0;

  /// True when the inference of `slot` has ended. Throws DriverError.
  [[nodiscard]] virtual bool finished(std::size_t slot) = 0;

  /// Device time of `slot`, which has finished; kNotTimed if not measured. Throws DriverError.
  [[nodiscard]] virtual std::int64_t gpu_ns(std::size_t slot) = 0;

  /// State of all launched work, after an error.
  [[nodiscard]] virtual DrainState drain_state() noexcept = 0;
};

}  // namespace asyncbench
