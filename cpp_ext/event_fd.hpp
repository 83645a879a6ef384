#pragma once

#include <atomic>

namespace asyncbench {

/// A file descriptor that is readable from the first `signal()` until `clear()`.
///
/// The one who signals publishes first and signals then; the one who clears, clears first and looks
/// then. So nothing is missed, and a wake-up for nothing is possible.
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
