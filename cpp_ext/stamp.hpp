#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace asyncbench {

/// Times of one inference, read by the pump thread. CLOCK_MONOTONIC, integer ns.
struct Stamp {
  std::int64_t issued_at_ns;     ///< before the first launch call
  std::int64_t enqueue_ns;       ///< host time inside the launch calls
  std::int64_t completed_at_ns;  ///< when a poll found it complete
  std::int64_t gpu_ns;           ///< between two CUDA events around it, or kNotTimed
};

inline constexpr std::int64_t kNotTimed = -1;

/// Stamps as a structure of arrays, as numpy takes them: four arrays of `count` values in one
/// block.
struct StampColumns {
  explicit StampColumns(std::size_t n)
      : count(n), values(std::make_unique<std::int64_t[]>(4 * n)) {}

  void set(std::size_t index, const Stamp& stamp) noexcept {
    values[index] = stamp.issued_at_ns;
    values[count + index] = stamp.enqueue_ns;
    values[2 * count + index] = stamp.completed_at_ns;
    values[3 * count + index] = stamp.gpu_ns;
  }

  std::size_t count;
  bool gpu_timed = false;  ///< false: the last array is all kNotTimed
  std::unique_ptr<std::int64_t[]> values;
};

}  // namespace asyncbench
