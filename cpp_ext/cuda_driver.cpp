#include "cuda_driver.hpp"

#include <dlfcn.h>

#include <cmath>

#include "driver_error.hpp"

namespace asyncbench {
namespace {

constexpr int kNotReady = 600;  // CUDA_ERROR_NOT_READY

[[noreturn]] void fail_to_load() {
  throw LibraryError(dlerror());  // NOLINT(concurrency-mt-unsafe): glibc's is per thread
}

void* open_library(const std::string& library) {
  void* const handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) fail_to_load();
  return handle;
}

template <typename Function>
void find(void* library, const char* symbol, Function*& function) {
  // POSIX promises that the pointer of dlsym converts to a function pointer.
  function = reinterpret_cast<Function*>(dlsym(library, symbol));
  if (function == nullptr) fail_to_load();
}

}  // namespace

// The symbols of CUDA 11 to 13: a `_v2` where cuda.h maps the plain name to one in all of them. The
// default-stream variants (`_ptsz`) do not matter: a lane has a stream of its own.
CudaDriver::CudaDriver(const std::string& library) {
  void* const handle = open_library(library);
  find(handle, "cuCtxSetCurrent", ctx_set_current_);
  find(handle, "cuCtxPushCurrent_v2", ctx_push_current_);
  find(handle, "cuCtxPopCurrent_v2", ctx_pop_current_);
  find(handle, "cuEventCreate", event_create_);
  find(handle, "cuEventDestroy_v2", event_destroy_);
  find(handle, "cuEventRecord", event_record_);
  find(handle, "cuEventQuery", event_query_);
  find(handle, "cuEventSynchronize", event_synchronize_);
  find(handle, "cuEventElapsedTime", event_elapsed_time_);
  find(handle, "cuGraphLaunch", graph_launch_);
  find(handle, "cuLaunchHostFunc", launch_host_func_);
  find(handle, "cuStreamQuery", stream_query_);
  find(handle, "cuStreamSynchronize", stream_synchronize_);
  find(handle, "cuGetErrorName", get_error_name_);
  find(handle, "cuGetErrorString", get_error_string_);
}

void CudaDriver::set_context(CudaContext context) const {
  check(ctx_set_current_(context), "cuCtxSetCurrent");
}

void CudaDriver::push_context(CudaContext context) const {
  check(ctx_push_current_(context), "cuCtxPushCurrent");
}

void CudaDriver::pop_context() const noexcept {
  CudaContext popped = nullptr;
  static_cast<void>(ctx_pop_current_(&popped));  // what was pushed can be popped
}

CudaEventHandle CudaDriver::create_event(unsigned flags) const {
  CudaEventHandle event = nullptr;
  check(event_create_(&event, flags), "cuEventCreate");
  return event;
}

void CudaDriver::destroy_event(CudaEventHandle event) const noexcept {
  // Fails only in a context that is dead already, and then every other call has said so.
  static_cast<void>(event_destroy_(event));
}

void CudaDriver::record_event(CudaEventHandle event, CudaStream stream) const {
  check(event_record_(event, stream), "cuEventRecord");
}

bool CudaDriver::event_done(CudaEventHandle event) const {
  const int result = event_query_(event);
  if (result == kNotReady) return false;
  check(result, "cuEventQuery");
  return true;
}

void CudaDriver::wait_event(CudaEventHandle event) const {
  check(event_synchronize_(event), "cuEventSynchronize");
}

std::int64_t CudaDriver::elapsed_ns(CudaEventHandle start, CudaEventHandle end) const {
  float elapsed_ms = 0;
  check(event_elapsed_time_(&elapsed_ms, start, end), "cuEventElapsedTime");
  return std::llround(double{elapsed_ms} * 1e6);
}

void CudaDriver::launch_graph(CudaGraphExec graph, CudaStream stream) const {
  check(graph_launch_(graph, stream), "cuGraphLaunch");
}

void CudaDriver::launch_host_function(CudaStream stream, CudaHostFunction function,
                                      void* argument) const {
  check(launch_host_func_(stream, function, argument), "cuLaunchHostFunc");
}

bool CudaDriver::stream_done(CudaStream stream) const {
  const int result = stream_query_(stream);
  if (result == kNotReady) return false;
  check(result, "cuStreamQuery");
  return true;
}

void CudaDriver::wait_stream(CudaStream stream) const {
  check(stream_synchronize_(stream), "cuStreamSynchronize");
}

void CudaDriver::fail(int result, const char* call) const {
  const char* name = nullptr;
  const char* text = nullptr;
  static_cast<void>(get_error_name_(result, &name));
  static_cast<void>(get_error_string_(result, &text));
  throw DriverError({.code = result,
                     .name = name == nullptr ? "unknown CUDA error" : name,
                     .text = text == nullptr ? "" : text,
                     .call = call});
}

}  // namespace asyncbench
