#include "bare_loop.hpp"

#include "cases.hpp"
#include "check.hpp"
#include "driver_error.hpp"
#include "fake_cuda.hpp"
#include "fake_work.hpp"

namespace {

using asyncbench::CompletionMode;
using asyncbench::CudaDriver;

void counts_what_every_lane_did(CompletionMode mode) {
  const CudaDriver driver(FAKE_CUDA_LIBRARY);
  void* const first = fake_stream(10'000, 10'000, 0);
  void* const second = fake_stream(10'000, 10'000, 1);

  const auto result = asyncbench::bare_loop(driver, some_context(),
                                            {work_on(first), work_on(second)}, mode, 20'000'000);

  check(result.inferences == fake_launches(first) + fake_launches(second));
  check(result.latencies_ns.size() == result.inferences);
  check(result.duration_ns >= 20'000'000);
  for (const auto latency_ns : result.latencies_ns) check(latency_ns >= 10'000);
}

void failure_of_one_lane_is_thrown() {
  const CudaDriver driver(FAKE_CUDA_LIBRARY);
  fake_fail("cuGraphLaunch", nullptr, 5, 719, false);

  try {
    static_cast<void>(asyncbench::bare_loop(driver, some_context(), {work_on(fake_stream(0, 0, 0))},
                                            CompletionMode::spin, 60'000'000'000));
    check(false);
  } catch (const asyncbench::DriverError& error) {
    check(error.failure().name == "CUDA_ERROR_LAUNCH_FAILED");
  }
  fake_heal();
}

void replay_takes_as_long_as_the_device() {
  const CudaDriver driver(FAKE_CUDA_LIBRARY);
  void* const stream = fake_stream(100'000, 100'000, 0);

  const auto took_ns = asyncbench::bare_replay_ns(driver, some_context(), work_on(stream), 20);

  check(fake_launches(stream) == 20);
  check(took_ns >= 20 * 100'000);
}

}  // namespace

void test_bare_loop() {
  counts_what_every_lane_did(CompletionMode::spin);
  counts_what_every_lane_did(CompletionMode::yield);
  counts_what_every_lane_did(CompletionMode::block);
  failure_of_one_lane_is_thrown();
  replay_takes_as_long_as_the_device();
}
