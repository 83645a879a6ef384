#include "event_count.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <climits>

namespace asyncbench {
namespace {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "the kernel reads the word itself");

constexpr std::int64_t kNsPerS = 1'000'000'000;

// A futex and not a condition variable: a timed wait on CLOCK_MONOTONIC that a host function may
// wake without taking a mutex. FUTEX_WAIT takes a relative time of that clock.
void futex_wait(std::atomic<std::uint32_t>* word, std::uint32_t expected, const timespec* limit) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, limit, nullptr, 0);
}

void futex_wake_all(std::atomic<std::uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

}  // namespace

// acquire: a thread that sees a notification also sees what was written before it.
std::uint32_t EventCount::value() const noexcept { return value_.load(std::memory_order_acquire); }

void EventCount::notify_all() noexcept {
  value_.fetch_add(1, std::memory_order_seq_cst);
  if (waiters_.load(std::memory_order_seq_cst) != 0) futex_wake_all(&value_);
}

void EventCount::wait(std::uint32_t seen, std::int64_t timeout_ns) noexcept {
  waiters_.fetch_add(1, std::memory_order_seq_cst);
  if (value_.load(std::memory_order_seq_cst) == seen) {
    const timespec limit{.tv_sec = timeout_ns / kNsPerS, .tv_nsec = timeout_ns % kNsPerS};
    futex_wait(&value_, seen, timeout_ns < 0 ? nullptr : &limit);
  }
  // relaxed: a count that is too high for a moment costs a system call and nothing else.
  waiters_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace asyncbench
