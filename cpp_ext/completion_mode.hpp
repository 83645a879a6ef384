#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace asyncbench {

/// How the thread that waits for the device spends the time between two polls.
enum class CompletionMode {
  spin,   ///< polls without pause: lowest latency, one core
  yield,  ///< gives the core to whoever else wants it between polls
  block,  ///< sleeps until the driver says that something has ended
};

inline CompletionMode parse_completion_mode(std::string_view text) {
  if (text == "spin") return CompletionMode::spin;
  if (text == "yield") return CompletionMode::yield;
  if (text == "block") return CompletionMode::block;
  throw std::invalid_argument("completion is spin, yield or block, not '" + std::string(text) +
                              "'");
}

}  // namespace asyncbench
