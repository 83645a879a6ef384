#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "cuda_driver.hpp"
#include "cuda_event.hpp"
#include "event_count.hpp"
#include "launcher.hpp"

namespace asyncbench {

/// Stream and captured graph of one CUDA lane. Owned by the caller; both outlive the launcher.
struct CudaWork {
  CudaStream stream;
  CudaGraphExec graph;
};

/// Replays a captured graph on a stream and watches it with events. Create and destroy it with its
/// context current.
class CudaLauncher final : public Launcher {
 public:
  /// `completions`: notified from the driver's thread at the end of each inference; null for a pump
  /// that polls.
  CudaLauncher(const CudaDriver& driver, CudaWork work, std::size_t depth, bool gpu_timed,
               std::shared_ptr<EventCount> completions);
  ~CudaLauncher() override;

  void launch(std::size_t slot) override;
  bool finished(std::size_t slot) override;
  std::int64_t gpu_ns(std::size_t slot) override;
  DrainState drain_state() noexcept override;

 private:
  /// State shared with the host function that the driver's thread runs after each inference.
  struct CallbackState {
    std::shared_ptr<EventCount> completions;
    // release when the host function adds, acquire when finished() reads: after that the driver
    // does not use this state any more, and it may be freed.
    std::atomic<std::uint64_t> calls{0};
  };

  static void on_completion(void* state) noexcept;

  const CudaDriver& driver_;
  CudaWork work_;
  std::vector<CudaEvent> starts_;  // empty unless GPU time is taken
  std::vector<CudaEvent> ends_;
  std::unique_ptr<CallbackState> callback_;      // null unless the pump blocks
  std::vector<std::uint64_t> callback_of_slot_;  // number of the on_completion call of each slot
  std::uint64_t callbacks_enqueued_ = 0;
  bool context_lost_ = false;
};

}  // namespace asyncbench
