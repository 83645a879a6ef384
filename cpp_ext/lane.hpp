#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "bell.hpp"
#include "completion_ring.hpp"
#include "credit_gate.hpp"
#include "driver_error.hpp"
#include "event_fd.hpp"
#include "launcher.hpp"

namespace asyncbench {

struct LaneOptions {
  std::uint32_t max_credits;  ///< credits, flights and untaken completions together
  std::uint32_t depth = 1;    ///< inferences queued on the device at once
  bool gpu_timed = false;     ///< take the device time of each inference
  std::optional<std::int64_t> deadline_ns =
      std::nullopt;  ///< an inference that takes longer is an error
};

/// One lane: credits in, launches, completions out.
///
/// The *owner* is whoever holds the pump's mutex; the pump thread calls service() and nothing else.
class Lane {
 public:
  enum class Activity {
    idle,      ///< nothing to do until somebody gives credits
    waiting,   ///< something is in flight, and still is
    advanced,  ///< something was launched or has ended
  };

  /// `wakeup` and `progress` outlive the lane.
  Lane(std::unique_ptr<Launcher> launcher, const LaneOptions& options, EventFd& wakeup,
       Bell& progress);

  // The owner's side.
  void give(std::uint32_t count);
  std::uint32_t take_back() noexcept;
  [[nodiscard]] StampColumns drain();
  /// Signal `wakeup` once, when due(count) holds: now, or later.
  void arm(std::uint32_t count) noexcept;
  /// True once for each arm() that was signalled.
  bool take_fired() noexcept;
  [[nodiscard]] std::optional<CallFailure> error() const;
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return gate_.in_flight(); }
  [[nodiscard]] bool idle() const noexcept { return gate_.idle(); }
  /// Free what the lane has on the device, or leak it if the device is not done with it. After the
  /// pump thread is through with this lane, with the context current.
  void release_device() noexcept;

  /// Take what has ended, launch what may be. Pump thread only.
  Activity service() noexcept;

  /// When the oldest inference in flight becomes an error. Pump thread only.
  [[nodiscard]] std::optional<std::int64_t> next_deadline_at_ns() const noexcept;

 private:
  struct Flight {
    std::int64_t issued_at_ns;
    std::int64_t enqueue_ns;
  };

  static constexpr std::int64_t kNotArmed = 0;
  static constexpr std::int64_t kFired = -1;

  bool complete_finished();
  bool launch_next();
  void check_deadline() const;
  Activity settle() noexcept;
  void fail(const CallFailure& failure) noexcept;
  void announce() noexcept;
  void fire_if_due() noexcept;
  [[nodiscard]] bool due(std::uint64_t count) const noexcept;
  [[nodiscard]] std::size_t oldest_slot() const noexcept { return ended_ % flights_.size(); }

  std::unique_ptr<Launcher> launcher_;
  const LaneOptions options_;
  EventFd& wakeup_;
  Bell& progress_;
  CreditGate gate_;
  CompletionRing ring_;
  // 0, the count that was asked for, or kFired. seq_cst: see CreditGate and THREADS.md, "No lost
  // wake-up".
  std::atomic<std::int64_t> armed_{kNotArmed};
  std::optional<CallFailure> error_;  // written once, before failed_
  // seq_cst, being part of what due() looks at; also publishes error_.
  std::atomic<bool> failed_{false};

  std::uint64_t outstanding_ = 0;  // the owner's: credits given and not seen again

  // The pump thread's.
  std::vector<Flight> flights_;  // by slot
  std::uint64_t launched_ = 0;
  std::uint64_t ended_ = 0;
};

}  // namespace asyncbench
