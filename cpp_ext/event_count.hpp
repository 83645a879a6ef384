#pragma once

#include <atomic>
#include <cstdint>

namespace asyncbench {

/// Event count: a condition variable without a mutex. Any thread may notify, host functions of the
/// driver included.
///
/// Read `value()`, check the condition, and only then `wait()` with that value: a notification in
/// between is never missed.
class EventCount {
 public:
  static constexpr std::int64_t kNoTimeout = -1;

  [[nodiscard]] std::uint32_t value() const noexcept;

  /// Wake every waiting thread. No system call when there is none.
  void notify_all() noexcept;

  /// Sleep until the value differs from `seen`, or `timeout_ns` has passed. May return early.
  void wait(std::uint32_t seen, std::int64_t timeout_ns) noexcept;

 private:
  // Notifier: value_ += 1, then reads waiters_. Waiter: waiters_ += 1, then reads value_. All four
  // are seq_cst, so at least one of them sees the other: no notification is lost, and no system
  // call is wasted.
  std::atomic<std::uint32_t> value_{0};
  std::atomic<std::uint32_t> waiters_{0};
};

}  // namespace asyncbench
