#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "bell.hpp"
#include "cuda_driver.hpp"
#include "cuda_event.hpp"
#include "launcher.hpp"

namespace asyncbench {

/// What one CUDA lane is made of, and owned by somebody else: it must outlive the launcher.
struct CudaWork {
  CudaStream stream;
  CudaGraphExec graph;
};

/// Replays a captured graph on a stream and watches it with events. Create and destroy it with its
/// context current.
class CudaLauncher final : public Launcher {
 public:
  /// `bell`: rung by the driver when an inference has ended; null for a pump that polls.
  CudaLauncher(const CudaDriver& driver, CudaWork work, std::size_t depth, bool gpu_timed,
               std::shared_ptr<Bell> bell);
  ~CudaLauncher() override;

  void launch(std::size_t slot) override;
  bool finished(std::size_t slot) override;
  std::int64_t gpu_ns(std::size_t slot) override;
  Rest rest() noexcept override;

 private:
  /// What the driver's thread gets to see of us.
  struct HostNote {
    std::shared_ptr<Bell> bell;
    // release when the host function adds, acquire when finished() reads: after that the driver has
    // no use for the note any more, and it may be freed.
    std::atomic<std::uint64_t> called{0};
  };

  static void note_end(void* note) noexcept;

  const CudaDriver& driver_;
  CudaWork work_;
  std::vector<CudaEvent> starts_;  // empty unless gpu time was asked for
  std::vector<CudaEvent> ends_;
  std::unique_ptr<HostNote> note_;           // null unless the pump blocks
  std::vector<std::uint64_t> note_of_slot_;  // which call of note_end belongs to the slot
  std::uint64_t notes_launched_ = 0;
  bool lost_ = false;
};

}  // namespace asyncbench
