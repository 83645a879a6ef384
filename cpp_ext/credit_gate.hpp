#pragma once

#include <atomic>
#include <cstdint>

namespace asyncbench {

/// Credits, inferences in flight and "stopped" of one lane, changed together so that nobody sees a
/// credit that is neither unused nor in flight.
class CreditGate {
 public:
  /// Add credits. Returns false, and adds none, when stopped. Owner.
  bool give(std::uint32_t count) noexcept;

  /// Remove the credits that were not used, and return how many. Owner.
  std::uint32_t take_back() noexcept;

  /// Turn one credit into one inference in flight, if there is one and fewer than `depth` are. Pump
  /// thread.
  bool start(std::uint32_t depth) noexcept;

  /// One inference in flight has ended. Pump thread.
  void finish() noexcept;

  /// Remove all credits and take no more, for good. Pump thread.
  void stop() noexcept;

  /// Nothing is in flight any more, whatever was. Pump thread, after stop().
  void forget_in_flight() noexcept;

  [[nodiscard]] std::uint32_t in_flight() const noexcept;

  /// True when nothing is in flight and there is no credit to start something with. Any thread.
  [[nodiscard]] bool idle() const noexcept;

 private:
  // Bits 0-31 credits, 32-62 in flight, 63 stopped. seq_cst throughout: Lane::due() reads it after
  // storing what it waits for, while the pump thread changes it before reading that (see
  // THREADS.md, "No lost wake-up").
  std::atomic<std::uint64_t> word_{0};
};

}  // namespace asyncbench
