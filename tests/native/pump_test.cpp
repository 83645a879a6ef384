#include "pump.hpp"

#include <doctest/doctest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "fake_cuda.hpp"
#include "fixtures.hpp"

namespace {

using asyncbench::CompletionMode;
using asyncbench::LaneOptions;
using asyncbench::Pump;

constexpr int kIllegalAddress = 700;
constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kMinuteNs = 60 * kSecondNs;

asyncbench::CallFailure error_of(const Pump& pump, int lane) {
  return pump.lane_error(lane).value_or(asyncbench::CallFailure{});
}

TEST_CASE_FIXTURE(FakeDriverWithoutLeaks, "random credits and drains lose no inference") {
  const auto mode = each_completion_mode();
  constexpr std::uint32_t kMaxCredits = 8;
  constexpr std::uint64_t kWanted = 300;
  std::map<int, void*> stream_of;
  std::map<int, std::uint64_t> given;
  std::map<int, std::uint64_t> seen;
  std::mt19937 random(7);
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  for (std::uint64_t i = 0; i < 6; ++i) {
    void* const stream = fake_stream(0, 50'000, i);
    const LaneOptions options{.max_credits = kMaxCredits,
                              .depth = static_cast<std::uint32_t>(1 + i % 3),
                              .gpu_timed = i % 2 == 0};
    stream_of[pump.add_lane(work_on(stream), options)] = stream;
  }

  while (std::ranges::any_of(stream_of,
                             [&](const auto& lane) { return seen[lane.first] < kWanted; })) {
    for (const auto& [lane, stream] : stream_of) {
      const auto room = kMaxCredits - (given[lane] - seen[lane]);
      const auto count = room == 0 ? 0 : random() % (room + 1);
      pump.give_credits(lane, static_cast<std::uint32_t>(count));
      given[lane] += count;
      if (random() % 4 == 0) given[lane] -= pump.take_credits_back(lane);
      seen[lane] += pump.drain(lane).count;
    }
  }

  for (const auto& [lane, stream] : stream_of) {
    given[lane] -= pump.take_credits_back(lane);
    CHECK(pump.wait_idle(lane, kMinuteNs));
    seen[lane] += pump.drain(lane).count;
    CHECK(seen[lane] == given[lane]);
    CHECK(fake_launches(stream) == given[lane]);
    CHECK(fake_max_in_flight(stream) <= 3);
    pump.remove_lane(lane);
  }
}

TEST_CASE_FIXTURE(FakeDriverWithoutLeaks, "armed lanes wake their owner") {
  const auto mode = each_completion_mode();
  constexpr int kLanes = 4;
  constexpr int kWanted = 400;
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  std::map<int, int> seen;
  for (std::uint64_t i = 0; i < kLanes; ++i) {
    const int lane = pump.add_lane(work_on(fake_stream(0, 20'000, i)), {.max_credits = 1});
    pump.give_credits(lane, 1);
    pump.arm(lane, 1);
    seen[lane] = 0;
  }

  for (int total = 0; total < kLanes * kWanted;) {
    pollfd entry{.fd = pump.fd(), .events = POLLIN, .revents = 0};
    REQUIRE(poll(&entry, 1, 60'000) == 1);
    for (const int lane : pump.ready_lanes()) {
      CHECK(pump.drain(lane).count == 1);
      ++total;
      if (++seen[lane] == kWanted) continue;
      pump.give_credits(lane, 1);
      pump.arm(lane, 1);
    }
  }
}

TEST_CASE_FIXTURE(FakeDriverWithoutLeaks, "lanes come and go while others work") {
  const auto mode = each_completion_mode();
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  const int busy = pump.add_lane(work_on(fake_stream(1'000, 1'000, 0)), {.max_credits = 1 << 20});
  pump.give_credits(busy, 1 << 20);

  {
    std::vector<std::jthread> owners;
    owners.reserve(3);
    for (std::uint64_t owner = 0; owner < 3; ++owner) {
      owners.emplace_back([&pump, owner] {
        for (int i = 0; i < 30; ++i) {
          const int lane =
              pump.add_lane(work_on(fake_stream(0, 10'000, owner)), {.max_credits = 4});
          pump.give_credits(lane, 4);
          CHECK(pump.wait_idle(lane, kMinuteNs));
          CHECK(pump.drain(lane).count == 4);
          pump.remove_lane(lane);
        }
      });
    }
  }

  CHECK(fake_live_events() == events_before + 1);
  CHECK(pump.close(kMinuteNs));
  CHECK(fake_live_events() == events_before);
}

void check_that_failure_stops_one_lane_only(CompletionMode mode, const char* function) {
  CAPTURE(function);
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  void* const stream = fake_stream(1'000, 1'000, 0);
  const int broken =
      pump.add_lane(work_on(stream), {.max_credits = 64, .depth = 2, .gpu_timed = true});
  const int whole = pump.add_lane(work_on(fake_stream(1'000, 1'000, 1)), {.max_credits = 64});
  fake_fail(function, stream, 8, kIllegalAddress, false);

  pump.give_credits(broken, 64);
  pump.give_credits(whole, 64);

  CHECK(pump.wait_idle(broken, kMinuteNs));
  CHECK(pump.wait_idle(whole, kMinuteNs));
  CHECK(error_of(pump, broken).code == kIllegalAddress);
  CHECK(error_of(pump, broken).call == function);
  CHECK(pump.drain(whole).count == 64);
  CHECK(!pump.lane_error(whole));
  CHECK(pump.take_credits_back(broken) == 0);
  pump.remove_lane(broken);
}

TEST_CASE_FIXTURE(FakeDriverWithoutLeaks, "failed call stops its lane only") {
  const auto mode = each_completion_mode();

  for (const char* const function :
       {"cuGraphLaunch", "cuEventRecord", "cuEventQuery", "cuEventElapsedTime"}) {
    check_that_failure_stops_one_lane_only(mode, function);
  }
  if (mode == CompletionMode::block) {
    check_that_failure_stops_one_lane_only(mode, "cuLaunchHostFunc");
  }
}

TEST_CASE_FIXTURE(FakeDriverWithoutLeaks, "sticky error stops every lane") {
  const auto mode = each_completion_mode();
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  std::vector<int> lanes;
  for (std::uint64_t i = 0; i < 4; ++i) {
    lanes.push_back(pump.add_lane(work_on(fake_stream(10'000, 20'000, i)), {.max_credits = 1024}));
    pump.give_credits(lanes.back(), 1024);
  }

  fake_fail("cuEventQuery", nullptr, 20, kIllegalAddress, true);

  for (const int lane : lanes) {
    CHECK(pump.wait_idle(lane, kMinuteNs));
    CHECK(error_of(pump, lane).code == kIllegalAddress);
  }
  CHECK(pump.close(kMinuteNs));
}

TEST_CASE_FIXTURE(FakeDriverWithoutLeaks, "close waits for the inferences in flight") {
  const auto mode = each_completion_mode();
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  void* const stream = fake_stream(100'000, 200'000, 0);
  const int lane = pump.add_lane(work_on(stream), {.max_credits = 1000, .depth = 2});
  pump.give_credits(lane, 1000);
  REQUIRE(becomes_true([&] { return fake_launches(stream) > 3; }));

  CHECK(pump.close(kMinuteNs));

  CHECK(fake_in_flight(stream) == 0);
  CHECK(pump.drain(lane).count == fake_launches(stream));
  CHECK(pump.close(0));
}

TEST_CASE_FIXTURE(FakeDriver, "hung lane is reported, leaked, and does not block close") {
  const auto mode = each_completion_mode();
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  void* const stream = fake_held_stream();
  const int hung =
      pump.add_lane(work_on(stream),
                    {.max_credits = 4, .depth = 1, .gpu_timed = false, .deadline_ns = 2'000'000});
  const int whole = pump.add_lane(work_on(fake_stream(0, 1'000, 0)), {.max_credits = 64});
  pump.give_credits(hung, 2);
  pump.arm(hung, 2);

  pollfd entry{.fd = pump.fd(), .events = POLLIN, .revents = 0};
  REQUIRE(poll(&entry, 1, 60'000) == 1);
  CHECK(pump.ready_lanes() == std::vector{hung});
  CHECK(error_of(pump, hung).name == "NO_COMPLETION");
  pump.give_credits(whole, 64);
  CHECK(pump.wait_idle(whole, kMinuteNs));
  CHECK(!pump.wait_idle(hung, 1'000'000));
  CHECK(pump.in_flight(hung) == 1);
  CHECK(!pump.close(5'000'000));
  fake_release(stream, 1);  // what was leaked may still be called by the driver
  REQUIRE(becomes_true([&] { return fake_in_flight(stream) == 0; }));
}

TEST_CASE_FIXTURE(FakeDriverWithoutLeaks, "lane can be drained while close waits for the driver") {
  const auto mode = each_completion_mode();
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  const int lane = pump.add_lane(work_on(fake_stream(0, 0, 0)), {.max_credits = 4});
  pump.give_credits(lane, 4);
  REQUIRE(pump.wait_idle(lane, kMinuteNs));
  fake_block_destroys(true);
  std::atomic<bool> drained{false};

  {
    const std::jthread closing([&] { pump.close(kMinuteNs); });
    const std::jthread draining([&] {
      CHECK(becomes_true([] { return fake_blocked_destroys() == 1; }));
      drained = pump.drain(lane).count == 4;
    });
    CHECK(becomes_true([&] { return drained.load(); }));
    fake_block_destroys(false);
  }
}

}  // namespace
