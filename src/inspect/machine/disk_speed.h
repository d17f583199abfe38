#pragma once
/// How much room a folder's disk has, and how fast it writes and reads.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace lmms::inspect {

struct DiskFacts {
  std::filesystem::path asked;     ///< the folder that is meant; it may not be there yet
  std::filesystem::path measured;  ///< it, or the nearest folder above it that exists
  std::string file_system;         ///< "ext4", "tmpfs", "nfs"; empty if unknown
  int64_t total_bytes = 0, free_bytes = 0;
  std::string trouble;     ///< why nothing can be written there; empty if it can
  double write_speed = 0;  ///< bytes a second with fsync; 0: not measured
  double read_speed = 0;   ///< bytes a second past the cache; 0: not measured
};

/// How long a measurement may go on.
struct DiskEffort {
  int64_t bytes = 256 << 20;             ///< 0: only whether a file can be created
  std::chrono::milliseconds time{1000};  ///< for each of writing and reading; a slow disk may take
                                         ///< as long again for what was begun
};

/// Measures with a file that has no name, so that nothing is left, however the process ends; at
/// most an eighth of the free space is taken. Never throws for what the disk does.
DiskFacts measure_disk(const std::filesystem::path& folder, const DiskEffort& effort = {});

}  // namespace lmms::inspect
