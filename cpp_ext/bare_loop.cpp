#include "bare_loop.hpp"

#include <sched.h>

#include <algorithm>
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
  std::vector<std::int64_t> latencies_ns;
  std::optional<CallFailure> failure;
};

void wait_for(const CudaDriver& driver, CudaEventHandle event, CompletionMode mode) {
  if (mode == CompletionMode::block) return driver.wait_event(event);
  while (!driver.event_done(event)) {
    if (mode == CompletionMode::yield) sched_yield();
  }
}

void replay_until(const CudaDriver& driver, CudaWork work, CompletionMode mode,
                  std::int64_t end_at_ns, LaneResult& result) {
  const unsigned flags =
      kEventDisableTiming | (mode == CompletionMode::block ? kEventBlockingSync : 0U);
  const CudaEvent event(driver, flags);
  for (auto issued_at_ns = now_ns(); issued_at_ns < end_at_ns;) {
    driver.launch_graph(work.graph, work.stream);
    driver.record_event(event.handle(), work.stream);
    wait_for(driver, event.handle(), mode);
    const auto completed_at_ns = now_ns();
    if (result.latencies_ns.size() < BareLoopResult::kMostLatencies) {
      result.latencies_ns.push_back(completed_at_ns - issued_at_ns);
    }
    ++result.inferences;
    issued_at_ns = completed_at_ns;
  }
}

void run_lane(const CudaDriver& driver, CudaContext context, CudaWork work, CompletionMode mode,
              std::int64_t end_at_ns, LaneResult& result) noexcept {
  try {
    const ScopedContext scope(driver, context);
    replay_until(driver, work, mode, end_at_ns, result);
  } catch (const DriverError& error) {
    result.failure = error.failure();
  }
}

BareLoopResult join_results(const std::vector<LaneResult>& lanes, std::int64_t duration_ns) {
  BareLoopResult all{.inferences = 0, .duration_ns = duration_ns, .latencies_ns = {}};
  for (const auto& lane : lanes) {
    if (lane.failure) throw DriverError(*lane.failure);
    all.inferences += lane.inferences;
    all.latencies_ns.insert(all.latencies_ns.end(), lane.latencies_ns.begin(),
                            lane.latencies_ns.end());
  }
  return all;
}

}  // namespace

BareLoopResult bare_loop(const CudaDriver& driver, CudaContext context,
                         const std::vector<CudaWork>& lanes, CompletionMode mode,
                         std::int64_t duration_ns) {
  std::vector<LaneResult> results(lanes.size());
  for (auto& result : results) result.latencies_ns.reserve(BareLoopResult::kMostLatencies);
  const auto start_at_ns = now_ns();
  {
    std::vector<std::jthread> threads;
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
