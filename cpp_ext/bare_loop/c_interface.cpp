// C interface of the bare loop for ctypes: see scripts/bare_loop.py. A function returns 0, or 1
// with the error's text in `error`. Strings are UTF-8 and end with a null byte.
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>
#include <vector>

#include "bare_loop.hpp"

namespace {

template <typename Action>
int run(const Action& action, char* error, std::size_t error_bytes) noexcept {
  try {
    action();
    return 0;
  } catch (const std::exception& thrown) {
    const auto length = std::string_view(thrown.what()).copy(error, error_bytes - 1);
    error[length] = '\0';
    return 1;
  }
}

}  // namespace

extern "C" {

[[gnu::visibility("default")]] int asyncbench_bare_loop(
    const char* library, asyncbench::CudaContext context, const asyncbench::CudaWork* lanes,
    std::size_t lane_count, const char* completion, std::int64_t duration_ns,
    asyncbench::BareLoopResult* result, char* error, std::size_t error_bytes) {
  const auto measure = [&] {
    *result =
        asyncbench::bare_loop(asyncbench::CudaDriver(library), context, {lanes, lanes + lane_count},
                              asyncbench::parse_completion_mode(completion), duration_ns);
  };
  return run(measure, error, error_bytes);
}

[[gnu::visibility("default")]] int asyncbench_bare_replay(
    const char* library, asyncbench::CudaContext context, asyncbench::CudaWork lane,
    std::uint32_t count, std::int64_t* duration_ns, char* error, std::size_t error_bytes) {
  const auto measure = [&] {
    *duration_ns =
        asyncbench::bare_replay_ns(asyncbench::CudaDriver(library), context, lane, count);
  };
  return run(measure, error, error_bytes);
}

}  // extern "C"
