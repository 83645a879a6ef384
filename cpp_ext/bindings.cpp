#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "completion_mode.hpp"
#include "cuda_driver.hpp"
#include "driver_error.hpp"
#include "pump.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace asyncbench;

namespace {

// For every call that may block. The GIL is the outermost lock: nothing asks for it while it holds
// a mutex.
using ReleaseGil = nb::call_guard<nb::gil_scoped_release>;
using Int64Array = nb::ndarray<nb::numpy, std::int64_t, nb::ndim<1>>;
using Drained = std::tuple<Int64Array, Int64Array, Int64Array, std::optional<Int64Array>>;
using FailureTuple = std::tuple<int, std::string, std::string, std::string>;

constexpr std::int64_t kMaxCredits = 1 << 20;  // a ring of 32 MiB
constexpr std::int64_t kMaxDepth = 1 << 10;    // a guess at where the driver's own queue is full
constexpr std::int64_t kDrainLimitNs = 5'000'000'000;

template <typename Handle>
Handle to_handle(std::uintptr_t address) {
  return reinterpret_cast<Handle>(address);  // NOLINT(performance-no-int-to-ptr): from Python
}

CudaWork to_work(std::uintptr_t stream, std::uintptr_t graph_exec) {
  return {.stream = to_handle<CudaStream>(stream), .graph = to_handle<CudaGraphExec>(graph_exec)};
}

std::uint32_t to_count(std::int64_t value, std::int64_t min, std::int64_t max, const char* name) {
  if (value < min || value > max) {
    throw std::invalid_argument(std::string(name) + " is " + std::to_string(value) + ", not " +
                                std::to_string(min) + " to " + std::to_string(max));
  }
  return static_cast<std::uint32_t>(value);
}

std::string or_default(const std::optional<std::string>& library) {
  return library.value_or(CudaDriver::kDefaultLibrary);
}

FailureTuple to_tuple(const CallFailure& failure) {
  return {failure.code, failure.name, failure.text, failure.call};
}

template <typename Values>
nb::capsule own(Values values) {
  return nb::capsule(new Values(std::move(values)),
                     [](void* owned) noexcept { delete static_cast<Values*>(owned); });
}

Drained to_arrays(StampColumns columns) {
  std::int64_t* const values = columns.values.get();
  const std::size_t count = columns.count;
  const nb::capsule owner = own(std::move(columns.values));
  const auto array = [&](std::size_t i) { return Int64Array(values + i * count, {count}, owner); };
  return {array(0), array(1), array(2), columns.gpu_timed ? std::optional(array(3)) : std::nullopt};
}

void translate_driver_error(const std::exception_ptr& thrown, void* type) {
  try {
    std::rethrow_exception(thrown);
  } catch (const DriverError& error) {
    PyErr_SetObject(static_cast<PyObject*>(type), nb::cast(to_tuple(error.failure())).ptr());
  }
}

void translate_library_error(const std::exception_ptr& thrown, void* /*payload*/) {
  try {
    std::rethrow_exception(thrown);
  } catch (const LibraryError& error) {
    PyErr_SetString(PyExc_OSError, error.what());
  }
}

void bind_errors(nb::module_& module) {
  const nb::object type = nb::steal(PyErr_NewExceptionWithDoc(
      "asyncbench._pump.DriverError",
      "A call of the CUDA driver failed; `args` is (code, name, text, call).", PyExc_RuntimeError,
      nullptr));
  module.attr("DriverError") = type;
  nb::register_exception_translator(translate_driver_error, type.ptr());
  nb::register_exception_translator(translate_library_error);
}

void bind_pump(nb::module_& module) {
  nb::class_<Pump>(
      module, "Pump",
      R"(One native thread that launches and stamps for all lanes. Close it, or leave its context.

Lanes are identified by the number that `add_lane` returned; numbers are not reused.

Args:
    cuda_context: The CUcontext that streams and graphs belong to.
    completion: `spin`, `yield` or `block`.
    library: The driver library; `libcuda.so.1` unless given.

Raises:
    OSError: The library, or one of its functions, cannot be found.
    DriverError: The context cannot be used.)")
      .def(
          "__init__",
          [](Pump* self, std::uintptr_t cuda_context, const std::string& completion,
             const std::optional<std::string>& library) {
            new (self) Pump(to_handle<CudaContext>(cuda_context), parse_completion_mode(completion),
                            or_default(library));
          },
          "cuda_context"_a, nb::kw_only(), "completion"_a = "spin", "library"_a = nb::none(),
          ReleaseGil())
      .def_prop_ro("fd", &Pump::fd,
                   "Readable when an armed lane is ready. Owned by the pump: do not read or close.")
      .def(
          "add_lane",
          [](Pump& self, std::uintptr_t stream, std::uintptr_t graph_exec, std::int64_t max_credits,
             std::int64_t depth, bool gpu_time, std::optional<std::int64_t> deadline_ns) {
            return self.add_lane(
                to_work(stream, graph_exec),
                {.max_credits = to_count(max_credits, 1, kMaxCredits, "max_credits"),
                 .depth = to_count(depth, 1, kMaxDepth, "depth"),
                 .gpu_timed = gpu_time,
                 .deadline_ns = deadline_ns});
          },
          "stream"_a, "graph_exec"_a, "max_credits"_a, nb::kw_only(), "depth"_a = 1,
          "gpu_time"_a = false, "deadline_ns"_a = nb::none(), ReleaseGil(),
          R"(Add a lane over a CUstream and a CUgraphExec, which must outlive it.

Args:
    max_credits: Limit of credits, inferences in flight and undrained completions together.
    depth: Inferences queued on the stream at once.
    gpu_time: Measure the device time of each inference with a pair of events.
    deadline_ns: An inference in flight for longer stops the lane with the error `NO_COMPLETION`.

Raises:
    DriverError: The events cannot be made.)")
      .def(
          "add_empty_lane",
          [](Pump& self, std::int64_t max_credits) {
            return self.add_empty_lane(to_count(max_credits, 1, kMaxCredits, "max_credits"));
          },
          "max_credits"_a, ReleaseGil(),
          "Add a lane whose inferences do nothing: it measures the cost of pump and runner.")
      .def(
          "remove_lane", &Pump::remove_lane, "lane"_a, ReleaseGil(),
          R"(Remove an idle lane and destroy its events; on return the pump thread does not use it any more.

Raises:
    RuntimeError: The lane still has credits or inferences in flight.)")
      .def(
          "give_credits",
          [](Pump& self, int lane, std::int64_t count) {
            self.give_credits(lane, to_count(count, 0, kMaxCredits, "count"));
          },
          "lane"_a, "count"_a,
          R"(Allow `count` more inferences. A lane that has failed takes none.

Raises:
    ValueError: More than `max_credits` would be outstanding.)")
      .def("take_credits_back", &Pump::take_credits_back, "lane"_a,
           "Take back the credits of inferences that have not started, and return how many.")
      .def(
          "drain", [](Pump& self, int lane) { return to_arrays(self.drain(lane)); }, "lane"_a,
          R"(Take the completions of a lane, oldest first; there may be none.

Returns:
    `(issued_at_ns, enqueue_ns, completed_at_ns, gpu_ns)`, each `(n,)` int64, owned by the caller;
    `gpu_ns` is None for a lane without `gpu_time`.)")
      .def(
          "arm",
          [](Pump& self, int lane, std::int64_t count) {
            self.arm(lane, to_count(count, 1, kMaxCredits, "count"));
          },
          "lane"_a, "count"_a = 1,
          R"(Make `fd` readable, once, when the lane has `count` undrained completions, or fewer and none to come, or has failed.

If that is the case already, `fd` is readable on return.)")
      .def(
          "ready_lanes", &Pump::ready_lanes,
          "Clear `fd` and return the armed lanes that became ready since the last call, ascending.")
      .def("in_flight", &Pump::in_flight, "lane"_a,
           "Return the number of inferences that were launched and are not known to have ended.")
      .def(
          "lane_error",
          [](const Pump& self, int lane) -> std::optional<FailureTuple> {
            const auto failure = self.lane_error(lane);
            return failure ? std::optional(to_tuple(*failure)) : std::nullopt;
          },
          "lane"_a,
          R"(Return `(code, name, text, call)` of the error that stopped the lane; code 0 and `NO_COMPLETION` for the deadline.)")
      .def("wait_idle", &Pump::wait_idle, "lane"_a, "timeout_ns"_a, ReleaseGil(),
           "Block until the lane has no credits and nothing in flight; False after `timeout_ns`.")
      .def(
          "close", &Pump::close, "drain_limit_ns"_a = kDrainLimitNs, ReleaseGil(),
          R"(Take all credits back, wait for the inferences in flight, join the thread and destroy the events. Idempotent.

Completions and errors may still be read.

Returns:
    False if an inference was still in flight after `drain_limit_ns`: then its buffers must be leaked, as its events are.)")
      .def(
          "__enter__", [](nb::handle self) { return self; }, nb::rv_policy::none,
          nb::sig("def __enter__(self) -> Pump"))
      .def(
          "__exit__",
          [](Pump& self, nb::handle, nb::handle, nb::handle) {
            const nb::gil_scoped_release release;
            self.close(kDrainLimitNs);
          },
          "exc_type"_a.none(), "exc"_a.none(), "traceback"_a.none(),
          nb::sig("def __exit__(self, exc_type: object, exc: object, traceback: object) -> None"));
}

}  // namespace

NB_MODULE(_pump, module) {
  module.doc() =
      "The native pump: launches CUDA graphs and stamps their completions without Python.";
  bind_errors(module);
  bind_pump(module);
}
