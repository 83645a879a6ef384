#pragma once

#include <atomic>
#include <cstdint>

namespace asyncbench {

/// Flow control of one lane: its unused credits, its inferences in flight and whether it is
/// stopped, in one atomic word, so that no thread ever sees a credit that is neither unused nor in
/// flight.
class CreditGate {
 public:
  /// Add credits. Returns false, and adds none, when stopped. Owner.
  bool give(std::uint32_t count) noexcept;

  /// Remove the unused credits, and return how many there were. Owner.
  std::uint32_t take_back() noexcept;

  /// Turn one credit into one inference in flight. Returns false without a credit, or when `depth`
  /// inferences are in flight already. Pump thread.
  bool start(std::uint32_t depth) noexcept;

  /// Count one inference less in flight. Pump thread.
  void finish() noexcept;

  /// Remove all credits and refuse new ones from now on. Pump thread.
  void stop() noexcept;

  /// Set the number of inferences in flight to zero. Pump thread, after stop().
  void clear_in_flight() noexcept;

  [[nodiscard]] std::uint32_t in_flight() const noexcept;

  /// True when there is neither a credit nor an inference in flight. Any thread.
  [[nodiscard]] bool idle() const noexcept;

 private:
  // Bits 0-31 credits, 32-62 in flight, 63 stopped. seq_cst throughout: Lane::is_due() reads it
  // after Lane::arm() has stored armed_, while the pump thread changes it before reading armed_
  // (see THREADS.md, "No lost wake-up").
  std::atomic<std::uint64_t> state_{0};
};

}  // namespace asyncbench
