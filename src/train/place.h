#pragma once
/// Where a command runs.
#include <filesystem>
#include <optional>
#include <string>

#include "kernels/open_device.h"

namespace lmms::train {

/// Where a run stands in the world; filled in by app/, which alone reads the environment.
struct Place {
  std::filesystem::path hub_cache;  ///< the hub's cache folder; empty: none is looked into
  int local_rank = 0;
  std::string home{};                            ///< the home folder; empty: there is none
  std::optional<std::string> visible_devices{};  ///< CUDA_VISIBLE_DEVICES
  bool cpu_asked = false;      ///< LMMS_DEVICE=cpu: as use_cpu: true in every config
  std::string cuda_trouble{};  ///< why CUDA's library was wanted and could not be loaded

  kernels::DeviceRequest device(bool use_cpu) const {
    return {use_cpu || cpu_asked, local_rank, visible_devices, cuda_trouble};
  }
};

}  // namespace lmms::train
