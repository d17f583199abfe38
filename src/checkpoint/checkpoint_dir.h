#pragma once
/// The checkpoints of an output folder: `checkpoint-N`, whole or not there at all.
///
/// A checkpoint is filled under a temporary name, fsynced, given a manifest of its files
/// (manifest.h), and renamed. So a kill at any moment leaves the last one whole, and what a kill
/// left behind is recognised by its name (`.tmp-*`).
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "core/error.h"

namespace lmms::checkpoint {

/// A complete checkpoint.
struct Checkpoint {
  int64_t step = 0;
  std::filesystem::path path;
};

/// OUTPUT/checkpoint-STEP.
std::filesystem::path checkpoint_path(const std::filesystem::path& output, int64_t step);

struct FoundCheckpoints {
  std::vector<Checkpoint> complete;  ///< by ascending step
  std::vector<Fault> ignored;        ///< folders named checkpoint-N that are not complete, and why
  bool own_ignored = false;          ///< whether one of those has a resume folder, as ours have
};

/// Looks at `checkpoint-N` folders (N without leading zeros). Complete is one whose manifest names
/// N, whose weight and resume files are all there in their sizes, and whose config.json is JSON:
/// bytes are not compared (compare_with_manifest does). Other names are not looked at; a missing
/// output folder holds none.
FoundCheckpoints find_checkpoints(const std::filesystem::path& output);
/// Why this folder is not the complete checkpoint of that step; nothing if it is.
std::optional<Fault> incomplete(const std::filesystem::path& checkpoint, int64_t step);

/// Removes what a killed run left in the output folder, and finishes a replacement that it had
/// begun. Call it at start, before find_checkpoints and with no other run writing there.
void remove_leftovers(const std::filesystem::path& output);

/// A checkpoint being written: fill path(), then commit(). Without a commit (an error, a full disk)
/// the destructor removes it.
class PendingCheckpoint {
 public:
  /// Creates the temporary folder (and the output folder) with an empty resume folder in it. Throws
  /// Error.
  PendingCheckpoint(std::filesystem::path output, int64_t step);
  ~PendingCheckpoint();
  PendingCheckpoint(const PendingCheckpoint&) = delete;
  PendingCheckpoint& operator=(const PendingCheckpoint&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path resume_path() const { return path_ / kResumeFolder; }
  /// Takes the sums of files that were taken while they were written: commit() need not read these
  /// again.
  void add(FileSums sums) { sums_.merge(std::move(sums)); }
  /// Makes it `checkpoint-N`, durable, and returns it. A complete checkpoint of that number is
  /// replaced, in one exchange where the file system can; anything else of that name is moved aside
  /// to `checkpoint-N.old` (then `.old2`, ...) with a notice.
  Checkpoint commit();

 private:
  std::filesystem::path output_;
  int64_t step_;
  std::filesystem::path path_;
  FileSums sums_;
};

/// `path`, or the first of PATH2, PATH3, ... that names nothing yet.
std::filesystem::path first_free(const std::filesystem::path& path);
/// Renames to the first free of NAME.old, NAME.old2, ..., which it returns. Throws Error.
std::filesystem::path moved_aside(const std::filesystem::path& path);

/// Deletes complete checkpoints, oldest first, until at most `save_total_limit` (< 1: no limit) are
/// left; `newest`, just written, is never deleted, whatever its number, nor is that of step `kept`:
/// with a limit of 1 both stay. Returns the steps deleted. What can't be deleted is a warning.
std::vector<int64_t> rotate_checkpoints(const std::filesystem::path& output,
                                        int64_t save_total_limit, const Checkpoint& newest,
                                        std::optional<int64_t> kept = std::nullopt);

/// Writes the final model into the output folder itself: `fill` gets a temporary folder, whose
/// files then replace those of the same names one by one. Weights come last and their index after
/// them; shards of an older model are removed. A kill leaves no torn file and no index that mixes
/// two models. Throws Error.
void publish_model(const std::filesystem::path& output,
                   const std::function<void(const std::filesystem::path&)>& fill);

}  // namespace lmms::checkpoint
