#pragma once

#include <atomic>

namespace asyncbench {

/// File descriptor that is readable from the first `signal()` until `clear()`.
///
/// Publish before `signal()`, and read what was published after `clear()`: then nothing is missed,
/// and a spurious wake-up is possible.
class EventFd {
 public:
  EventFd();
  ~EventFd();
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_; }

  /// Make the descriptor readable. One system call until the next clear().
  void signal() noexcept;

  void clear() noexcept;

 private:
  int fd_;
  // acq_rel exchanges on both sides: a signal that finds `true`, and so writes nothing, comes
  // before the clear that sets `false`, which therefore sees all that was published before that
  // signal.
  std::atomic<bool> signalled_{false};
};

}  // namespace asyncbench
