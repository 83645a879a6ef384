#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace asyncbench {

// The driver's opaque handles, declared here so that building needs no CUDA toolkit.
using CudaContext = struct CUctx_st*;
using CudaStream = struct CUstream_st*;
using CudaGraphExec = struct CUgraphExec_st*;
using CudaEventHandle = struct CUevent_st*;
using CudaHostFunction = void (*)(void*);

/// Flags of cuEventCreate, from cuda.h.
inline constexpr unsigned kEventDefault = 0;
inline constexpr unsigned kEventBlockingSync = 1;
inline constexpr unsigned kEventDisableTiming = 2;

/// The driver library, or one of its functions, cannot be found.
class LibraryError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The functions of libcuda that a pump needs, looked up at run time. Immutable; usable from every
/// thread.
///
/// Each method throws DriverError when the driver returns an error, unless it is noexcept.
class CudaDriver {
 public:
  static constexpr const char* kDefaultLibrary = "libcuda.so.1";

  /// Open `library`. It stays open until the process ends: libcuda has threads of its own.
  explicit CudaDriver(const std::string& library);

  void set_context(CudaContext context) const;
  void push_context(CudaContext context) const;
  void pop_context() const noexcept;

  [[nodiscard]] CudaEventHandle create_event(unsigned flags) const;
  void destroy_event(CudaEventHandle event) const noexcept;
  void record_event(CudaEventHandle event, CudaStream stream) const;
  [[nodiscard]] bool event_done(CudaEventHandle event) const;
  void wait_event(CudaEventHandle event) const;
  [[nodiscard]] std::int64_t elapsed_ns(CudaEventHandle start, CudaEventHandle end) const;

  void launch_graph(CudaGraphExec graph, CudaStream stream) const;
  void launch_host_function(CudaStream stream, CudaHostFunction function, void* argument) const;
  [[nodiscard]] bool stream_done(CudaStream stream) const;
  void wait_stream(CudaStream stream) const;

 private:
  void check(int result, const char* call) const {
    if (result != 0) [[unlikely]] {
      fail(result, call);
    }
  }
  [[noreturn]] void fail(int result, const char* call) const;

  int (*ctx_set_current_)(CudaContext);
  int (*ctx_push_current_)(CudaContext);
  int (*ctx_pop_current_)(CudaContext*);
  int (*event_create_)(CudaEventHandle*, unsigned);
  int (*event_destroy_)(CudaEventHandle);
  int (*event_record_)(CudaEventHandle, CudaStream);
  int (*event_query_)(CudaEventHandle);
  int (*event_synchronize_)(CudaEventHandle);
  int (*event_elapsed_time_)(float*, CudaEventHandle, CudaEventHandle);
  int (*graph_launch_)(CudaGraphExec, CudaStream);
  int (*launch_host_func_)(CudaStream, CudaHostFunction, void*);
  int (*stream_query_)(CudaStream);
  int (*stream_synchronize_)(CudaStream);
  int (*get_error_name_)(int, const char**);
  int (*get_error_string_)(int, const char**);
};

}  // namespace asyncbench
