#include "step/breakdown.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "core/format.h"

namespace lmms::step {
namespace {

using Words = std::vector<std::string_view>;

bool holds(std::string_view text, const Words& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) {
    return text.find(word) != std::string_view::npos;
  });
}

// Calls that return when the device has reached them.
bool waits(std::string_view call) {
  constexpr std::array kWaits{
      std::string_view("cudaStreamSynchronize"), std::string_view("cudaDeviceSynchronize"),
      std::string_view("cudaEventSynchronize"),  std::string_view("cudaMemcpy"),
      std::string_view("cuStreamSynchronize"),   std::string_view("cuCtxSynchronize")};
  return std::find(kWaits.begin(), kWaits.end(), call) != kWaits.end();
}

}  // namespace

std::string part_of_kernel(const std::string& kernel) {
  // In this order: the first that fits. Our own kernels by the names of their functions.
  static const std::pair<const char*, Words> parts[] = {
      {"attention", {"sdpa", "flash", "fmha", "cudnn", "::attention_", "::short_attention"}},
      {"products", {"gemm", "nvjet", "cutlass", "xmma", "splitK", "cublas"}},
      {"activations", {"::activate<", "gelu", "silu"}},
      {"norms and rotation", {"::forward<", "::backward<", "::qk_norm_rope<", "::sum_rows<"}},
      {"head's softmax", {"::softmax_gradient<"}},
      {"optimiser", {"::update(", "::squares(", "::decide(", "::prepare("}},
      {"copies between host and device", {"HtoD", "DtoH"}},
      {"fills and copies", {"Memset", "Memcpy", "FillFunctor", "copy"}},
  };
  for (const auto& [name, words] : parts)
    if (holds(kernel, words)) return name;
  return "other passes";
}

Breakdown break_down(std::span<const ProfileEvent> events, int64_t steps) {
  Breakdown out;
  out.steps = steps;
  std::map<std::string, Breakdown::Part> parts;
  std::vector<std::pair<int64_t, int64_t>> spans;
  for (const ProfileEvent& e : events) {
    if (e.kind == ProfileEvent::Kind::host && waits(e.name)) ++out.host_waits[e.name];
    if (e.kind != ProfileEvent::Kind::kernel) continue;
    Breakdown::Part& part = parts[part_of_kernel(e.name)];
    ++part.kernels;
    part.milliseconds += static_cast<double>(e.end_ns - e.begin_ns) * 1e-6;
    spans.emplace_back(e.begin_ns, e.end_ns);
  }
  for (auto& [name, part] : parts) {
    part.name = name;
    out.parts.push_back(std::move(part));
  }
  std::stable_sort(out.parts.begin(), out.parts.end(),
                   [](const auto& a, const auto& b) { return a.milliseconds > b.milliseconds; });
  if (spans.empty()) return out;
  std::sort(spans.begin(), spans.end());
  int64_t idle = 0, reached = spans.front().first;
  for (const auto& [begin, end] : spans) {
    idle += std::max<int64_t>(0, begin - reached);
    reached = std::max(reached, end);
  }
  out.span_ms = static_cast<double>(reached - spans.front().first) * 1e-6;
  out.idle_ms = static_cast<double>(idle) * 1e-6;
  return out;
}

std::string breakdown_text(const Breakdown& b) {
  if (b.span_ms <= 0 || b.steps <= 0) return "no kernel of a GPU ran";
  const auto n = static_cast<double>(b.steps);
  std::string out =
      fmt::format("{:.1f} ms a step on the device, mean of {}\n", b.span_ms / n, b.steps);
  const auto line = [&](const std::string& name, double ms, int64_t kernels) {
    out += fmt::format("  {:<32} {:>8.2f} ms {:>5.1f} %", name, ms / n, 100 * ms / b.span_ms);
    out +=
        kernels > 0 ? fmt::format("  {:>6.0f} kernels\n", static_cast<double>(kernels) / n) : "\n";
  };
  for (const Breakdown::Part& p : b.parts) line(p.name, p.milliseconds, p.kernels);
  line("idle", b.idle_ms, 0);
  std::string waits;
  for (const auto& [name, count] : b.host_waits)
    waits += fmt::format("{}{} {}", waits.empty() ? "" : ", ", count, name);
  out += "  the host waited: " + (waits.empty() ? "never" : waits);
  return out;
}

nlohmann::json breakdown_json(const Breakdown& b) {
  nlohmann::json parts = nlohmann::json::array();
  for (const Breakdown::Part& p : b.parts)
    parts.push_back({{"name", p.name}, {"kernels", p.kernels}, {"ms", p.milliseconds}});
  return {{"steps", b.steps},          {"span_ms", b.span_ms},
          {"idle_ms", b.idle_ms},      {"idle_share", b.idle_share()},
          {"parts", std::move(parts)}, {"host_waits", b.host_waits}};
}

}  // namespace lmms::step
