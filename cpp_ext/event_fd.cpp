#include "event_fd.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace asyncbench {

EventFd::EventFd() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

EventFd::~EventFd() { close(fd_); }

void EventFd::signal() noexcept {
  if (signalled_.exchange(true, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  // Cannot fail: EAGAIN would need 2^64 signals without a clear.
  [[maybe_unused]] const auto written = write(fd_, &one, sizeof one);
}

void EventFd::clear() noexcept {
  std::uint64_t count = 0;
  // EAGAIN is the ordinary answer when nothing was signalled.
  [[maybe_unused]] const auto got = read(fd_, &count, sizeof count);
  signalled_.exchange(false, std::memory_order_acq_rel);
}

}  // namespace asyncbench
