#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <source_location>
#include <thread>

/// Ends the program, with the line of the caller, unless `holds`.
inline void check(bool holds, std::source_location at = std::source_location::current()) {
  if (holds) return;
  std::fprintf(stderr, "%s:%u: check failed in %s\n", at.file_name(), at.line(),
               at.function_name());
  std::abort();
}

/// Waits for what another thread is about to make true; a minute is for machines that are very
/// busy.
template <typename Condition>
void check_soon(Condition condition, std::source_location at = std::source_location::current()) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!condition() && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  check(condition(), at);
}
