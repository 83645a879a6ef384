#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "completion_ring.hpp"
#include "credit_gate.hpp"
#include "driver_error.hpp"
#include "event_count.hpp"
#include "event_fd.hpp"
#include "launcher.hpp"

namespace asyncbench {

struct LaneOptions {
  std::uint32_t max_credits;  ///< credits, inferences in flight and undrained completions together
  std::uint32_t depth = 1;    ///< inferences queued on the device at once
  bool gpu_timed = false;     ///< measure the device time of each inference
  std::optional<std::int64_t> deadline_ns =
      std::nullopt;  ///< an inference that takes longer is an error
};

/// One lane: takes credits, launches an inference for each, and returns completions.
///
/// The *owner* is the thread that holds the pump's mutex. The pump thread calls service() and
/// next_deadline_at_ns() only.
class Lane {
 public:
  enum class Activity {
    idle,      ///< neither credits nor inferences in flight
    waiting,   ///< inferences are in flight; none ended and none was launched
    advanced,  ///< an inference was launched, or has ended
  };

  /// `wakeup` and `progress_events` outlive the lane.
  Lane(std::unique_ptr<Launcher> launcher, const LaneOptions& options, EventFd& wakeup,
       EventCount& progress_events);

  // Owner only.
  void give(std::uint32_t count);
  std::uint32_t take_back() noexcept;
  [[nodiscard]] StampColumns drain();
  /// Signal `wakeup` once, as soon as is_due(count): now, or later.
  void arm(std::uint32_t count) noexcept;
  /// True once for each arm() that was signalled.
  bool take_signalled() noexcept;
  [[nodiscard]] std::optional<CallFailure> error() const;
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return gate_.in_flight(); }
  [[nodiscard]] bool idle() const noexcept { return gate_.idle(); }
  /// Move the launcher out, for the caller to destroy with the context current. If the device still
  /// works for this lane, leak the launcher and return null. After the pump thread's last
  /// service().
  [[nodiscard]] std::unique_ptr<Launcher> take_launcher() noexcept;

  /// Stamp completed inferences and launch new ones. Pump thread only.
  Activity service() noexcept;

  /// Deadline of the oldest inference in flight, if it has one. Pump thread only.
  [[nodiscard]] std::optional<std::int64_t> next_deadline_at_ns() const noexcept;

 private:
  struct LaunchTimes {
    std::int64_t issued_at_ns;
    std::int64_t enqueue_ns;
  };

  static constexpr std::int64_t kNotArmed = 0;
  static constexpr std::int64_t kSignalled = -1;

  bool complete_finished();
  bool launch_next();
  void check_deadline() const;
  Activity drain_after_error() noexcept;
  void fail(const CallFailure& failure) noexcept;
  void notify_waiters() noexcept;
  void signal_if_due() noexcept;
  [[nodiscard]] bool is_due(std::uint64_t count) const noexcept;
  [[nodiscard]] std::size_t oldest_slot() const noexcept { return ended_ % launch_times_.size(); }

  std::unique_ptr<Launcher> launcher_;
  const LaneOptions options_;
  EventFd& wakeup_;
  EventCount& progress_events_;
  CreditGate gate_;
  CompletionRing ring_;
  // kNotArmed, the count given to arm(), or kSignalled. seq_cst: see CreditGate and THREADS.md, "No
  // lost wake-up".
  std::atomic<std::int64_t> armed_{kNotArmed};
  std::optional<CallFailure> error_;  // written once, before failed_
  // seq_cst, because is_due() reads it; also publishes error_.
  std::atomic<bool> failed_{false};

  std::uint64_t outstanding_ = 0;  // owner only: credits given, and not yet drained or taken back

  // Pump thread only.
  std::vector<LaunchTimes> launch_times_;  // by slot
  std::uint64_t launched_ = 0;
  std::uint64_t ended_ = 0;
};

}  // namespace asyncbench
