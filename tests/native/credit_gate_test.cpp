#include "credit_gate.hpp"

#include <thread>

#include "cases.hpp"
#include "check.hpp"

namespace {

using asyncbench::CreditGate;

void starts_no_more_than_credits_and_depth_allow() {
  CreditGate gate;
  check(gate.give(3));

  check(gate.start(2));
  check(gate.start(2));
  check(!gate.start(2));
  gate.finish();
  check(gate.start(2));
  gate.finish();
  check(!gate.start(2));

  check(gate.in_flight() == 1);
  gate.finish();
  check(gate.idle());
}

void stopped_gate_forgets_its_credits_and_takes_no_more() {
  CreditGate gate;
  gate.give(5);
  gate.start(1);

  gate.stop();

  check(!gate.give(1));
  check(!gate.start(8));
  check(gate.take_back() == 0);
  check(gate.in_flight() == 1);
  check(!gate.idle());
  gate.forget_in_flight();
  check(gate.idle());
}

void every_credit_is_either_taken_back_or_started() {
  constexpr std::uint32_t kGiven = 200'000;
  CreditGate gate;
  std::uint32_t started = 0;
  std::uint32_t taken_back = 0;
  std::atomic<bool> all_given{false};

  {
    std::jthread pump([&] {
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

  check(started + taken_back == kGiven);
}

}  // namespace

void test_credit_gate() {
  starts_no_more_than_credits_and_depth_allow();
  stopped_gate_forgets_its_credits_and_takes_no_more();
  every_credit_is_either_taken_back_or_started();
}
