#pragma once
/// Where the time of profiled steps went.
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

namespace lmms::step {

/// One span of a trace.
struct ProfileEvent {
  enum class Kind {
    kernel,  ///< on the device, copies and fills of memory too
    host,    ///< a call of the device's runtime on the host
    other,
  };
  std::string name;
  Kind kind = Kind::other;
  int64_t begin_ns = 0, end_ns = 0;
};

struct Breakdown {
  struct Part {
    std::string name;  ///< "products", "attention", ...
    int64_t kernels = 0;
    double milliseconds = 0;
  };
  int64_t steps = 0;
  double span_ms = 0;       ///< from the first kernel to the end of the last
  double idle_ms = 0;       ///< of it, without a kernel
  std::vector<Part> parts;  ///< most time first; kernels that overlap count each
  /// Calls in which the host waited for the device, by name: cudaStreamSynchronize, ...
  std::map<std::string, int64_t> host_waits;

  double idle_share() const { return span_ms > 0 ? idle_ms / span_ms : 0; }
};

/// The part of a step that a kernel of this name belongs to.
std::string part_of_kernel(const std::string& kernel);

Breakdown break_down(std::span<const ProfileEvent> events, int64_t steps);

/// A step's time by parts, a line each.
std::string breakdown_text(const Breakdown& breakdown);
nlohmann::json breakdown_json(const Breakdown& breakdown);

}  // namespace lmms::step
