#pragma once
/// Where a command computes.
#include <c10/core/Device.h>

#include <filesystem>

namespace lmms::train {

/// Where a run stands in the world; filled in by app/, which alone reads the environment.
struct Place {
  std::filesystem::path hub_cache;  ///< the hub's cache folder; empty: none is looked into
  int local_rank = 0;
};

/// The GPU of this rank, or the CPU where there is none or `use_cpu` asks for it; made ready: a
/// stream of our own on a GPU, on a CPU the same bits in every run with this number of threads.
c10::Device open_device(bool use_cpu, const Place& place);

}  // namespace lmms::train
