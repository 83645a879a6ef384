#include <poll.h>

#include <atomic>
#include <thread>

#include "bell.hpp"
#include "cases.hpp"
#include "check.hpp"
#include "event_fd.hpp"

namespace {

using asyncbench::Bell;
using asyncbench::EventFd;

constexpr int kTurns = 20'000;

void bell_never_loses_a_ring() {
  Bell bell;
  Bell answer;
  std::atomic<int> turn{0};
  const auto wait_for = [&](Bell& at, int wanted) {
    for (auto seen = at.rung(); turn.load() < wanted; seen = at.rung()) {
      at.wait(seen, Bell::kForever);
    }
  };

  std::jthread other([&] {
    for (int i = 1; i < kTurns; i += 2) {
      wait_for(bell, i);
      turn = i + 1;
      answer.ring();
    }
  });
  for (int i = 1; i < kTurns; i += 2) {
    turn = i;
    bell.ring();
    wait_for(answer, i + 1);
  }

  check(turn == kTurns);
}

void bell_stops_waiting_after_the_timeout() {
  Bell bell;

  bell.wait(bell.rung(), 1'000'000);
}

void event_fd_is_readable_whenever_something_is_published() {
  EventFd event_fd;
  std::atomic<int> published{0};
  int seen = 0;

  std::jthread other([&] {
    for (int i = 1; i <= kTurns; ++i) {
      published = i;
      event_fd.signal();
    }
  });
  while (seen < kTurns) {
    pollfd entry{.fd = event_fd.fd(), .events = POLLIN, .revents = 0};
    check(poll(&entry, 1, 60'000) == 1);
    event_fd.clear();
    seen = published;
  }
}

}  // namespace

void test_wakeups() {
  bell_never_loses_a_ring();
  bell_stops_waiting_after_the_timeout();
  event_fd_is_readable_whenever_something_is_published();
}
