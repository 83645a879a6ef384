#include "completion_ring.hpp"

#include <thread>

#include "cases.hpp"
#include "check.hpp"

namespace {

using asyncbench::CompletionRing;

void hands_over_every_stamp_once_and_in_order() {
  constexpr std::int64_t kStamps = 200'000;
  constexpr std::size_t kCapacity = 37;
  CompletionRing ring(kCapacity);
  std::int64_t next = 0;

  {
    std::jthread pump([&] {
      for (std::int64_t i = 0; i < kStamps;) {
        if (ring.size() == kCapacity) continue;  // credits do this in the pump
        ring.push({.issued_at_ns = i, .enqueue_ns = 1, .completed_at_ns = i + 2, .gpu_ns = 3});
        ++i;
      }
    });
    while (next < kStamps) {
      const auto columns = ring.take_all();
      for (std::size_t i = 0; i < columns.count; ++i, ++next) {
        check(columns.values[i] == next);
        check(columns.values[2 * columns.count + i] == next + 2);
      }
    }
  }

  check(ring.size() == 0);
}

}  // namespace

void test_completion_ring() { hands_over_every_stamp_once_and_in_order(); }
