#pragma once

#include <cstdint>
#include <vector>

#include "completion_mode.hpp"
#include "cuda_driver.hpp"
#include "cuda_launcher.hpp"

namespace asyncbench {

struct BareLoopResult {
  std::uint64_t inferences = 0;  ///< of all lanes
  std::int64_t duration_ns = 0;  ///< from the first launch to the last completion
};

/// Baseline of the pump: one thread per lane, which launches, waits and launches again for
/// `duration_ns`, once at least. Nothing else may use the streams meanwhile. Throws DriverError.
[[nodiscard]] BareLoopResult bare_loop(const CudaDriver& driver, CudaContext context,
                                       const std::vector<CudaWork>& lanes, CompletionMode mode,
                                       std::int64_t duration_ns);

/// Launch one graph `count` times back to back, wait for the last, and return the time of all.
/// Throws DriverError.
[[nodiscard]] std::int64_t bare_replay_ns(const CudaDriver& driver, CudaContext context,
                                          CudaWork work, std::uint32_t count);

}  // namespace asyncbench
