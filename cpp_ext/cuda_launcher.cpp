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
                           bool gpu_timed, std::shared_ptr<Bell> bell)
    : driver_(driver),
      work_(work),
      starts_(make_events(driver, gpu_timed ? depth : 0, kEventDefault)),
      ends_(make_events(driver, depth, gpu_timed ? kEventDefault : kEventDisableTiming)),
      note_of_slot_(depth) {
  if (bell != nullptr) {
    note_ = std::make_unique<HostNote>();
    note_->bell = std::move(bell);
  }
}

CudaLauncher::~CudaLauncher() {
  // A dead context may or may not call its host functions: a leak is better than a dangling
  // pointer.
  if (lost_) static_cast<void>(note_.release());
}

void CudaLauncher::launch(std::size_t slot) {
  if (!starts_.empty()) driver_.record_event(starts_[slot].handle(), work_.stream);
  driver_.launch_graph(work_.graph, work_.stream);
  driver_.record_event(ends_[slot].handle(), work_.stream);
  if (note_ != nullptr) {
    driver_.launch_host_function(work_.stream, &CudaLauncher::note_end, note_.get());
    note_of_slot_[slot] = ++notes_launched_;
  }
}

bool CudaLauncher::finished(std::size_t slot) {
  if (!driver_.event_done(ends_[slot].handle())) return false;
  // The host function comes after the event on the stream: wait for it too, because it uses the
  // note.
  return note_ == nullptr || note_->called.load(std::memory_order_acquire) >= note_of_slot_[slot];
}

std::int64_t CudaLauncher::gpu_ns(std::size_t slot) {
  if (starts_.empty()) return kNotTimed;
  return driver_.elapsed_ns(starts_[slot].handle(), ends_[slot].handle());
}

Launcher::Rest CudaLauncher::rest() noexcept {
  try {
    return driver_.stream_done(work_.stream) ? Rest::done : Rest::pending;
  } catch (const DriverError&) {  // the lane keeps the first error; this one follows from it
    lost_ = true;
    return Rest::lost;
  }
}

void CudaLauncher::note_end(void* note) noexcept {
  auto* const self = static_cast<HostNote*>(note);
  // The count lets the lane free the note; the bell is rung after that, so hold it.
  const std::shared_ptr<Bell> bell = self->bell;
  self->called.fetch_add(1, std::memory_order_release);
  bell->ring();
}

}  // namespace asyncbench
