#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "stamp.hpp"

namespace asyncbench {

/// Stamps on their way from the pump thread to the owner. One writer, one reader, no lock.
///
/// Whoever writes must know that there is room: credits are bounded by the capacity.
class CompletionRing {
 public:
  explicit CompletionRing(std::size_t capacity);

  /// Add a stamp. Pump thread only.
  void push(const Stamp& stamp) noexcept;

  /// Stamps that were pushed and not taken. Any thread.
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
