#include "plan/card.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <regex>
#include <vector>

#include "core/error.h"
#include "core/format.h"
#include "core/nearest.h"
#include "kernels/device_facts.h"

namespace lmms::plan {
namespace {

struct Entry {
  const char* name;
  const char* driver_name;          // part of what the driver says
  double gib;                       // as the driver counts
  int sliced_gb;                    // memory in the names of slices of a whole card: 7g.80gb
  double peak, product, attention;  // TFLOP/s
  double copy;                      // TB/s
  int processors, major;
  bool measured;  // product, attention and copy
};

// Measured ones: docs/performance.md and the figures behind it. The larger memory of a driver name
// comes first.
constexpr Entry kEntries[] = {
    {"h100", "H100", 79.1, 80, 989, 760, 600, 3.0, 132, 9, true},
    {"h200", "H200", 139.8, 141, 989, 760, 600, 4.2, 132, 9, true},
    {"a100", "A100", 79.2, 80, 312, 250, 190, 1.7, 108, 8, false},
    {"a100-40gb", "A100-SXM4-40GB", 39.4, 40, 312, 250, 190, 1.35, 108, 8, false},
    {"b200", "B200", 178.4, 180, 2250, 1500, 1150, 6.6, 148, 10, false},
};

Card card_of_entry(const Entry& e) {
  constexpr double kTera = 1e12, kGib = 1073741824.0;
  Card c;
  c.name = e.name;
  c.memory_bytes = static_cast<int64_t>(e.gib * kGib);
  c.peak_flops_per_second = e.peak * kTera;
  c.product_flops_per_second = e.product * kTera;
  c.attention_flops_per_second = e.attention * kTera;
  c.copy_bytes_per_second = e.copy * kTera;
  c.processors = e.processors;
  c.compute_major = e.major;
  c.measured = e.measured;
  return c;
}

// Sevenths of the processors, eighths of memory and of its bandwidth.
Card slice_of(const Entry& e, const std::string& name, int sevenths, int gigabytes) {
  Card c = card_of_entry(e);
  const double eighths = std::round(8.0 * gigabytes / e.sliced_gb);
  if (sevenths < 1 || sevenths > 7 || sevenths == 5 || sevenths == 6 || eighths < 1 ||
      eighths > 8) {
    throw Error("--card " + name,
                fmt::format("{} has no slice of {}g.{}gb", e.name, sevenths, gigabytes),
                fmt::format("give one as nvidia-smi mig -lgip prints it, such as {}:3g.{}gb",
                            e.name, e.sliced_gb / 2));
  }
  const double compute = sevenths / 7.0, memory = eighths / 8.0;
  c.name = name;
  c.memory_bytes = static_cast<int64_t>(static_cast<double>(c.memory_bytes) * memory);
  for (double* rate :
       {&c.peak_flops_per_second, &c.product_flops_per_second, &c.attention_flops_per_second})
    *rate *= compute;
  c.copy_bytes_per_second *= memory;
  c.processors = static_cast<int>(c.processors * compute);
  c.measured = false;
  return c;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

const Entry* entry_named(const std::string& name) {
  const auto* found = std::find_if(std::begin(kEntries), std::end(kEntries),
                                   [&](const Entry& e) { return name == e.name; });
  return found == std::end(kEntries) ? nullptr : found;
}

}  // namespace

std::string card_names() {
  std::string out;
  for (const Entry& e : kEntries) out += (out.empty() ? "" : ", ") + std::string(e.name);
  return out;
}

Card card_named(const std::string& given) {
  const std::string name = lower(given);
  if (const Entry* e = entry_named(name)) return card_of_entry(*e);
  static const std::regex slice("([a-z0-9-]+):([0-9])g\\.([0-9]{1,3})gb");
  std::smatch parts;
  if (std::regex_match(name, parts, slice)) {
    if (const Entry* e = entry_named(parts[1]))
      return slice_of(*e, name, std::stoi(parts[2]), std::stoi(parts[3]));
  }
  std::vector<std::string> known;
  for (const Entry& e : kEntries) known.emplace_back(e.name);
  const auto nearest = nearest_name(name, known);
  throw Error(
      "--card " + given,
      "no such card is known" + (nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""),
      "known: " + card_names() + "; a slice of one by its size: h100:3g.40gb");
}

Card card_of(c10::Device device) {
  const kernels::GpuFacts gpu = kernels::gpu_facts(device.index());
  Card card = card_of_entry(kEntries[0]);
  card.measured = false;
  size_t longest = 0;
  for (const Entry& e : kEntries) {
    const std::string known = e.driver_name;
    if (known.size() <= longest || gpu.name.find(known) == std::string::npos) continue;
    card = card_of_entry(e);
    longest = known.size();
  }
  card.name = gpu.name;
  card.memory_bytes = gpu.free_bytes;
  return card;
}

}  // namespace lmms::plan
