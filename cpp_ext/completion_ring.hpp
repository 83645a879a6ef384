#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "stamp.hpp"

namespace asyncbench {

/// Lock-free ring of stamps from the pump thread (the only writer) to the owner (the only reader).
///
/// push() does not check for room: the lane gives out no more credits than the ring has slots.
class CompletionRing {
 public:
  explicit CompletionRing(std::size_t capacity);

  /// Add a stamp. Pump thread only.
  void push(const Stamp& stamp) noexcept;

  /// Number of stamps that were pushed and not yet taken. Any thread.
  [[nodiscard]] std::size_t size() const noexcept;

  /// Take everything. Owner only.
  [[nodiscard]] StampColumns take_all();

 private:
  static constexpr std::size_t kCacheLine = 64;

  std::vector<Stamp> slots_;
  std::size_t mask_;
  // Counts, not positions: they never wrap. The writer stores pushed_ with release after the slot,
  // and the reader loads it with acquire before the slot. taken_ likewise, so that a slot is not
  // written while read.
  alignas(kCacheLine) std::atomic<std::size_t> pushed_{0};
  alignas(kCacheLine) std::atomic<std::size_t> taken_{0};
};

}  // namespace asyncbench
