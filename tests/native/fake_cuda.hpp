#pragma once

#include <cstdint>

// Controls of the fake driver. C, because pytest reaches it by ctypes.
extern "C" {
/// A stream whose inferences take `low_ns` to `high_ns`, uniformly, one after the other.
void* fake_stream(std::int64_t low_ns, std::int64_t high_ns, std::uint64_t seed);
/// A stream whose inferences end when fake_release() says so.
void* fake_held_stream();
/// Let `count` more inferences of a held stream end: the oldest in flight, then those to come, at
/// once.
void fake_release(void* stream, std::uint64_t count);
/// Let call number `nth`, from 1 and from now, of `function` (on `stream`, unless null) return
/// `code`. A sticky error is returned by every call after it, too, and no host function is called
/// any more.
void fake_fail(const char* function, void* stream, std::uint64_t nth, int code, bool sticky);
/// Forget planned and sticky errors.
void fake_heal();
/// While `blocked`, let no cuEventDestroy return.
void fake_block_destroys(bool blocked);
/// Calls of cuEventDestroy that are blocked.
std::uint64_t fake_blocked_destroys();

std::uint64_t fake_launches(void* stream);
std::uint64_t fake_in_flight(void* stream);
std::uint64_t fake_max_in_flight(void* stream);
std::uint64_t fake_calls(const char* function);
std::uint64_t fake_live_events();
/// Calls with a destroyed event, or without a current context. A correct client makes none.
std::uint64_t fake_misuses();
}
