#include "bare_loop.hpp"

#include <sched.h>

#include <optional>
#include <thread>

#include "cuda_event.hpp"
#include "driver_error.hpp"
#include "monotonic_clock.hpp"
#include "scoped_context.hpp"

namespace asyncbench {
namespace {

struct LaneResult {
  std::uint64_t inferences = 0;
  std::optional<CallFailure> failure;
};

void wait_for(const CudaDriver& driver, CudaEventHandle event, CompletionMode mode) {
  if (mode == CompletionMode::block) {
    driver.wait_event(event);
    return;
  }
  while (!driver.event_done(event)) {
    if (mode == CompletionMode::yield) sched_yield();
  }
}

std::uint64_t replay_until(const CudaDriver& driver, CudaWork work, CompletionMode mode,
                           std::int64_t end_at_ns) {
  const unsigned flags =
      kEventDisableTiming | (mode == CompletionMode::block ? kEventBlockingSync : 0U);
  const CudaEvent event(driver, flags);
  std::uint64_t inferences = 0;
  do {
    driver.launch_graph(work.graph, work.stream);
    driver.record_event(event.handle(), work.stream);
    wait_for(driver, event.handle(), mode);
    ++inferences;
  } while (now_ns() < end_at_ns);
  return inferences;
}

void run_lane(const CudaDriver& driver, CudaContext context, CudaWork work, CompletionMode mode,
              std::int64_t end_at_ns, LaneResult& result) noexcept {
  try {
    const ScopedContext scope(driver, context);
    result.inferences = replay_until(driver, work, mode, end_at_ns);
  } catch (const DriverError& error) {
    result.failure = error.failure();
  }
}

BareLoopResult join_results(const std::vector<LaneResult>& lanes, std::int64_t duration_ns) {
  BareLoopResult all{.inferences = 0, .duration_ns = duration_ns};
  for (const auto& lane : lanes) {
    if (lane.failure) throw DriverError(*lane.failure);
    all.inferences += lane.inferences;
  }
  return all;
}

}  // namespace

BareLoopResult bare_loop(const CudaDriver& driver, CudaContext context,
                         const std::vector<CudaWork>& lanes, CompletionMode mode,
                         std::int64_t duration_ns) {
  std::vector<LaneResult> results(lanes.size());
  const auto start_at_ns = now_ns();
  {
    std::vector<std::jthread> threads;
    threads.reserve(lanes.size());
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      threads.emplace_back([&, i] {
        run_lane(driver, context, lanes[i], mode, start_at_ns + duration_ns, results[i]);
      });
    }
  }
  return join_results(results, now_ns() - start_at_ns);
}

std::int64_t bare_replay_ns(const CudaDriver& driver, CudaContext context, CudaWork work,
                            std::uint32_t count) {
  const ScopedContext scope(driver, context);
  driver.wait_stream(work.stream);
  const auto start_at_ns = now_ns();
  for (std::uint32_t i = 0; i < count; ++i) driver.launch_graph(work.graph, work.stream);
  driver.wait_stream(work.stream);
  return now_ns() - start_at_ns;
}

}  // namespace asyncbench
