// A libcuda with a virtual GPU: graphs take time on a stream, events follow them, host functions
// are called from a thread of the driver. As strict as the real one about contexts and destroyed
// events.
#include "fake_cuda.hpp"

#include <time.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

struct CUevent_st {
  struct CUstream_st* stream = nullptr;
  std::uint64_t after = 0;       // done when so many inferences of the stream have ended
  std::int64_t ready_at_ns = 0;  // on a stream that is not held
  unsigned flags = 0;
};

namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr unsigned kDisableTiming = 2;

enum Code {
  kSuccess = 0,
  kInvalidContext = 201,
  kInvalidHandle = 400,
  kNotReady = 600,
};

struct HostCall {
  std::uint64_t after;
  void (*function)(void*);
  void* argument;
};

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

struct CUstream_st {
  bool held = false;
  std::uint64_t releases = 0;  // of a held stream, for inferences that are still to come
  std::uniform_int_distribution<std::int64_t> service_ns{0, 0};
  std::mt19937_64 random;
  std::int64_t busy_until_ns = 0;
  std::deque<std::int64_t> ends_at_ns;  // of what is in flight
  std::deque<HostCall> host_calls;
  bool in_host_call = false;
  std::uint64_t launched = 0;
  std::uint64_t ended = 0;
  std::uint64_t max_in_flight = 0;

  void advance(std::int64_t at_ns) {
    while (!ends_at_ns.empty() && ends_at_ns.front() <= at_ns) {
      ends_at_ns.pop_front();
      ++ended;
    }
  }

  void launch(std::int64_t at_ns) {
    busy_until_ns = std::max(at_ns, busy_until_ns) + service_ns(random);
    ends_at_ns.push_back(held && releases == 0 ? kNever : busy_until_ns);
    if (releases > 0) --releases;
    ++launched;
    max_in_flight = std::max<std::uint64_t>(max_in_flight, ends_at_ns.size());
  }

  bool done(std::int64_t at_ns) {
    advance(at_ns);
    return ended == launched && host_calls.empty() && !in_host_call;
  }
};

namespace {

struct PlannedFailure {
  std::string function;
  void* stream;
  std::uint64_t calls_left;
  int code;
  bool sticky;
};

thread_local std::vector<void*> contexts;  // the driver keeps a stack for each thread

class Driver {
 public:
  Driver() : callbacks_([this](const std::stop_token& stop) { run_callbacks(stop); }) {}

  ~Driver() {
    callbacks_.request_stop();
    {
      const std::scoped_lock lock(mutex_);
    }
    work_.notify_all();
  }

  std::unique_lock<std::mutex> lock() { return std::unique_lock(mutex_); }

  /// What a call returns before it does anything; 0 to go on.
  int begin(const char* function, CUstream_st* stream) {
    if (const int code = begin_without_context(function, stream)) return code;
    if (!contexts.empty() && contexts.back() != nullptr) return kSuccess;
    ++misuses_;
    return kInvalidContext;
  }

  int begin_without_context(const char* function, CUstream_st* stream = nullptr) {
    ++calls_[function];
    if (sticky_code_ != 0) return sticky_code_;
    for (auto& plan : plans_) {
      if (plan.calls_left == 0 || plan.function != function) continue;
      if (plan.stream != nullptr && plan.stream != stream) continue;
      if (--plan.calls_left == 0) {
        if (plan.sticky) sticky_code_ = plan.code;
        return plan.code;
      }
    }
    return kSuccess;
  }

  int begin(const char* function, CUevent_st* event) {
    const bool live = events_.contains(event);
    return begin_with_event(function, event, live ? event->stream : nullptr);
  }

  int begin_with_event(const char* function, CUevent_st* event, CUstream_st* stream) {
    const bool live = events_.contains(event);
    if (!live) ++misuses_;
    const int code = begin(function, stream);
    return code != 0 || live ? code : kInvalidHandle;
  }

  CUstream_st* add_stream(std::unique_ptr<CUstream_st> stream) {
    streams_.push_back(std::move(stream));
    return streams_.back().get();
  }

  CUevent_st* add_event(unsigned flags) {
    auto* const event = new CUevent_st{.flags = flags};
    events_.insert(event);
    return event;
  }

  void wait_until_destroys_return(std::unique_lock<std::mutex>& held) {
    ++blocked_destroys_;
    destroys_return_.wait(held, [this] { return !destroys_blocked_; });
    --blocked_destroys_;
  }

  void block_destroys(bool blocked) {
    destroys_blocked_ = blocked;
    destroys_return_.notify_all();
  }

  void destroy(CUevent_st* event) {
    events_.erase(event);
    delete event;
  }

  void add_host_call(CUstream_st* stream, const HostCall& call) {
    stream->host_calls.push_back(call);
    work_.notify_all();
  }

  void plan(const PlannedFailure& failure) { plans_.push_back(failure); }
  void heal() {
    plans_.clear();
    sticky_code_ = 0;
  }

  [[nodiscard]] std::uint64_t calls(const char* function) { return calls_[function]; }
  [[nodiscard]] std::uint64_t live_events() const { return events_.size(); }
  [[nodiscard]] std::uint64_t blocked_destroys() const { return blocked_destroys_; }
  [[nodiscard]] std::uint64_t misuses() const { return misuses_; }

 private:
  void run_callbacks(const std::stop_token& stop) {
    auto held = lock();
    while (!stop.stop_requested()) {
      const bool pending = std::ranges::any_of(
          streams_, [](const auto& stream) { return !stream->host_calls.empty(); });
      if (!pending || sticky_code_ != 0) {
        work_.wait(held);
        continue;
      }
      run_due(held);
      held.unlock();
      std::this_thread::sleep_for(std::chrono::microseconds(20));
      held.lock();
    }
  }

  void run_due(std::unique_lock<std::mutex>& held) {
    // By index, because a stream may be added while the lock is not held.
    // NOLINTNEXTLINE(modernize-loop-convert)
    for (std::size_t i = 0; i < streams_.size(); ++i) {
      CUstream_st& stream = *streams_[i];
      stream.advance(now_ns());
      while (!stream.host_calls.empty() && stream.host_calls.front().after <= stream.ended) {
        const HostCall call = stream.host_calls.front();
        stream.host_calls.pop_front();
        stream.in_host_call = true;
        held.unlock();
        call.function(call.argument);
        held.lock();
        stream.in_host_call = false;
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable destroys_return_;
  bool destroys_blocked_ = false;
  std::uint64_t blocked_destroys_ = 0;
  std::vector<std::unique_ptr<CUstream_st>> streams_;
  std::set<CUevent_st*> events_;
  std::vector<PlannedFailure> plans_;
  std::map<std::string, std::uint64_t, std::less<>> calls_;
  int sticky_code_ = 0;
  std::uint64_t misuses_ = 0;
  std::jthread callbacks_;  // last
};

Driver& driver() {
  static Driver instance;
  return instance;
}

CUstream_st* to_stream(void* stream) { return static_cast<CUstream_st*>(stream); }

}  // namespace

extern "C" {

int cuCtxSetCurrent(void* context) {
  const auto lock = driver().lock();
  if (const int code = driver().begin_without_context("cuCtxSetCurrent")) return code;
  if (contexts.empty()) contexts.push_back(nullptr);
  contexts.back() = context;
  return kSuccess;
}

int cuCtxPushCurrent_v2(void* context) {
  const auto lock = driver().lock();
  if (const int code = driver().begin_without_context("cuCtxPushCurrent")) return code;
  contexts.push_back(context);
  return kSuccess;
}

int cuCtxPopCurrent_v2(void** context) {
  if (contexts.empty()) return kInvalidContext;
  *context = contexts.back();
  contexts.pop_back();
  return kSuccess;
}

int cuEventCreate(CUevent_st** event, unsigned flags) {
  const auto lock = driver().lock();
  if (const int code = driver().begin("cuEventCreate", static_cast<CUstream_st*>(nullptr)))
    return code;
  *event = driver().add_event(flags);
  return kSuccess;
}

int cuEventDestroy_v2(CUevent_st* event) {
  auto lock = driver().lock();
  driver().wait_until_destroys_return(lock);
  const int code = driver().begin("cuEventDestroy", event);
  if (code != kInvalidHandle) driver().destroy(event);  // a dead context takes its events with it
  return code;
}

int cuEventRecord(CUevent_st* event, CUstream_st* stream) {
  const auto lock = driver().lock();
  if (const int code = driver().begin_with_event("cuEventRecord", event, stream)) return code;
  event->stream = stream;
  event->after = stream->launched;
  event->ready_at_ns = std::max(now_ns(), stream->busy_until_ns);
  return kSuccess;
}

int cuEventQuery(CUevent_st* event) {
  const auto lock = driver().lock();
  if (const int code = driver().begin("cuEventQuery", event)) return code;
  if (event->stream == nullptr) return kSuccess;
  event->stream->advance(now_ns());
  return event->stream->ended >= event->after ? kSuccess : kNotReady;
}

int cuEventSynchronize(CUevent_st* event) {
  {
    const auto lock = driver().lock();
    if (const int code = driver().begin("cuEventSynchronize", event)) return code;
  }
  int code = cuEventQuery(event);
  for (; code == kNotReady; code = cuEventQuery(event))
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  return code;
}

int cuEventElapsedTime(float* elapsed_ms, CUevent_st* start, CUevent_st* end) {
  const auto lock = driver().lock();
  if (const int code = driver().begin("cuEventElapsedTime", end)) return code;
  if (((start->flags | end->flags) & kDisableTiming) != 0) return kInvalidHandle;
  *elapsed_ms =
      static_cast<float>(static_cast<double>(end->ready_at_ns - start->ready_at_ns) / 1e6);
  return kSuccess;
}

int cuGraphLaunch(void* /*graph*/, CUstream_st* stream) {
  const auto lock = driver().lock();
  if (const int code = driver().begin("cuGraphLaunch", stream)) return code;
  stream->advance(now_ns());
  stream->launch(now_ns());
  return kSuccess;
}

int cuLaunchHostFunc(CUstream_st* stream, void (*function)(void*), void* argument) {
  const auto lock = driver().lock();
  if (const int code = driver().begin("cuLaunchHostFunc", stream)) return code;
  driver().add_host_call(stream,
                         {.after = stream->launched, .function = function, .argument = argument});
  return kSuccess;
}

int cuStreamQuery(CUstream_st* stream) {
  const auto lock = driver().lock();
  if (const int code = driver().begin("cuStreamQuery", stream)) return code;
  return stream->done(now_ns()) ? kSuccess : kNotReady;
}

int cuStreamSynchronize(CUstream_st* stream) {
  int code = cuStreamQuery(stream);
  for (; code == kNotReady; code = cuStreamQuery(stream))
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  return code;
}

int cuGetErrorName(int code, const char** name) {
  static const std::map<int, const char*> kNames{{2, "CUDA_ERROR_OUT_OF_MEMORY"},
                                                 {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT"},
                                                 {kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE"},
                                                 {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},
                                                 {719, "CUDA_ERROR_LAUNCH_FAILED"}};
  const auto found = kNames.find(code);
  *name = found == kNames.end() ? nullptr : found->second;
  return found == kNames.end() ? 1 : kSuccess;
}

int cuGetErrorString(int code, const char** text) {
  *text = code == 700 ? "an illegal memory access was encountered" : "some other error";
  return kSuccess;
}

void* fake_stream(std::int64_t low_ns, std::int64_t high_ns, std::uint64_t seed) {
  auto stream = std::make_unique<CUstream_st>();
  stream->service_ns = std::uniform_int_distribution<std::int64_t>(low_ns, high_ns);
  stream->random.seed(seed);
  const auto lock = driver().lock();
  return driver().add_stream(std::move(stream));
}

void* fake_held_stream() {
  auto stream = std::make_unique<CUstream_st>();
  stream->held = true;
  const auto lock = driver().lock();
  return driver().add_stream(std::move(stream));
}

void fake_release(void* stream, std::uint64_t count) {
  const auto lock = driver().lock();
  for (auto& ends_at_ns : to_stream(stream)->ends_at_ns) {
    if (count == 0) return;
    if (ends_at_ns != kNever) continue;
    ends_at_ns = 0;
    --count;
  }
  to_stream(stream)->releases += count;
}

void fake_fail(const char* function, void* stream, std::uint64_t nth, int code, bool sticky) {
  const auto lock = driver().lock();
  driver().plan(
      {.function = function, .stream = stream, .calls_left = nth, .code = code, .sticky = sticky});
}

void fake_heal() {
  const auto lock = driver().lock();
  driver().heal();
}

void fake_block_destroys(bool blocked) {
  const auto lock = driver().lock();
  driver().block_destroys(blocked);
}

std::uint64_t fake_blocked_destroys() {
  const auto lock = driver().lock();
  return driver().blocked_destroys();
}

std::uint64_t fake_launches(void* stream) {
  const auto lock = driver().lock();
  return to_stream(stream)->launched;
}

std::uint64_t fake_in_flight(void* stream) {
  const auto lock = driver().lock();
  to_stream(stream)->advance(now_ns());
  return to_stream(stream)->ends_at_ns.size();
}

std::uint64_t fake_max_in_flight(void* stream) {
  const auto lock = driver().lock();
  return to_stream(stream)->max_in_flight;
}

std::uint64_t fake_calls(const char* function) {
  const auto lock = driver().lock();
  return driver().calls(function);
}

std::uint64_t fake_live_events() {
  const auto lock = driver().lock();
  return driver().live_events();
}

std::uint64_t fake_misuses() {
  const auto lock = driver().lock();
  return driver().misuses();
}

}  // extern "C"
