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

// How long a polling pump stays awake without work. Trio needs about 70 us from a completion to the
// next credit, and waking a sleeping thread would add to that. Ten times as much, and then some: a
// guess.
constexpr std::int64_t kLingerNs = 1'000'000;

// How often a blocking pump looks without being rung: a context that failed does not call its host
// functions.
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
  for (auto seen = progress_.rung(); !started_.load(std::memory_order_acquire);
       seen = progress_.rung()) {
    progress_.wait(seen, Bell::kForever);
  }
  if (start_failure_) throw DriverError(*start_failure_);
}

Pump::~Pump() { close(kDestructorDrainNs); }

int Pump::add_lane(CudaWork work, const LaneOptions& options) {
  const ScopedContext scope(driver_, context_);
  auto bell = mode_ == CompletionMode::block ? work_ : nullptr;
  return insert(
      std::make_unique<CudaLauncher>(driver_, work, options.depth, options.gpu_timed, bell),
      options);
}

int Pump::add_empty_lane(std::uint32_t max_credits) {
  return insert(std::make_unique<EmptyLauncher>(), LaneOptions{.max_credits = max_credits});
}

int Pump::insert(std::unique_ptr<Launcher> launcher, const LaneOptions& options) {
  auto lane = std::make_unique<Lane>(std::move(launcher), options, wakeup_, progress_);
  const std::lock_guard lock(mutex_);
  require_open();
  lanes_.emplace(next_lane_, std::move(lane));
  lanes_version_.fetch_add(1, std::memory_order_release);
  return next_lane_++;
}

void Pump::remove_lane(int lane) {
  const auto removed = take_out(lane);
  wait_until_adopted();
  release(*removed);
}

std::unique_ptr<Lane> Pump::take_out(int lane) {
  const std::lock_guard lock(mutex_);
  if (!find(lane).idle() && !closed_) {
    throw std::runtime_error("lane " + std::to_string(lane) +
                             " still has credits or inferences in flight");
  }
  auto node = lanes_.extract(lane);
  lanes_version_.fetch_add(1, std::memory_order_release);
  return std::move(node.mapped());
}

void Pump::wait_until_adopted() {
  const auto version = lanes_version_.load(std::memory_order_acquire);
  work_->ring();
  for (auto seen = progress_.rung(); adopted_version_.load(std::memory_order_acquire) < version;
       seen = progress_.rung()) {
    progress_.wait(seen, Bell::kForever);
  }
}

void Pump::release(Lane& lane) noexcept {
  try {
    const ScopedContext scope(driver_, context_);
    lane.release_device();
  } catch (const DriverError&) {
    // The context is gone and its events with it; the driver refuses to destroy them, which is
    // fine.
    lane.release_device();
  }
}

void Pump::give_credits(int lane, std::uint32_t count) {
  {
    const std::lock_guard lock(mutex_);
    require_open();
    find(lane).give(count);
  }
  work_->ring();
}

std::uint32_t Pump::take_credits_back(int lane) {
  const std::lock_guard lock(mutex_);
  return find(lane).take_back();
}

StampColumns Pump::drain(int lane) {
  const std::lock_guard lock(mutex_);
  return find(lane).drain();
}

void Pump::arm(int lane, std::uint32_t count) {
  const std::lock_guard lock(mutex_);
  find(lane).arm(count);
}

std::vector<int> Pump::ready_lanes() {
  wakeup_.clear();
  std::vector<int> ready;
  const std::lock_guard lock(mutex_);
  for (const auto& [number, lane] : lanes_) {
    if (lane->take_fired()) ready.push_back(number);
  }
  return ready;
}

std::uint32_t Pump::in_flight(int lane) const {
  const std::lock_guard lock(mutex_);
  return find(lane).in_flight();
}

std::optional<CallFailure> Pump::lane_error(int lane) const {
  const std::lock_guard lock(mutex_);
  return find(lane).error();
}

bool Pump::wait_idle(int lane, std::int64_t timeout_ns) {
  const auto until_ns = now_ns() + timeout_ns;
  while (true) {
    const auto seen = progress_.rung();
    {
      const std::lock_guard lock(mutex_);
      if (find(lane).idle()) return true;
    }
    const auto left_ns = until_ns - now_ns();
    if (left_ns <= 0) return false;
    progress_.wait(seen, left_ns);
  }
}

bool Pump::close(std::int64_t drain_limit_ns) {
  const std::lock_guard closing(close_mutex_);
  if (!thread_.joinable()) return drained_;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    for (const auto& [number, lane] : lanes_) lane->take_back();
  }
  drain_until_ns_.store(now_ns() + drain_limit_ns, std::memory_order_relaxed);
  closing_.store(true, std::memory_order_release);
  work_->ring();
  thread_.join();
  drained_ = release_all();
  return drained_;
}

bool Pump::release_all() {
  const std::lock_guard lock(mutex_);
  bool all_idle = true;
  for (const auto& [number, lane] : lanes_) {
    all_idle = all_idle && lane->in_flight() == 0;
    release(*lane);
  }
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
  adopted_version_.store(kThreadEnded, std::memory_order_release);
  progress_.ring();
}

bool Pump::enter_context() noexcept {
  try {
    driver_.set_context(context_);
  } catch (const DriverError& error) {
    start_failure_ = error.failure();
  }
  const bool entered = !start_failure_;
  started_.store(true, std::memory_order_release);
  progress_.ring();
  return entered;
}

void Pump::pump_until_closed() noexcept {
  while (true) {
    const auto seen = work_->rung();  // before looking for work: see Bell
    const bool closing = closing_.load(std::memory_order_acquire);
    adopt_lanes();
    const auto activity = service_lanes();
    if (closing && (activity == Lane::Activity::idle ||
                    now_ns() >= drain_until_ns_.load(std::memory_order_relaxed))) {
      return;
    }
    pause(activity, seen);
  }
}

void Pump::adopt_lanes() {
  if (lanes_version_.load(std::memory_order_acquire) ==
      adopted_version_.load(std::memory_order_relaxed)) {  // this thread wrote it
    return;
  }
  const std::lock_guard lock(mutex_);
  adopted_.clear();
  for (const auto& [number, lane] : lanes_) adopted_.push_back(lane.get());
  adopted_version_.store(lanes_version_.load(std::memory_order_relaxed),  // mutex_ is held
                         std::memory_order_release);
  progress_.ring();
}

Lane::Activity Pump::service_lanes() noexcept {
  auto most = Lane::Activity::idle;
  for (Lane* const lane : adopted_) most = std::max(most, lane->service());
  return most;
}

void Pump::pause(Lane::Activity activity, std::uint32_t seen) noexcept {
  if (activity == Lane::Activity::idle) return pause_idle(seen);
  idle_since_ns_ = 0;
  if (activity == Lane::Activity::waiting) pause_waiting(seen);
}

void Pump::pause_idle(std::uint32_t seen) noexcept {
  const auto at_ns = now_ns();
  if (idle_since_ns_ == 0) idle_since_ns_ = at_ns;
  if (mode_ == CompletionMode::block || at_ns - idle_since_ns_ >= kLingerNs) {
    work_->wait(seen, Bell::kForever);
    idle_since_ns_ = 0;
  } else {
    pause_waiting(seen);
  }
}

void Pump::pause_waiting(std::uint32_t seen) noexcept {
  switch (mode_) {
    case CompletionMode::spin:
      return relax_cpu();
    case CompletionMode::yield:
      sched_yield();
      return;
    case CompletionMode::block:
      return work_->wait(seen, longest_sleep_ns());
  }
}

std::int64_t Pump::longest_sleep_ns() const noexcept {
  auto sleep_ns = kErrorPollNs;
  const auto at_ns = now_ns();
  for (const Lane* const lane : adopted_) {
    if (const auto deadline_at_ns = lane->next_deadline_at_ns()) {
      sleep_ns = std::min(sleep_ns, *deadline_at_ns - at_ns);
    }
  }
  return std::max<std::int64_t>(sleep_ns, 0);
}

}  // namespace asyncbench
