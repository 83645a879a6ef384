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
  auto word = word_.load();
  while ((word & kStopped) == 0) {
    if (word_.compare_exchange_weak(word, word + count)) return true;
  }
  return false;
}

std::uint32_t CreditGate::take_back() noexcept {
  return static_cast<std::uint32_t>(word_.fetch_and(~kCredits) & kCredits);
}

bool CreditGate::start(std::uint32_t depth) noexcept {
  auto word = word_.load();
  while ((word & kCredits) != 0 && count_in_flight(word) < depth) {
    if (word_.compare_exchange_weak(word, word - 1 + kOneInFlight)) return true;
  }
  return false;
}

void CreditGate::finish() noexcept { word_.fetch_sub(kOneInFlight); }

void CreditGate::stop() noexcept {
  auto word = word_.load();
  while (!word_.compare_exchange_weak(word, (word & kInFlight) | kStopped)) {
  }
}

void CreditGate::forget_in_flight() noexcept { word_.fetch_and(~kInFlight); }

std::uint32_t CreditGate::in_flight() const noexcept { return count_in_flight(word_.load()); }

bool CreditGate::idle() const noexcept { return (word_.load() & ~kStopped) == 0; }

}  // namespace asyncbench
