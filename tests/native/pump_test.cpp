#include "pump.hpp"

#include <poll.h>

#include <algorithm>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "cases.hpp"
#include "check.hpp"
#include "fake_cuda.hpp"
#include "fake_work.hpp"

namespace {

using asyncbench::CompletionMode;
using asyncbench::LaneOptions;
using asyncbench::Pump;

constexpr CompletionMode kModes[] = {CompletionMode::spin, CompletionMode::yield,
                                     CompletionMode::block};
constexpr int kIllegalAddress = 700;
constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kMinuteNs = 60 * kSecondNs;

void random_credits_and_drains_lose_nothing(CompletionMode mode) {
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

  while (std::any_of(stream_of.begin(), stream_of.end(),
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
    check(pump.wait_idle(lane, kMinuteNs));
    seen[lane] += pump.drain(lane).count;
    check(seen[lane] == given[lane]);
    check(fake_launches(stream) == given[lane]);
    check(fake_most_in_flight(stream) <= 3);
    pump.remove_lane(lane);
  }
}

void armed_lanes_wake_their_owner(CompletionMode mode) {
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
    check(poll(&entry, 1, 60'000) == 1);
    for (const int lane : pump.ready_lanes()) {
      check(pump.drain(lane).count == 1);
      ++total;
      if (++seen[lane] == kWanted) continue;
      pump.give_credits(lane, 1);
      pump.arm(lane, 1);
    }
  }
}

void lanes_come_and_go_while_others_work(CompletionMode mode) {
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  const int busy = pump.add_lane(work_on(fake_stream(1'000, 1'000, 0)), {.max_credits = 1 << 20});
  pump.give_credits(busy, 1 << 20);

  {
    std::vector<std::jthread> owners;
    for (std::uint64_t owner = 0; owner < 3; ++owner) {
      owners.emplace_back([&pump, owner] {
        for (int i = 0; i < 30; ++i) {
          const int lane =
              pump.add_lane(work_on(fake_stream(0, 10'000, owner)), {.max_credits = 4});
          pump.give_credits(lane, 4);
          check(pump.wait_idle(lane, kMinuteNs));
          check(pump.drain(lane).count == 4);
          pump.remove_lane(lane);
        }
      });
    }
  }

  check(fake_live_events() == 1);
  pump.close(kMinuteNs);
  check(fake_live_events() == 0);
}

void failed_call_stops_its_lane_only(CompletionMode mode, const char* function) {
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  void* const stream = fake_stream(1'000, 1'000, 0);
  const int broken =
      pump.add_lane(work_on(stream), {.max_credits = 64, .depth = 2, .gpu_timed = true});
  const int whole = pump.add_lane(work_on(fake_stream(1'000, 1'000, 1)), {.max_credits = 64});
  fake_fail(function, stream, 8, kIllegalAddress, false);

  pump.give_credits(broken, 64);
  pump.give_credits(whole, 64);

  check(pump.wait_idle(broken, kMinuteNs));
  check(pump.wait_idle(whole, kMinuteNs));
  const auto failure = pump.lane_error(broken);
  check(failure && failure->code == kIllegalAddress && failure->call == function);
  check(pump.drain(whole).count == 64 && !pump.lane_error(whole));
  check(pump.take_credits_back(broken) == 0);
  pump.remove_lane(broken);
  fake_heal();
}

void sticky_error_stops_every_lane(CompletionMode mode) {
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  std::vector<int> lanes;
  for (std::uint64_t i = 0; i < 4; ++i) {
    lanes.push_back(pump.add_lane(work_on(fake_stream(10'000, 20'000, i)), {.max_credits = 1024}));
    pump.give_credits(lanes.back(), 1024);
  }

  fake_fail("cuEventQuery", nullptr, 20, kIllegalAddress, true);

  for (const int lane : lanes) {
    check(pump.wait_idle(lane, kMinuteNs));
    check(pump.lane_error(lane)->code == kIllegalAddress);
  }
  check(pump.close(kMinuteNs));
  fake_heal();
}

void close_waits_for_what_is_in_flight(CompletionMode mode) {
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  void* const stream = fake_stream(100'000, 200'000, 0);
  const int lane = pump.add_lane(work_on(stream), {.max_credits = 1000, .depth = 2});
  pump.give_credits(lane, 1000);
  check_soon([&] { return fake_launches(stream) > 3; });

  check(pump.close(kMinuteNs));

  check(fake_in_flight(stream) == 0);
  check(pump.drain(lane).count == fake_launches(stream));
  check(pump.close(0));
}

void hung_lane_is_reported_and_does_not_stop_close(CompletionMode mode) {
  Pump pump(some_context(), mode, FAKE_CUDA_LIBRARY);
  void* const stream = fake_held_stream();
  const int hung =
      pump.add_lane(work_on(stream),
                    {.max_credits = 4, .depth = 1, .gpu_timed = false, .deadline_ns = 2'000'000});
  const int whole = pump.add_lane(work_on(fake_stream(0, 1'000, 0)), {.max_credits = 64});
  pump.give_credits(hung, 2);
  pump.arm(hung, 2);

  pollfd entry{.fd = pump.fd(), .events = POLLIN, .revents = 0};
  check(poll(&entry, 1, 60'000) == 1);
  check(pump.ready_lanes() == std::vector{hung});
  check(pump.lane_error(hung)->name == "NO_COMPLETION");
  pump.give_credits(whole, 64);
  check(pump.wait_idle(whole, kMinuteNs));
  check(!pump.wait_idle(hung, 1'000'000));
  check(pump.in_flight(hung) == 1);
  check(!pump.close(5'000'000));
  fake_release(stream, 1);  // what was leaked may still be called by the driver
  check_soon([&] { return fake_in_flight(stream) == 0; });
}

}  // namespace

void test_pump() {
  for (const auto mode : kModes) {
    random_credits_and_drains_lose_nothing(mode);
    armed_lanes_wake_their_owner(mode);
    lanes_come_and_go_while_others_work(mode);
    for (const char* const function :
         {"cuGraphLaunch", "cuEventRecord", "cuEventQuery", "cuEventElapsedTime"}) {
      failed_call_stops_its_lane_only(mode, function);
    }
    sticky_error_stops_every_lane(mode);
    close_waits_for_what_is_in_flight(mode);
  }
  failed_call_stops_its_lane_only(CompletionMode::block, "cuLaunchHostFunc");
  check(fake_live_events() == 0);
  for (const auto mode : kModes) hung_lane_is_reported_and_does_not_stop_close(mode);
  check(fake_misuses() == 0);
}
