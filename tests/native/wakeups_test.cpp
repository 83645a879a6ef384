#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "event_count.hpp"
#include "event_fd.hpp"

namespace {

using asyncbench::EventCount;
using asyncbench::EventFd;

constexpr int kTurns = 20'000;

TEST_CASE("event count never loses a notification") {
  EventCount ping;
  EventCount pong;
  std::atomic<int> turn{0};
  const auto wait_for_turn = [&](EventCount& events, int wanted) {
    for (auto seen = events.value(); turn.load() < wanted; seen = events.value()) {
      events.wait(seen, EventCount::kNoTimeout);
    }
  };

  const std::jthread other([&] {
    for (int i = 1; i < kTurns; i += 2) {
      wait_for_turn(ping, i);
      turn = i + 1;
      pong.notify_all();
    }
  });
  for (int i = 1; i < kTurns; i += 2) {
    turn = i;
    ping.notify_all();
    wait_for_turn(pong, i + 1);
  }

  CHECK(turn == kTurns);
}

TEST_CASE("event count stops waiting after the timeout") {
  EventCount events;
  const auto seen = events.value();

  events.wait(seen, 1'000'000);

  CHECK(events.value() == seen);
}

TEST_CASE("event fd is readable whenever something is published") {
  EventFd event_fd;
  std::atomic<int> published{0};
  int seen = 0;

  const std::jthread other([&] {
    for (int i = 1; i <= kTurns; ++i) {
      published = i;
      event_fd.signal();
    }
  });
  while (seen < kTurns) {
    pollfd entry{.fd = event_fd.fd(), .events = POLLIN, .revents = 0};
    REQUIRE(poll(&entry, 1, 60'000) == 1);
    event_fd.clear();
    seen = published;
  }

  CHECK(seen == kTurns);
}

}  // namespace
