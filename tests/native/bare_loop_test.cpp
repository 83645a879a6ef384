#include "bare_loop.hpp"

#include <doctest/doctest.h>

#include <string>

#include "driver_error.hpp"
#include "fake_cuda.hpp"
#include "fixtures.hpp"

namespace {

using asyncbench::CompletionMode;
using asyncbench::CudaDriver;

TEST_CASE_FIXTURE(FakeDriverWithoutLeaks,
                  "bare loop keeps one inference in flight on every lane, and counts them all") {
  const auto mode = each_completion_mode();
  const CudaDriver driver(FAKE_CUDA_LIBRARY);
  void* const first = fake_stream(10'000, 10'000, 0);
  void* const second = fake_stream(10'000, 10'000, 1);

  const auto result = asyncbench::bare_loop(driver, some_context(),
                                            {work_on(first), work_on(second)}, mode, 20'000'000);

  CHECK(fake_launches(first) > 0);
  CHECK(fake_launches(second) > 0);
  CHECK(result.inferences == fake_launches(first) + fake_launches(second));
  CHECK(result.duration_ns >= 20'000'000);
  CHECK(fake_max_in_flight(first) == 1);
  CHECK(fake_max_in_flight(second) == 1);
}

TEST_CASE_FIXTURE(FakeDriverWithoutLeaks, "failure of one lane ends the bare loop as an error") {
  const CudaDriver driver(FAKE_CUDA_LIBRARY);
  fake_fail("cuGraphLaunch", nullptr, 5, 719, false);
  std::string error;

  try {
    static_cast<void>(asyncbench::bare_loop(driver, some_context(), {work_on(fake_stream(0, 0, 0))},
                                            CompletionMode::spin, 60'000'000'000));
  } catch (const asyncbench::DriverError& thrown) {
    error = thrown.failure().name;
  }

  CHECK(error == "CUDA_ERROR_LAUNCH_FAILED");
}

TEST_CASE_FIXTURE(FakeDriverWithoutLeaks, "replay takes as long as the device") {
  const CudaDriver driver(FAKE_CUDA_LIBRARY);
  void* const stream = fake_stream(100'000, 100'000, 0);

  const auto took_ns = asyncbench::bare_replay_ns(driver, some_context(), work_on(stream), 20);

  CHECK(fake_launches(stream) == 20);
  CHECK(took_ns >= 20 * 100'000);
}

}  // namespace
