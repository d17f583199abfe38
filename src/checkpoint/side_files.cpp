#include "checkpoint/side_files.h"

#include <algorithm>
#include <set>

#include "checkpoint/json_file.h"
#include "core/files.h"
#include "core/format.h"

namespace lmms::checkpoint {
namespace fs = std::filesystem;
namespace {

constexpr const char* kTemplates = "additional_chat_templates";

/// Belongs to a model, not to its tokenizer or processor.
bool is_of_model(const fs::path& name) {
  return name == "generation_config.json" || name.extension() == ".py";
}

/// A link to nowhere counts as there: whoever reads it is told.
bool is_file(const fs::directory_entry& entry) {
  std::error_code ignored;
  return entry.is_regular_file(ignored) || (entry.is_symlink(ignored) && !entry.exists(ignored));
}

}  // namespace

bool is_side_file(const fs::path& name) {
  static const std::set<std::string> kNames = {"added_tokens.json",
                                               "audio_tokenizer_config.json",
                                               "chat_template.jinja",
                                               "chat_template.json",
                                               "generation_config.json",
                                               "merges.txt",
                                               "preprocessor_config.json",
                                               "processor_config.json",
                                               "special_tokens_map.json",
                                               "tekken.json",
                                               "tokenizer.json",
                                               "tokenizer_config.json",
                                               "video_preprocessor_config.json",
                                               "vocab.json",
                                               "vocab.txt"};
  static const std::set<std::string> kExtensions = {".model", ".spm", ".tiktoken"};
  return kNames.contains(name.string()) || kExtensions.contains(name.extension().string());
}

std::vector<fs::path> side_files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failed;
  const auto config = read_json_object(folder / "config.json");
  const bool has_code = config && config->contains("auto_map");
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const fs::path name = entry.path().filename();
    if (is_file(entry) && (is_side_file(name) || (has_code && name.extension() == ".py")))
      files.push_back(name);
  }
  for (const auto& entry : fs::directory_iterator(folder / kTemplates, failed))
    if (is_file(entry) && entry.path().extension() == ".jinja")
      files.push_back(kTemplates / entry.path().filename());
  std::sort(files.begin(), files.end());
  return files;
}

Result<SideFiles> read_side_files(const fs::path& tokenizer_folder, const fs::path& model_folder) {
  SideFiles files;
  uint64_t total = 0;
  const auto read = [&](const fs::path& folder, auto wanted) -> std::optional<Fault> {
    for (const fs::path& name : side_files_of(folder)) {
      if (!wanted(name)) continue;
      const auto file = MappedFile::open(folder / name);
      if (!file) return file.fault();
      total += file->bytes().size();
      if (total > kMaxSideBytes)
        return Fault{(folder / name).string(),
                     fmt::format("with this file, those of the tokenizer and the processor come to "
                                 "more than {} MiB",
                                 kMaxSideBytes >> 20),
                     "it goes into every checkpoint: remove it from the folder, or rename it, if "
                     "it is no file of theirs"};
      files[name] = std::string(file->text());
    }
    return std::nullopt;
  };
  if (auto fault = read(tokenizer_folder, [&](const fs::path& name) {
        return model_folder.empty() || !is_of_model(name);
      }))
    return std::move(*fault);
  if (!model_folder.empty())
    if (auto fault = read(model_folder, is_of_model)) return std::move(*fault);
  return files;
}

}  // namespace lmms::checkpoint
