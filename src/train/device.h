#pragma once
/// Where a command computes.
#include <c10/core/Device.h>

#include <filesystem>
#include <optional>
#include <string>

namespace lmms::train {

/// Where a run stands in the world; filled in by app/, which alone reads the environment.
struct Place {
  std::filesystem::path hub_cache;  ///< the hub's cache folder; empty: none is looked into
  int local_rank = 0;
  std::string home{};                            ///< the home folder; empty: there is none
  std::optional<std::string> visible_devices{};  ///< CUDA_VISIBLE_DEVICES
};

/// The GPU of this rank, or the CPU where `use_cpu` asks for it; made ready: a stream of our own on
/// a GPU, on a CPU the same bits in every run with this number of threads. Without `use_cpu` the
/// CUDA program throws Error where it has no GPU; the CPU program takes the CPU, with a warning
/// where the machine has a GPU.
c10::Device open_device(bool use_cpu, const Place& place);

}  // namespace lmms::train
