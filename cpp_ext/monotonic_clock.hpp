#pragma once

#include <time.h>

#include <cstdint>

namespace asyncbench {

/// Return CLOCK_MONOTONIC in nanoseconds, the clock of Python's `time.monotonic_ns`.
inline std::int64_t now_ns() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace asyncbench
