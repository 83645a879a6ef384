#include "completion_ring.hpp"

#include <bit>

namespace asyncbench {

CompletionRing::CompletionRing(std::size_t capacity)
    : slots_(std::bit_ceil(capacity)), mask_(slots_.size() - 1) {}

void CompletionRing::push(const Stamp& stamp) noexcept {
  const auto pushed = pushed_.load(std::memory_order_relaxed);  // this thread wrote it
  slots_[pushed & mask_] = stamp;
  pushed_.store(pushed + 1, std::memory_order_release);
}

std::size_t CompletionRing::size() const noexcept {
  // taken_ first: it can only trail pushed_, so the difference is never negative.
  const auto taken = taken_.load(std::memory_order_acquire);
  return pushed_.load(std::memory_order_acquire) - taken;
}

StampColumns CompletionRing::take_all() {
  const auto taken = taken_.load(std::memory_order_relaxed);  // this thread wrote it
  StampColumns columns(pushed_.load(std::memory_order_acquire) - taken);
  for (std::size_t i = 0; i < columns.count; ++i) columns.set(i, slots_[(taken + i) & mask_]);
  taken_.store(taken + columns.count, std::memory_order_release);
  return columns;
}

}  // namespace asyncbench
