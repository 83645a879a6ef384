#pragma once

#include <cstddef>
#include <cstdint>

namespace asyncbench {

/// What a lane asks of its device. All of it on the pump thread; none of it blocks.
///
/// A slot is the place of one inference in flight, 0 to depth - 1. Slots are used in turn, so they
/// end in that order.
class Launcher {
 public:
  enum class Rest {
    pending,  ///< the device still works on what was launched
    done,     ///< the device is finished with all that was launched
    lost,     ///< the device answers with errors only: it will never say
  };

  Launcher() = default;
  virtual ~Launcher() = default;
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  /// Start the inference of `slot`. Throws DriverError; whether something was started is then
  /// unknown.
  virtual void launch(std::size_t slot) = 0;

  /// True when the inference of `slot` has ended. Throws DriverError.
  [[nodiscard]] virtual bool finished(std::size_t slot) = 0;

  /// Device time of `slot`, which has finished; kNotTimed if it is not taken. Throws DriverError.
  [[nodiscard]] virtual std::int64_t gpu_ns(std::size_t slot) = 0;

  /// After an error: what has become of all that was launched.
  [[nodiscard]] virtual Rest rest() noexcept = 0;
};

}  // namespace asyncbench
