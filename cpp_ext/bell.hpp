#pragma once

#include <atomic>
#include <cstdint>

namespace asyncbench {

/// Lets threads sleep until something has changed. Rung from any thread, host functions of the
/// driver included.
///
/// Read `rung()`, look at what you wait for, and only then `wait()`: a ring in between is never
/// missed.
class Bell {
 public:
  static constexpr std::int64_t kForever = -1;

  [[nodiscard]] std::uint32_t rung() const noexcept;

  /// Wake everybody who waits. No system call when nobody does.
  void ring() noexcept;

  /// Sleep until the next ring after `seen`, or `timeout_ns`. May return early.
  void wait(std::uint32_t seen, std::int64_t timeout_ns) noexcept;

 private:
  // Ringer: rings_ += 1, then reads waiters_. Waiter: waiters_ += 1, then reads rings_. All four
  // are seq_cst, so at least one of them sees the other: no ring is lost, and no system call is
  // wasted.
  std::atomic<std::uint32_t> rings_{0};
  std::atomic<std::uint32_t> waiters_{0};
};

}  // namespace asyncbench
