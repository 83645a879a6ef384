#include "pump.hpp"

#include <sched.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "driver_error.hpp"
#include "empty_launcher.hpp"
#include "monotonic_clock.hpp"
#include "scoped_context.hpp"

namespace asyncbench {
namespace {

constexpr std::uint64_t kThreadEnded = std::numeric_limits<std::uint64_t>::max();

// Time that a polling pump goes on polling without work before it sleeps. Trio needs about 70 us
// from a completion to the next credit, and waking a sleeping thread would add to that. More than
// ten times as long: a guess.
constexpr std::int64_t kPollWhileIdleNs = 1'000'000;

// Longest sleep of a blocking pump: a context that has failed does not call its host functions.
constexpr std::int64_t kErrorPollNs = 50'000'000;

constexpr std::int64_t kDestructorDrainNs = 5'000'000'000;

void relax_cpu() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Pump::Pump(CudaContext context, CompletionMode mode, const std::string& library)
    : driver_(library), context_(context), mode_(mode), thread_([this] { run(); }) {
  for (auto seen = progress_events_.value(); !started_.load(std::memory_order_acquire);
       seen = progress_events_.value()) {
    progress_events_.wait(seen, EventCount::kNoTimeout);
  }
  if (start_failure_) throw DriverError(*start_failure_);
}

Pump::~Pump() { close(kDestructorDrainNs); }

int Pump::add_lane(CudaWork work, const LaneOptions& options) {
  const ScopedContext scope(driver_, context_);
  auto completions = mode_ == CompletionMode::block ? work_events_ : nullptr;
  return insert(std::make_unique<CudaLauncher>(driver_, work, options.depth, options.gpu_timed,
                                               std::move(completions)),
                options);
}

int Pump::add_empty_lane(std::uint32_t max_credits) {
  return insert(std::make_unique<EmptyLauncher>(), LaneOptions{.max_credits = max_credits});
}

int Pump::insert(std::unique_ptr<Launcher> launcher, const LaneOptions& options) {
  auto lane = std::make_unique<Lane>(std::move(launcher), options, wakeup_, progress_events_);
  const std::scoped_lock lock(mutex_);
  require_open();
  lanes_.emplace(next_lane_, std::move(lane));
  table_version_.fetch_add(1, std::memory_order_release);
  return next_lane_++;
}

void Pump::remove_lane(int lane) {
  const auto removed = extract(lane);
  wait_until_snapshot_is_current();
  std::vector<std::unique_ptr<Launcher>> launchers;
  launchers.push_back(removed->take_launcher());
  destroy(std::move(launchers));
}

std::unique_ptr<Lane> Pump::extract(int lane) {
  const std::scoped_lock lock(mutex_);
  if (!find(lane).idle() && !closed_) {
    throw std::runtime_error("lane " + std::to_string(lane) +
                             " still has credits or inferences in flight");
  }
  auto node = lanes_.extract(lane);
  table_version_.fetch_add(1, std::memory_order_release);
  return std::move(node.mapped());
}

void Pump::wait_until_snapshot_is_current() {
  const auto version = table_version_.load(std::memory_order_acquire);
  work_events_->notify_all();
  for (auto seen = progress_events_.value();
       snapshot_version_.load(std::memory_order_acquire) < version;
       seen = progress_events_.value()) {
    progress_events_.wait(seen, EventCount::kNoTimeout);
  }
}

void Pump::destroy(std::vector<std::unique_ptr<Launcher>> launchers) noexcept {
  try {
    const ScopedContext scope(driver_, context_);
    launchers.clear();
  } catch (const DriverError&) {
    // The context is gone and its events with it: the driver refuses to destroy them again, and
    // that error is ignored.
    launchers.clear();
  }
}

void Pump::give_credits(int lane, std::uint32_t count) {
  {
    const std::scoped_lock lock(mutex_);
    require_open();
    find(lane).give(count);
  }
  work_events_->notify_all();
}

std::uint32_t Pump::take_credits_back(int lane) {
  const std::scoped_lock lock(mutex_);
  return find(lane).take_back();
}

StampColumns Pump::drain(int lane) {
  const std::scoped_lock lock(mutex_);
  return find(lane).drain();
}

void Pump::arm(int lane, std::uint32_t count) {
  const std::scoped_lock lock(mutex_);
  find(lane).arm(count);
}

std::vector<int> Pump::ready_lanes() {
  wakeup_.clear();
  std::vector<int> ready;
  const std::scoped_lock lock(mutex_);
  for (const auto& [number, lane] : lanes_) {
    if (lane->take_signalled()) ready.push_back(number);
  }
  return ready;
}

std::uint32_t Pump::in_flight(int lane) const {
  const std::scoped_lock lock(mutex_);
  return find(lane).in_flight();
}

std::optional<CallFailure> Pump::lane_error(int lane) const {
  const std::scoped_lock lock(mutex_);
  return find(lane).error();
}

bool Pump::wait_idle(int lane, std::int64_t timeout_ns) {
  const auto until_ns = now_ns() + timeout_ns;
  while (true) {
    const auto seen = progress_events_.value();
    {
      const std::scoped_lock lock(mutex_);
      if (find(lane).idle()) return true;
    }
    const auto left_ns = until_ns - now_ns();
    if (left_ns <= 0) return false;
    progress_events_.wait(seen, left_ns);
  }
}

bool Pump::close(std::int64_t drain_limit_ns) {
  const std::scoped_lock closing(close_mutex_);
  if (!thread_.joinable()) return drained_;
  {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    for (const auto& [number, lane] : lanes_) lane->take_back();
  }
  drain_until_ns_.store(now_ns() + drain_limit_ns, std::memory_order_relaxed);
  closing_.store(true, std::memory_order_release);
  work_events_->notify_all();
  thread_.join();
  drained_ = release_launchers();
  return drained_;
}

bool Pump::release_launchers() {
  bool all_idle = true;
  std::vector<std::unique_ptr<Launcher>> launchers;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [number, lane] : lanes_) {
      all_idle = all_idle && lane->in_flight() == 0;
      launchers.push_back(lane->take_launcher());
    }
  }
  // Outside the lock: the driver may take its time to destroy an event, and an owner that waits for
  // mutex_ meanwhile would wait with the GIL.
  destroy(std::move(launchers));
  return all_idle;
}

Lane& Pump::find(int lane) const {
  const auto found = lanes_.find(lane);
  if (found == lanes_.end()) throw std::out_of_range("there is no lane " + std::to_string(lane));
  return *found->second;
}

void Pump::require_open() const {
  if (closed_) throw std::runtime_error("the pump is closed");
}

void Pump::run() noexcept {
  if (enter_context()) pump_until_closed();
  snapshot_version_.store(kThreadEnded, std::memory_order_release);
  progress_events_.notify_all();
}

bool Pump::enter_context() noexcept {
  try {
    driver_.set_context(context_);
  } catch (const DriverError& error) {
    start_failure_ = error.failure();
  }
  const bool entered = !start_failure_;
  started_.store(true, std::memory_order_release);
  progress_events_.notify_all();
  return entered;
}

void Pump::pump_until_closed() noexcept {
  while (true) {
    const auto seen = work_events_->value();  // before looking for work: see EventCount
    const bool closing = closing_.load(std::memory_order_acquire);
    refresh_snapshot();
    const auto activity = service_lanes();
    if (closing && (activity == Lane::Activity::idle ||
                    now_ns() >= drain_until_ns_.load(std::memory_order_relaxed))) {
      return;
    }
    pause(activity, seen);
  }
}

void Pump::refresh_snapshot() {
  if (table_version_.load(std::memory_order_acquire) ==
      snapshot_version_.load(std::memory_order_relaxed)) {  // this thread wrote it
    return;
  }
  const std::scoped_lock lock(mutex_);
  snapshot_.clear();
  for (const auto& [number, lane] : lanes_) snapshot_.push_back(lane.get());
  snapshot_version_.store(table_version_.load(std::memory_order_relaxed),  // mutex_ is held
                          std::memory_order_release);
  progress_events_.notify_all();
}

Lane::Activity Pump::service_lanes() noexcept {
  auto busiest = Lane::Activity::idle;
  for (Lane* const lane : snapshot_) busiest = std::max(busiest, lane->service());
  return busiest;
}

void Pump::pause(Lane::Activity activity, std::uint32_t seen) noexcept {
  if (activity == Lane::Activity::idle) {
    pause_idle(seen);
    return;
  }
  idle_since_ns_ = 0;
  if (activity == Lane::Activity::waiting) pause_waiting(seen);
}

void Pump::pause_idle(std::uint32_t seen) noexcept {
  const auto at_ns = now_ns();
  if (idle_since_ns_ == 0) idle_since_ns_ = at_ns;
  if (mode_ == CompletionMode::block || at_ns - idle_since_ns_ >= kPollWhileIdleNs) {
    work_events_->wait(seen, EventCount::kNoTimeout);
    idle_since_ns_ = 0;
  } else {
    pause_waiting(seen);
  }
}

void Pump::pause_waiting(std::uint32_t seen) noexcept {
  switch (mode_) {
    case CompletionMode::spin:
      relax_cpu();
      return;
    case CompletionMode::yield:
      sched_yield();
      return;
    case CompletionMode::block:
      work_events_->wait(seen, max_sleep_ns());
      return;
  }
}

std::int64_t Pump::max_sleep_ns() const noexcept {
  auto sleep_ns = kErrorPollNs;
  const auto at_ns = now_ns();
  for (const Lane* const lane : snapshot_) {
    if (const auto deadline_at_ns = lane->next_deadline_at_ns()) {
      sleep_ns = std::min(sleep_ns, *deadline_at_ns - at_ns);
    }
  }
  return std::max<std::int64_t>(sleep_ns, 0);
}

}  // namespace asyncbench
