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

#include "completion_mode.hpp"
#include "cuda_driver.hpp"
#include "cuda_launcher.hpp"
#include "event_count.hpp"
#include "event_fd.hpp"
#include "lane.hpp"

namespace asyncbench {

/// One native thread that launches and stamps for all lanes. It never touches a Python object.
///
/// Every method may be called from any thread. Lanes are identified by the number that add_lane()
/// returned; numbers are not reused. An unknown lane throws std::out_of_range, bad arguments
/// std::invalid_argument, a bad moment std::runtime_error.
class Pump {
 public:
  /// Start the thread. Throws LibraryError, DriverError.
  Pump(CudaContext context, CompletionMode mode, const std::string& library);
  ~Pump();
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  /// Readable when an armed lane is ready.
  [[nodiscard]] int fd() const noexcept { return wakeup_.fd(); }

  /// Add a lane over a stream and a graph, which outlive it. Throws DriverError.
  int add_lane(CudaWork work, const LaneOptions& options);
  /// Add a lane whose inferences do nothing: see EmptyLauncher.
  int add_empty_lane(std::uint32_t max_credits);
  /// Remove an idle lane and destroy its events; on return the pump thread does not use it any
  /// more.
  void remove_lane(int lane);

  void give_credits(int lane, std::uint32_t count);
  std::uint32_t take_credits_back(int lane);
  [[nodiscard]] StampColumns drain(int lane);
  /// Make fd() readable once, when `lane` has `count` undrained completions, or has fewer and no
  /// more to come, or has failed.
  void arm(int lane, std::uint32_t count);
  /// Clear fd(), and return the armed lanes that became ready since the last call.
  [[nodiscard]] std::vector<int> ready_lanes();
  [[nodiscard]] std::uint32_t in_flight(int lane) const;
  [[nodiscard]] std::optional<CallFailure> lane_error(int lane) const;

  /// Wait until the lane has neither credits nor inferences in flight. Returns false after
  /// `timeout_ns`.
  [[nodiscard]] bool wait_idle(int lane, std::int64_t timeout_ns);

  /// Take all credits back, wait for the inferences in flight, join the thread and destroy the
  /// events. Idempotent.
  ///
  /// Returns false if an inference was still in flight after `drain_limit_ns`: then the events of
  /// its lane are leaked, and the caller must leak its buffers. Stamps and errors may still be
  /// read.
  bool close(std::int64_t drain_limit_ns);

 private:
  int insert(std::unique_ptr<Launcher> launcher, const LaneOptions& options);
  [[nodiscard]] Lane& find(int lane) const;
  void require_open() const;
  std::unique_ptr<Lane> extract(int lane);
  void wait_until_snapshot_is_current();
  bool release_launchers();
  void destroy(std::vector<std::unique_ptr<Launcher>> launchers) noexcept;

  void run() noexcept;
  bool enter_context() noexcept;
  void pump_until_closed() noexcept;
  void refresh_snapshot();
  Lane::Activity service_lanes() noexcept;
  void pause(Lane::Activity activity, std::uint32_t seen) noexcept;
  void pause_idle(std::uint32_t seen) noexcept;
  void pause_waiting(std::uint32_t seen) noexcept;
  [[nodiscard]] std::int64_t max_sleep_ns() const noexcept;

  const CudaDriver driver_;
  const CudaContext context_;
  const CompletionMode mode_;
  EventFd wakeup_;
  // Notified when the pump thread may have work to do. Shared with the callback states of the
  // launchers: the driver may still call a host function after the pump is gone.
  std::shared_ptr<EventCount> work_events_ = std::make_shared<EventCount>();
  // Notified when a lane became idle, the snapshot was refreshed, the thread started or ended.
  EventCount progress_events_;

  std::mutex close_mutex_;  // one close() at a time; taken before mutex_
  // Guards lanes_, next_lane_ and closed_; its holder is the owner of every lane.
  mutable std::mutex mutex_;
  std::map<int, std::unique_ptr<Lane>> lanes_;
  int next_lane_ = 0;
  bool closed_ = false;
  bool drained_ = true;  // guarded by close_mutex_

  // Incremented under mutex_, with release, after lanes_ changed; the pump thread compares it, with
  // acquire, in every round.
  std::atomic<std::uint64_t> table_version_{0};
  // Version of lanes_ that snapshot_ was taken from. release when the pump thread does not use the
  // lanes of an older version any more; acquire by the thread that then frees one of them.
  std::atomic<std::uint64_t> snapshot_version_{0};
  std::atomic<std::int64_t> drain_until_ns_{0};  // relaxed: published by closing_
  std::atomic<bool> closing_{false};  // release after drain_until_ns_, acquire before reading it
  std::optional<CallFailure> start_failure_;  // published by started_
  std::atomic<bool> started_{false};          // release by the thread, acquire by the constructor

  // Pump thread only.
  std::vector<Lane*> snapshot_;  // of lanes_, so that a round needs no lock
  std::int64_t idle_since_ns_ = 0;

  std::jthread thread_;  // last: starts after, and joins before, all it uses
};

}  // namespace asyncbench
