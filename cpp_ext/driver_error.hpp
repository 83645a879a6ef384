#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace asyncbench {

/// A failed driver call, as CUDA describes it. `code` is 0 when the pump gave up waiting.
struct CallFailure {
  int code;
  std::string name;  ///< CUDA's name, such as CUDA_ERROR_ILLEGAL_ADDRESS
  std::string text;  ///< CUDA's explanation
  std::string call;  ///< the driver function that returned it
};

/// A driver function returned an error.
class DriverError : public std::runtime_error {
 public:
  explicit DriverError(CallFailure failure)
      : std::runtime_error(failure.call + ": " + failure.name + " (" +
                           std::to_string(failure.code) + "): " + failure.text),
        failure_(std::move(failure)) {}

  [[nodiscard]] const CallFailure& failure() const noexcept { return failure_; }

 private:
  CallFailure failure_;
};

}  // namespace asyncbench
