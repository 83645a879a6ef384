#include "credit_gate.hpp"

#include <doctest/doctest.h>

#include <thread>

namespace {

using asyncbench::CreditGate;

TEST_CASE("credit gate starts no more than credits and depth allow") {
  CreditGate gate;
  CHECK(gate.give(3));

  CHECK(gate.start(2));
  CHECK(gate.start(2));
  CHECK(!gate.start(2));
  gate.finish();
  CHECK(gate.start(2));
  gate.finish();
  CHECK(!gate.start(2));

  CHECK(gate.in_flight() == 1);
  gate.finish();
  CHECK(gate.idle());
}

TEST_CASE("stopped credit gate drops its credits and takes no more") {
  CreditGate gate;
  CHECK(gate.give(5));
  CHECK(gate.start(1));

  gate.stop();

  CHECK(!gate.give(1));
  CHECK(!gate.start(8));
  CHECK(gate.take_back() == 0);
  CHECK(gate.in_flight() == 1);
  CHECK(!gate.idle());
  gate.clear_in_flight();
  CHECK(gate.idle());
}

TEST_CASE("every credit is either taken back or started") {
  constexpr std::uint32_t kGiven = 200'000;
  CreditGate gate;
  std::uint32_t started = 0;
  std::uint32_t taken_back = 0;
  std::atomic<bool> all_given{false};

  {
    const std::jthread pump([&] {
      while (!all_given.load() || !gate.idle()) {
        if (!gate.start(2)) continue;
        ++started;
        gate.finish();
      }
    });
    for (std::uint32_t i = 0; i < kGiven / 4; ++i) {
      gate.give(4);
      if (i % 3 == 0) taken_back += gate.take_back();
    }
    all_given = true;
  }

  CHECK(started + taken_back == kGiven);
}

}  // namespace
