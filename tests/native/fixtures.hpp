#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <thread>

#include "completion_mode.hpp"
#include "cuda_driver.hpp"
#include "cuda_launcher.hpp"
#include "fake_cuda.hpp"

/// Any pointer is a context to the fake driver.
inline asyncbench::CudaContext some_context() {
  static int context;
  return reinterpret_cast<asyncbench::CudaContext>(&context);
}

/// A graph on a stream of fake_cuda.hpp; the stream determines how long it takes.
inline asyncbench::CudaWork work_on(void* stream) {
  return {.stream = static_cast<asyncbench::CudaStream>(stream), .graph = nullptr};
}

/// Runs the test case once per mode.
inline asyncbench::CompletionMode each_completion_mode() {
  using asyncbench::CompletionMode;
  auto mode = CompletionMode::spin;
  SUBCASE("spin") { mode = CompletionMode::spin; }
  SUBCASE("yield") { mode = CompletionMode::yield; }
  SUBCASE("block") { mode = CompletionMode::block; }
  return mode;
}

/// Waits for what another thread is about to make true. A minute, because machines may be very
/// busy.
template <typename Condition>
[[nodiscard]] bool becomes_true(const Condition& condition) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!condition() && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  return condition();
}

/// The fake driver, healed after the test case, which must have made no call out of order.
struct FakeDriver {
  FakeDriver() = default;
  FakeDriver(const FakeDriver&) = delete;
  FakeDriver& operator=(const FakeDriver&) = delete;
  ~FakeDriver() {
    fake_heal();
    CHECK(fake_misuses() == misuses_before);
  }

  std::uint64_t misuses_before = fake_misuses();
};

/// A fake driver on which the test case must leave no event.
struct FakeDriverWithoutLeaks : FakeDriver {
  ~FakeDriverWithoutLeaks() { CHECK(fake_live_events() == events_before); }

  std::uint64_t events_before = fake_live_events();
};
