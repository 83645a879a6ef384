#include "cuda_launcher.hpp"

#include <utility>

#include "driver_error.hpp"
#include "stamp.hpp"

namespace asyncbench {
namespace {

std::vector<CudaEvent> make_events(const CudaDriver& driver, std::size_t count, unsigned flags) {
  std::vector<CudaEvent> events;
  events.reserve(count);
  for (std::size_t i = 0; i < count; ++i) events.emplace_back(driver, flags);
  return events;
}

}  // namespace

CudaLauncher::CudaLauncher(const CudaDriver& driver, CudaWork work, std::size_t depth,
                           bool gpu_timed, std::shared_ptr<EventCount> completions)
    : driver_(driver),
      work_(work),
      starts_(make_events(driver, gpu_timed ? depth : 0, kEventDefault)),
      ends_(make_events(driver, depth, gpu_timed ? kEventDefault : kEventDisableTiming)),
      callback_of_slot_(depth) {
  if (completions != nullptr) {
    callback_ = std::make_unique<CallbackState>();
    callback_->completions = std::move(completions);
  }
}

CudaLauncher::~CudaLauncher() {
  // A dead context may or may not call its host functions: a leak is better than a dangling
  // pointer.
  if (context_lost_) static_cast<void>(callback_.release());
}

void CudaLauncher::launch(std::size_t slot) {
  if (!starts_.empty()) driver_.record_event(starts_[slot].handle(), work_.stream);
  driver_.launch_graph(work_.graph, work_.stream);
  driver_.record_event(ends_[slot].handle(), work_.stream);
  if (callback_ != nullptr) {
    driver_.launch_host_function(work_.stream, &CudaLauncher::on_completion, callback_.get());
    callback_of_slot_[slot] = ++callbacks_enqueued_;
  }
}

bool CudaLauncher::finished(std::size_t slot) {
  if (!driver_.event_done(ends_[slot].handle())) return false;
  // The host function follows the event on the stream: wait for it too, because it uses the
  // callback state.
  return callback_ == nullptr ||
         callback_->calls.load(std::memory_order_acquire) >= callback_of_slot_[slot];
}

std::int64_t CudaLauncher::gpu_ns(std::size_t slot) {
  if (starts_.empty()) return kNotTimed;
  return driver_.elapsed_ns(starts_[slot].handle(), ends_[slot].handle());
}

Launcher::DrainState CudaLauncher::drain_state() noexcept {
  try {
    return driver_.stream_done(work_.stream) ? DrainState::drained : DrainState::pending;
  } catch (const DriverError&) {  // the lane keeps the first error; this one follows from it
    context_lost_ = true;
    return DrainState::lost;
  }
}

void CudaLauncher::on_completion(void* state) noexcept {
  auto* const callback = static_cast<CallbackState*>(state);
  // Once the call is counted the lane may free the state; keep the event count alive beyond that.
  const std::shared_ptr<EventCount> completions = callback->completions;
  callback->calls.fetch_add(1, std::memory_order_release);
  completions->notify_all();
}

}  // namespace asyncbench
