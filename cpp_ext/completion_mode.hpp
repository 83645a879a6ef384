#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace asyncbench {

/// Wait strategy of the thread that polls the device for completions.
enum class CompletionMode {
  spin,   ///< polls without pause: lowest latency, uses one core
  yield,  ///< yields the core to other threads between polls
  block,  ///< sleeps until the driver reports a completion
};

inline CompletionMode parse_completion_mode(std::string_view text) {
  if (text == "spin") return CompletionMode::spin;
  if (text == "yield") return CompletionMode::yield;
  if (text == "block") return CompletionMode::block;
  throw std::invalid_argument("completion is spin, yield or block, not '" + std::string(text) +
                              "'");
}

}  // namespace asyncbench
