#include "lane.hpp"

#include <stdexcept>
#include <string>
#include <utility>

#include "monotonic_clock.hpp"

namespace asyncbench {

Lane::Lane(std::unique_ptr<Launcher> launcher, const LaneOptions& options, EventFd& wakeup,
           EventCount& progress_events)
    : launcher_(std::move(launcher)),
      options_(options),
      wakeup_(wakeup),
      progress_events_(progress_events),
      ring_(options.max_credits),
      launch_times_(options.depth) {}

void Lane::give(std::uint32_t count) {
  if (outstanding_ + count > options_.max_credits) {
    throw std::invalid_argument(std::to_string(count) + " credits on top of " +
                                std::to_string(outstanding_) + " are more than max_credits, " +
                                std::to_string(options_.max_credits));
  }
  if (gate_.give(count)) outstanding_ += count;
}

std::uint32_t Lane::take_back() noexcept {
  const auto unused = gate_.take_back();
  outstanding_ -= unused;
  notify_waiters();
  return unused;
}

StampColumns Lane::drain() {
  auto stamps = ring_.take_all();
  stamps.gpu_timed = options_.gpu_timed;
  outstanding_ -= stamps.count;
  return stamps;
}

void Lane::arm(std::uint32_t count) noexcept {
  armed_.store(count);
  signal_if_due();
}

bool Lane::take_signalled() noexcept {
  auto expected = kSignalled;
  return armed_.compare_exchange_strong(expected, kNotArmed);
}

std::optional<CallFailure> Lane::error() const { return failed_.load() ? error_ : std::nullopt; }

std::unique_ptr<Launcher> Lane::take_launcher() noexcept {
  // The device may still signal the launcher's events and call its host function.
  if (gate_.in_flight() != 0) static_cast<void>(launcher_.release());
  return std::move(launcher_);
}

Lane::Activity Lane::service() noexcept {
  if (gate_.idle()) return Activity::idle;
  if (failed_.load(std::memory_order_relaxed)) return drain_after_error();  // this thread wrote it
  try {
    const bool completed = complete_finished();
    const bool launched = launch_next();
    if (completed || launched) return Activity::advanced;
    check_deadline();
    return Activity::waiting;
  } catch (const DriverError& error) {
    fail(error.failure());
    return Activity::advanced;
  }
}

std::optional<std::int64_t> Lane::next_deadline_at_ns() const noexcept {
  if (!options_.deadline_ns || launched_ == ended_ || failed_.load(std::memory_order_relaxed)) {
    return std::nullopt;
  }
  return launch_times_[oldest_slot()].issued_at_ns + *options_.deadline_ns;
}

bool Lane::complete_finished() {
  const auto ended_before = ended_;
  while (ended_ != launched_ && launcher_->finished(oldest_slot())) {
    const auto completed_at_ns = now_ns();
    const auto& launch = launch_times_[oldest_slot()];
    ring_.push({.issued_at_ns = launch.issued_at_ns,
                .enqueue_ns = launch.enqueue_ns,
                .completed_at_ns = completed_at_ns,
                .gpu_ns = launcher_->gpu_ns(oldest_slot())});
    ++ended_;
    gate_.finish();
  }
  if (ended_ == ended_before) return false;
  notify_waiters();
  return true;
}

bool Lane::launch_next() {
  const auto launched_before = launched_;
  while (gate_.start(options_.depth)) {
    const std::size_t slot = launched_ % launch_times_.size();
    const auto issued_at_ns = now_ns();
    launcher_->launch(slot);
    launch_times_[slot] = {.issued_at_ns = issued_at_ns, .enqueue_ns = now_ns() - issued_at_ns};
    ++launched_;
  }
  return launched_ != launched_before;
}

void Lane::check_deadline() const {
  const auto deadline_at_ns = next_deadline_at_ns();
  if (!deadline_at_ns || now_ns() < *deadline_at_ns) return;
  const auto limit_ns = *deadline_at_ns - launch_times_[oldest_slot()].issued_at_ns;
  throw DriverError({.code = 0,
                     .name = "NO_COMPLETION",
                     .text = "no completion within " + std::to_string(limit_ns) + " ns",
                     .call = "cuEventQuery"});
}

/// After an error no inference is launched or stamped: the lane only waits until the device does
/// not touch its buffers any more.
Lane::Activity Lane::drain_after_error() noexcept {
  if (launcher_->drain_state() == Launcher::DrainState::pending) return Activity::waiting;
  gate_.clear_in_flight();
  notify_waiters();
  return Activity::advanced;
}

void Lane::fail(const CallFailure& failure) noexcept {
  error_ = failure;
  failed_.store(true);
  gate_.stop();
  notify_waiters();
}

void Lane::notify_waiters() noexcept {
  signal_if_due();
  if (gate_.idle()) progress_events_.notify_all();
}

void Lane::signal_if_due() noexcept {
  auto count = armed_.load();
  if (count <= 0 || !is_due(static_cast<std::uint64_t>(count))) return;
  if (armed_.compare_exchange_strong(count, kSignalled)) wakeup_.signal();
}

bool Lane::is_due(std::uint64_t count) const noexcept {
  if (failed_.load()) return true;
  // The gate before the ring: the pump thread pushes a stamp before it updates the gate, so a
  // thread that sees the gate idle also sees the last stamp.
  const bool no_more_to_come = gate_.idle();
  const auto undrained = ring_.size();
  return undrained >= count || (no_more_to_come && undrained > 0);
}

}  // namespace asyncbench
