#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bell.hpp"
#include "completion_mode.hpp"
#include "cuda_driver.hpp"
#include "cuda_launcher.hpp"
#include "event_fd.hpp"
#include "lane.hpp"

namespace asyncbench {

/// One native thread that launches and stamps for all lanes. It never touches a Python object.
///
/// Every method may be called from any thread. A lane is named by the number that added it; numbers
/// are not used again. An unknown lane throws std::out_of_range, bad arguments
/// std::invalid_argument, a bad moment std::runtime_error.
class Pump {
 public:
  /// Start the thread. Throws LibraryError, DriverError.
  Pump(CudaContext context, CompletionMode mode, const std::string& library);
  ~Pump();
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  /// Readable when a lane that was armed is ready.
  [[nodiscard]] int fd() const noexcept { return wakeup_.fd(); }

  /// Add a lane over a stream and a graph that outlive it. Throws DriverError.
  int add_lane(CudaWork work, const LaneOptions& options);
  /// Add a lane whose inferences do nothing.
  int add_empty_lane(std::uint32_t max_credits);
  /// Free an idle lane and its events; the pump thread is done with it when this returns.
  void remove_lane(int lane);

  void give_credits(int lane, std::uint32_t count);
  std::uint32_t take_credits_back(int lane);
  [[nodiscard]] StampColumns drain(int lane);
  /// Make fd() readable once when `lane` has `count` completions, or has some and nothing more to
  /// come, or failed.
  void arm(int lane, std::uint32_t count);
  /// Clear fd() and return the lanes that were armed and made it readable since the last call.
  [[nodiscard]] std::vector<int> ready_lanes();
  [[nodiscard]] std::uint32_t in_flight(int lane) const;
  [[nodiscard]] std::optional<CallFailure> lane_error(int lane) const;

  /// Wait until the lane has neither credits nor inferences in flight; false after `timeout_ns`.
  [[nodiscard]] bool wait_idle(int lane, std::int64_t timeout_ns);

  /// Withdraw all credits, wait for what is in flight, join the thread, free the events.
  /// Idempotent.
  ///
  /// Returns false if something was still in flight after `drain_limit_ns`: its events are leaked,
  /// and its buffers must be. Stamps and errors may still be read.
  bool close(std::int64_t drain_limit_ns);

 private:
  int insert(std::unique_ptr<Launcher> launcher, const LaneOptions& options);
  [[nodiscard]] Lane& find(int lane) const;
  void require_open() const;
  std::unique_ptr<Lane> take_out(int lane);
  void wait_until_adopted();
  void release(Lane& lane) noexcept;
  bool release_all();

  void run() noexcept;
  bool enter_context() noexcept;
  void pump_until_closed() noexcept;
  void adopt_lanes();
  Lane::Activity service_lanes() noexcept;
  void pause(Lane::Activity activity, std::uint32_t seen) noexcept;
  void pause_idle(std::uint32_t seen) noexcept;
  void pause_waiting(std::uint32_t seen) noexcept;
  [[nodiscard]] std::int64_t longest_sleep_ns() const noexcept;

  const CudaDriver driver_;
  const CudaContext context_;
  const CompletionMode mode_;
  EventFd wakeup_;
  // Rung when there may be something to do for the pump thread. Shared with the notes of host
  // functions, which the driver may still be calling while the pump goes away.
  std::shared_ptr<Bell> work_ = std::make_shared<Bell>();
  Bell progress_;  // rung when a lane became idle, lanes were adopted, the thread started or ended

  std::mutex close_mutex_;  // one close() at a time; taken before mutex_
  mutable std::mutex
      mutex_;  // guards lanes_, next_lane_, closed_, and is what makes its holder a Lane's owner
  std::map<int, std::unique_ptr<Lane>> lanes_;
  int next_lane_ = 0;
  bool closed_ = false;
  bool drained_ = true;  // guarded by close_mutex_

  // Written under mutex_ with release after lanes_ changed; the pump thread compares it, with
  // acquire, every round.
  std::atomic<std::uint64_t> lanes_version_{0};
  // release when the pump thread has let go of what an older version held; acquire by whoever then
  // frees that.
  std::atomic<std::uint64_t> adopted_version_{0};
  std::atomic<std::int64_t> drain_until_ns_{0};  // relaxed: published by closing_
  std::atomic<bool> closing_{false};  // release after drain_until_ns_, acquire before reading it
  std::optional<CallFailure> start_failure_;  // published by started_
  std::atomic<bool> started_{false};          // release by the thread, acquire by the constructor

  // The pump thread's.
  std::vector<Lane*> adopted_;
  std::int64_t idle_since_ns_ = 0;

  std::jthread thread_;  // last: starts after, and joins before, all it uses
};

}  // namespace asyncbench
