#include "plan/card.h"

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstring>
#include <optional>
#include <regex>
#include <vector>

#include "core/error.h"
#include "core/format.h"
#include "core/nearest.h"
#include "kernels/device.h"
#include "kernels/device_facts.h"
#include "kernels/peak.h"

namespace lmms::plan {
namespace {

struct Entry {
  const char* name;
  const char* driver_name;  // part of what the driver says
  double gib;               // as the CUDA runtime counts
  int sliced_gb;            // memory in the names of slices of a whole card, 7g.80gb; 0: has none
  double bandwidth;         // TB/s of the data sheet
  int processors, major;
  // What large products and attention reach in TFLOP/s, and copying in TB/s; 0: shares of the data
  // sheet that an A100 is known to reach.
  double product = 0, attention = 0, copy = 0;
  bool measured = false;
};

// Measured ones: docs/performance.md and the figures behind it. The others were never held to a run
// of ours. Of those by data sheet alone bandwidth and processors are NVIDIA's (the pages that
// kernels/peak.cpp names for their TFLOP/s, and the data sheet of the RTX A6000); memory is what
// PyTorch's out-of-memory errors there call the total capacity, with ECC as the card is shipped.
// Their kernels: code of compute capability 8.0 (of 12.0 for 5090 and PRO 6000), FlashAttention-2
// in both directions; cuDNN's and our own Hopper kernels are for 9 and 10 (attention_rule.cpp). The
// larger memory of a driver name comes first.
constexpr Entry kEntries[] = {
    {"h100", "H100", 79.1, 80, 3.35, 132, 9, 760, 600, 3.0, true},
    {"h200", "H200", 139.8, 141, 4.8, 132, 9, 760, 600, 4.2, true},
    {"a100", "A100", 79.2, 80, 2.04, 108, 8, 250, 190, 1.7},
    {"a100-40gb", "A100-SXM4-40GB", 39.4, 40, 1.56, 108, 8, 250, 190, 1.35},
    {"b200", "B200", 178.4, 180, 8.0, 148, 10, 1500, 1150, 6.6},
    {"rtx-4090", "RTX 4090", 23.6, 0, 1.008, 128, 8},
    {"rtx-5090", "RTX 5090", 31.4, 0, 1.792, 170, 12},
    {"rtx-6000-ada", "RTX 6000 Ada", 47.5, 0, 0.96, 142, 8},
    {"rtx-pro-6000", "RTX PRO 6000", 95.0, 0, 1.792, 188, 12},
    {"rtx-a6000", "RTX A6000", 47.5, 0, 0.768, 84, 8},
    {"l40s", "L40S", 44.4, 0, 0.864, 142, 8},
    {"l4", "L4", 22.0, 0, 0.3, 58, 8},
    {"a10", "A10", 22.0, 0, 0.6, 72, 8},
};
// 250 of 312 TFLOP/s, 190 of 312, and 1.7 of 2.04 TB/s.
constexpr double kProductShare = 0.8, kAttentionShare = 0.61, kCopyShare = 0.83;

Card card_of_entry(const Entry& e) {
  constexpr double kTera = 1e12, kGib = 1073741824.0;
  Card c;
  c.name = e.name;
  c.memory_bytes = static_cast<int64_t>(e.gib * kGib);
  c.peak_flops_per_second = kernels::data_sheet_peak(e.driver_name).value();
  const auto rate = [&](double known, double share, double of) {
    return known > 0 ? known * kTera : share * of;
  };
  c.product_flops_per_second = rate(e.product, kProductShare, c.peak_flops_per_second);
  c.attention_flops_per_second = rate(e.attention, kAttentionShare, c.peak_flops_per_second);
  c.copy_bytes_per_second = rate(e.copy, kCopyShare, e.bandwidth * kTera);
  c.processors = e.processors;
  c.compute_major = e.major;
  c.measured = e.measured;
  return c;
}

// Sevenths of the processors, eighths of memory and of its bandwidth.
Card slice_of(const Entry& e, const std::string& name, int sevenths, int gigabytes) {
  Card c = card_of_entry(e);
  if (e.sliced_gb == 0) {
    throw Error("--card " + name, fmt::format("{} has no slices in sevenths", e.name),
                fmt::format("--card {}", e.name));
  }
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

// Bytes read and written a second by copies that no cache holds.
double measured_copy() {
  constexpr int64_t kFloats = int64_t{16} << 20;
  const at::Tensor from = at::zeros({kFloats}), to = at::zeros({kFloats});
  using Clock = std::chrono::steady_clock;
  double best = 0;
  const auto end = Clock::now() + std::chrono::milliseconds(150);
  do {
    const auto start = Clock::now();
    to.copy_(from);
    const std::chrono::duration<double> seconds = Clock::now() - start;
    best = std::max(best, 2.0 * static_cast<double>(from.nbytes()) / seconds.count());
  } while (Clock::now() < end);
  return best;
}

}  // namespace

std::string card_names() {
  std::string measured, others;
  for (const Entry& e : kEntries) {
    std::string& list = e.measured ? measured : others;
    list += (list.empty() ? "" : ", ") + std::string(e.name);
  }
  return measured + "; by data sheet, not measured: " + others;
}

std::vector<std::string> known_cards() {
  std::vector<std::string> names;
  for (const Entry& e : kEntries) names.emplace_back(e.name);
  return names;
}

Card card_named(const std::string& given) {
  std::string name = lower(given);
  std::replace(name.begin(), name.end(), ' ', '-');
  if (const Entry* e = entry_named(name)) return card_of_entry(*e);
  static const std::regex slice("([a-z0-9-]+):([0-9])g\\.([0-9]{1,3})gb");
  std::smatch parts;
  if (std::regex_match(name, parts, slice)) {
    if (const Entry* e = entry_named(parts[1]))
      return slice_of(*e, name, std::stoi(parts[2]), std::stoi(parts[3]));
  }
  const std::vector<std::string> known = known_cards();
  auto nearest = nearest_name(name, known);
  for (const char* prefix : {"rtx-", "nvidia-"}) {  // "4090", "nvidia-l4"
    if (nearest) break;
    nearest = nearest_name(
        name.starts_with(prefix) ? name.substr(std::strlen(prefix)) : prefix + name, known);
  }
  throw Error(
      "--card " + given,
      "no such card is known" + (nearest ? fmt::format("; did you mean '{}'?", *nearest) : ""),
      "measured: " + card_names() + "; a MIG slice by its size: h100:3g.40gb");
}

Card card_of(c10::Device device) {
  return card_of(kernels::gpu_facts(device.index()));
}

Card card_of(const kernels::GpuFacts& gpu) {
  Card card = card_of_entry(kEntries[0]);
  card.measured = card.known = false;
  if (gpu.major > 0) {  // which kernels a plan counts with
    card.compute_major = gpu.major;
    card.processors = gpu.processors;
  }
  size_t longest = 0;
  for (const Entry& e : kEntries) {
    const std::string known = e.driver_name;
    if (known.size() <= longest || !kernels::is_card(gpu.name, known)) continue;
    card = card_of_entry(e);
    longest = known.size();
  }
  card.name = gpu.name;
  card.memory_bytes = gpu.free_bytes;
  return card;
}

Card this_cpu(c10::ScalarType dtype, int64_t memory_bytes) {
  // ATen's attention on a CPU works block by block: its products are small.
  constexpr double kAttention = 0.4;
  Card card;
  card.name = kernels::device_name(c10::kCPU);
  card.memory_bytes = memory_bytes;
  card.reserved_bytes = 0;
  card.peak_flops_per_second = kernels::peak_of(c10::kCPU, dtype).flops_per_second;
  card.product_flops_per_second = card.peak_flops_per_second;
  card.attention_flops_per_second = kAttention * card.peak_flops_per_second;
  card.copy_bytes_per_second = measured_copy();
  card.processors = at::get_num_threads();
  card.compute_major = 0;
  card.measured = true;
  return card;
}

}  // namespace lmms::plan
