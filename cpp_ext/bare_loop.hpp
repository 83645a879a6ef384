#pragma once

#include <cstdint>
#include <vector>

#include "completion_mode.hpp"
#include "cuda_driver.hpp"
#include "cuda_launcher.hpp"

namespace asyncbench {

/// What a bare loop did. Latencies are those of the first kMostLatencies inferences of each lane.
struct BareLoopResult {
  static constexpr std::size_t kMostLatencies = 1 << 18;

  std::uint64_t inferences = 0;
  std::int64_t duration_ns = 0;
  std::vector<std::int64_t> latencies_ns;
};

/// The loop that a pump is compared with: a thread per lane that launches, waits and launches again
/// for `duration_ns`. Nobody else may use the streams meanwhile. Throws DriverError.
[[nodiscard]] BareLoopResult bare_loop(const CudaDriver& driver, CudaContext context,
                                       const std::vector<CudaWork>& lanes, CompletionMode mode,
                                       std::int64_t duration_ns);

/// Launch one graph `count` times back to back, wait for the last, and return what all of it took.
/// Throws DriverError.
[[nodiscard]] std::int64_t bare_replay_ns(const CudaDriver& driver, CudaContext context,
                                          CudaWork work, std::uint32_t count);

}  // namespace asyncbench
