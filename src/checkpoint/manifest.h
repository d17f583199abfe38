#pragma once
/// `resume/manifest.json` of a checkpoint: what every file of it held when it was saved.
///
/// The file names its own checksum, so that a damaged manifest is told from damaged files.
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checksums.h"
#include "core/error.h"

namespace lmms::checkpoint {

/// Sub-folder of a checkpoint with what is not part of the HF model.
inline constexpr const char* kResumeFolder = "resume";

struct Manifest {
  int64_t step = 0;
  /// False in those of earlier versions, which held the sizes of weight and resume files alone.
  bool has_checksums = true;
  std::map<std::string, FileSum> files;  ///< by path within the checkpoint, with '/'
};

/// Writes it for the files of a checkpoint that is being saved. `written`: sums of files that were
/// taken while they were written; what they do not name is read. Throws Error.
void write_manifest(const std::filesystem::path& checkpoint, int64_t step, const FileSums& written);
/// Faults: none there, broken or damaged, or of another format.
Result<Manifest> read_manifest(const std::filesystem::path& checkpoint);

/// Whether a run that goes on reads this file of a checkpoint: weights, their index, and all of
/// resume/. Others (config.json, the tokenizer's) are for those who use the model, and may be
/// edited.
bool is_read_by_runs(const std::filesystem::path& name);

/// What comparing a checkpoint with its manifest brought.
struct Comparison {
  std::optional<Fault> damage;  ///< of a file that a run reads; the first by name
  std::vector<std::string>
      edited;                 ///< other files that are no longer as they were saved, or are gone
  bool has_checksums = true;  ///< false: nothing could be compared but sizes
};

/// Reads every file of the checkpoint once, with several threads, and compares.
Comparison compare_with_manifest(const std::filesystem::path& checkpoint);

}  // namespace lmms::checkpoint
