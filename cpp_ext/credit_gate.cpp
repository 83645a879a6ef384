#include "credit_gate.hpp"

namespace asyncbench {
namespace {

constexpr std::uint64_t kCredits = 0xFFFF'FFFF;
constexpr std::uint64_t kOneInFlight = kCredits + 1;
constexpr std::uint64_t kStopped = std::uint64_t{1} << 63;
constexpr std::uint64_t kInFlight = ~(kCredits | kStopped);

std::uint32_t count_in_flight(std::uint64_t word) noexcept {
  return static_cast<std::uint32_t>((word & kInFlight) / kOneInFlight);
}

}  // namespace

bool CreditGate::give(std::uint32_t count) noexcept {
  auto word = state_.load();
  while ((word & kStopped) == 0) {
    if (state_.compare_exchange_weak(word, word + count)) return true;
  }
  return false;
}

std::uint32_t CreditGate::take_back() noexcept {
  return static_cast<std::uint32_t>(state_.fetch_and(~kCredits) & kCredits);
}

bool CreditGate::start(std::uint32_t depth) noexcept {
  auto word = state_.load();
  while ((word & kCredits) != 0 && count_in_flight(word) < depth) {
    if (state_.compare_exchange_weak(word, word - 1 + kOneInFlight)) return true;
  }
  return false;
}

void CreditGate::finish() noexcept { state_.fetch_sub(kOneInFlight); }

void CreditGate::stop() noexcept {
  auto word = state_.load();
  while (!state_.compare_exchange_weak(word, (word & kInFlight) | kStopped)) {
  }
}

void CreditGate::clear_in_flight() noexcept { state_.fetch_and(~kInFlight); }

std::uint32_t CreditGate::in_flight() const noexcept { return count_in_flight(state_.load()); }

bool CreditGate::idle() const noexcept { return (state_.load() & ~kStopped) == 0; }

}  // namespace asyncbench
