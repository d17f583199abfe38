#include "checkpoint/checkpoint_dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "checkpoint/json_file.h"
#include "core/files.h"
#include "core/format.h"
#include "core/log.h"

namespace lmms::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kPending = ".tmp-checkpoint-";
constexpr std::string_view kDeleting = ".tmp-delete-";
constexpr std::string_view kPublishing = ".tmp-model-";
constexpr std::string_view kReplaced = ".tmp-replaced-";  // followed by the checkpoint's name

[[noreturn]] void fail(const fs::path& path, const std::string& doing, const std::string& reason) {
  throw Error(path.string(), doing + " failed: " + reason,
              "check that the folder may be written and the disk has room; what was saved before "
              "is whole",
              Exit::failed);
}

void rename_or_throw(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) fail(to, "renaming " + from.filename().string() + " to it", error.message());
}

void create_directories_or_throw(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail(path, "creating the folder", error.message());
}

void remove_or_warn(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) log::warning(fmt::format("{}: cannot be removed: {}", path.string(), error.message()));
}

/// What the folder holds, by name; nothing if there is no such folder.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    entries.push_back(entry->path());
  if (error && error != std::errc::no_such_file_or_directory)
    fail(folder, "reading the folder", error.message());
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// A name that no other folder of this process has.
std::string unique_suffix() {
  static std::atomic<uint64_t> counter{0};
  return fmt::format("{}-{}", ::getpid(), counter++);
}

/// N of "checkpoint-N"; nothing for other names, leading zeros or what does not fit.
std::optional<int64_t> step_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const std::string_view digits = name.substr(kPrefix.size());
  int64_t step = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || step < 0 || fmt::to_string(step) != digits) return std::nullopt;
  return step;
}

/// fsync of every file and folder below, deepest first, and of the folder itself.
void sync_tree(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory() && !entry.is_symlink())
      sync_tree(entry.path());
    else if (entry.is_regular_file())
      OutputFile(entry.path(), OutputFile::Open::append).sync();
  }
  sync_directory(folder);
}

/// Swaps two folders in one step. False where the file system cannot.
bool exchange(const fs::path& a, const fs::path& b) {
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return true;
  if (errno == EINVAL || errno == ENOSYS || errno == ENOTSUP) return false;
  fail(b, "exchanging it for " + a.filename().string(), std::strerror(errno));
}

/// Gives `fresh` the name of the complete checkpoint `target`. Without an exchange, a kill between
/// the two renames leaves
/// `.tmp-replaced-checkpoint-N`, which remove_leftovers takes back.
void replace(const fs::path& fresh, const fs::path& target) {
  if (exchange(fresh, target)) {
    sync_directory(target.parent_path());
    remove_or_warn(fresh);
    return;
  }
  const fs::path aside =
      target.parent_path() / (std::string(kReplaced) + target.filename().string());
  rename_or_throw(target, aside);
  rename_or_throw(fresh, target);
  sync_directory(target.parent_path());
  remove_or_warn(aside);
}

/// Renaming first means that no half-deleted folder is ever called checkpoint-N.
void remove_checkpoint(const fs::path& path) {
  const fs::path doomed =
      path.parent_path() /
      fmt::format("{}{}-{}", kDeleting, path.filename().string(), unique_suffix());
  std::error_code error;
  fs::rename(path, doomed, error);
  if (error)
    log::warning(fmt::format("{}: cannot be removed: {}", path.string(), error.message()));
  else
    remove_or_warn(doomed);
}

}  // namespace

std::optional<Fault> incomplete(const fs::path& checkpoint, int64_t step) {
  const std::string fix = "copy the checkpoint again whole, or remove it";
  const auto manifest = read_manifest(checkpoint);
  if (!manifest) return manifest.fault();
  if (manifest->step != step)
    return Fault{checkpoint.string(), "is the checkpoint of another step under this name",
                 "give it back its own name"};
  for (const auto& [name, sum] : manifest->files) {
    if (!is_read_by_runs(name)) continue;
    std::error_code error;
    const auto there = fs::file_size(checkpoint / name, error);
    if (error) return Fault{(checkpoint / name).string(), "is missing", fix};
    if (sum.bytes != there)
      return Fault{(checkpoint / name).string(),
                   fmt::format("has {} bytes, was saved with {}", there, sum.bytes), fix};
  }
  // a run does not need it, but whoever loads the model does
  const auto config = read_json_object(checkpoint / "config.json");
  if (!config) return Fault{config.fault().where, config.fault().what, fix};
  return std::nullopt;
}

fs::path first_free(const fs::path& path) {
  std::error_code ignored;
  fs::path free = path;
  for (int k = 2; fs::exists(fs::symlink_status(free, ignored)); ++k)
    free = path.string() + std::to_string(k);
  return free;
}

fs::path moved_aside(const fs::path& path) {
  fs::path aside = first_free(path.string() + ".old");
  rename_or_throw(path, aside);
  return aside;
}

FoundCheckpoints find_checkpoints(const fs::path& output) {
  FoundCheckpoints found;
  for (const auto& path : entries_of(output)) {
    const auto step = step_of(path.filename().string());
    std::error_code ignored;
    if (!step || !fs::is_directory(path, ignored)) continue;
    if (auto fault = incomplete(path, *step)) {
      found.ignored.push_back(std::move(*fault));
      found.own_ignored = found.own_ignored || fs::is_directory(path / kResumeFolder, ignored);
    } else {
      found.complete.push_back({*step, path});
    }
  }
  std::sort(found.complete.begin(), found.complete.end(),
            [](const Checkpoint& a, const Checkpoint& b) { return a.step < b.step; });
  return found;
}

void remove_leftovers(const fs::path& output) {
  for (const auto& path : entries_of(output)) {
    const std::string name = path.filename().string();
    if (name.starts_with(kReplaced)) {
      const std::string original = name.substr(kReplaced.size());
      std::error_code ignored;
      if (step_of(original) && !fs::exists(output / original, ignored))
        rename_or_throw(path, output / original);
      else
        remove_or_warn(path);
    } else if (name.starts_with(kPending) || name.starts_with(kDeleting) ||
               name.starts_with(kPublishing)) {
      remove_or_warn(path);
    }
  }
}

PendingCheckpoint::PendingCheckpoint(fs::path output, int64_t step)
    : output_(std::move(output)), step_(step) {
  path_ = output_ / fmt::format("{}{}-{}", kPending, step, unique_suffix());
  remove_or_warn(path_);
  create_directories_or_throw(resume_path());
}

PendingCheckpoint::~PendingCheckpoint() {
  if (!path_.empty()) remove_or_warn(path_);
}

Checkpoint PendingCheckpoint::commit() {
  const Checkpoint result{step_, checkpoint_path(output_, step_)};
  write_manifest(path_, step_, sums_);
  sync_tree(path_);
  std::error_code ignored;
  const bool there = fs::exists(fs::symlink_status(result.path, ignored));
  if (there && !incomplete(result.path, step_)) {
    replace(path_, result.path);
  } else {
    if (there)
      log::notice(fmt::format("{} was no complete checkpoint of this program: moved to {}",
                              result.path.string(), moved_aside(result.path).filename().string()));
    rename_or_throw(path_, result.path);
    sync_directory(output_);
  }
  path_.clear();
  return result;
}

fs::path checkpoint_path(const fs::path& output, int64_t step) {
  return output / fmt::format("{}{}", kPrefix, step);
}

std::vector<int64_t> rotate_checkpoints(const fs::path& output, int64_t save_total_limit,
                                        const Checkpoint& newest, std::optional<int64_t> kept) {
  std::vector<int64_t> removed;
  if (save_total_limit < 1) return removed;
  const auto complete = find_checkpoints(output).complete;
  auto left = static_cast<int64_t>(complete.size());
  for (const auto& checkpoint : complete) {
    if (left <= save_total_limit) break;
    if (checkpoint.step == newest.step || checkpoint.step == kept) continue;
    remove_checkpoint(checkpoint.path);
    removed.push_back(checkpoint.step);
    --left;
  }
  return removed;
}

void publish_model(const fs::path& output, const std::function<void(const fs::path&)>& fill) {
  const fs::path staging = output / fmt::format("{}{}", kPublishing, unique_suffix());
  remove_or_warn(staging);
  create_directories_or_throw(staging);
  struct Cleanup {
    const fs::path& path;
    ~Cleanup() { remove_or_warn(path); }
  } cleanup{staging};
  fill(staging);
  sync_tree(staging);

  const auto is_weights = [](const fs::path& name) {
    const std::string text = name.string();
    return text == "model.safetensors" ||
           (text.starts_with("model-") && text.ends_with(".safetensors"));
  };
  const fs::path index = "model.safetensors.index.json";
  std::vector<fs::path> others, weights;
  for (const auto& entry : fs::recursive_directory_iterator(staging)) {
    const fs::path name = entry.path().lexically_relative(staging);
    if (!entry.is_regular_file() || name == index) continue;
    (is_weights(name) ? weights : others).push_back(name);
  }
  const auto move_in = [&](const fs::path& name) {
    create_directories_or_throw((output / name).parent_path());
    rename_or_throw(staging / name, output / name);
  };
  for (const auto& name : others) move_in(name);
  std::error_code error;
  const bool sharded = fs::exists(staging / index, error);
  if (sharded) {  // no index may stand while the shards of two models stand side by side
    fs::remove(output / index, error);
    if (error) fail(output / index, "removing it", error.message());
    sync_directory(output);
  }
  for (const auto& name : weights) move_in(name);
  sync_directory(output);
  if (sharded) {
    move_in(index);
    sync_directory(output);
  }
  std::vector<fs::path> stale;
  for (const auto& path : entries_of(output)) {
    const fs::path name = path.filename();
    const bool kept = std::find(weights.begin(), weights.end(), name) != weights.end();
    if ((is_weights(name) && !kept) || (name == index && !sharded)) stale.push_back(name);
  }
  std::sort(stale.begin(), stale.end(), std::greater<>());  // the index before shards
  for (const auto& name : stale) remove_or_warn(output / name);
  sync_directory(output);
}

}  // namespace lmms::checkpoint
