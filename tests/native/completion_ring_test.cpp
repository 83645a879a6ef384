#include "completion_ring.hpp"

#include <doctest/doctest.h>

#include <thread>

namespace {

using asyncbench::CompletionRing;

TEST_CASE("completion ring hands over every stamp once and in order") {
  constexpr std::int64_t kStamps = 200'000;
  constexpr std::size_t kCapacity = 37;
  CompletionRing ring(kCapacity);
  std::int64_t next = 0;
  bool in_order = true;

  {
    const std::jthread pump([&] {
      for (std::int64_t i = 0; i < kStamps;) {
        if (ring.size() == kCapacity) continue;  // credits do this in the pump
        ring.push({.issued_at_ns = i, .enqueue_ns = 1, .completed_at_ns = i + 2, .gpu_ns = 3});
        ++i;
      }
    });
    while (next < kStamps) {
      const auto columns = ring.take_all();
      for (std::size_t i = 0; i < columns.count; ++i, ++next) {
        in_order = in_order && columns.values[i] == next &&
                   columns.values[2 * columns.count + i] == next + 2;
      }
    }
  }

  CHECK(in_order);
  CHECK(next == kStamps);
  CHECK(ring.size() == 0);
}

}  // namespace
