#pragma once
/// What the system shows of NVIDIA's hardware to a program without CUDA. Looks at /proc, /dev and
/// the PCI bus, opens no device and takes no time. `root` stands for / in tests.
#include <filesystem>

namespace lmms::start {

/// Whether the kernel has loaded NVIDIA's driver.
bool nvidia_driver(const std::filesystem::path& root = "/");
/// /dev/nvidia0 and on: what a container was given.
int nvidia_device_files(const std::filesystem::path& root = "/");
/// Cards on the PCI bus.
int nvidia_cards(const std::filesystem::path& root = "/");
/// Whether Windows lends its NVIDIA GPU to this Linux (WSL 2), which has none of the above.
bool nvidia_of_windows(const std::filesystem::path& root = "/");
/// Any of them.
bool nvidia_gpu(const std::filesystem::path& root = "/");

}  // namespace lmms::start
