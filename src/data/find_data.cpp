// Which files a path names, and which of them are for evaluation.
#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "core/format.h"
#include "core/nearest.h"
#include "data/formats.h"
#include "data/look.h"

namespace lmms::data {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMostEntries = 10'000;  // of folders that are looked through
constexpr int kDeepest = 3;              // folders below the one that is named

using Tokens = std::set<std::string>;

/// "chats_val-00000-of-00002.parquet": chats, val.
Tokens tokens_of(const std::string& stem) {
  Tokens out;
  std::string token;
  const auto end_token = [&] {
    const bool number =
        !token.empty() && std::all_of(token.begin(), token.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
    if (!token.empty() && !number && token != "of") out.insert(token);
    token.clear();
  };
  for (const char c : stem) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || byte >= 0x80) {
      token += static_cast<char>(std::tolower(byte));
    } else {
      end_token();
    }
  }
  end_token();
  return out;
}

/// What evaluation splits are called, the likeliest first, with a rank: 0 is the likeliest.
constexpr std::array<std::pair<const char*, int>, 8> kEvaluationNames = {{{"eval", 0},
                                                                          {"evaluation", 0},
                                                                          {"validation", 1},
                                                                          {"val", 1},
                                                                          {"valid", 1},
                                                                          {"dev", 2},
                                                                          {"heldout", 2},
                                                                          {"test", 3}}};

/// How likely a name is that of an evaluation split, 0 most; nullopt: it is none.
std::optional<int> evaluation_rank(const std::string& token) {
  for (const auto& [name, rank] : kEvaluationNames)
    if (token == name) return rank;
  return std::nullopt;
}

/// Whether a file may hold rows by its name: not what describes a data set, a checkpoint or a
/// project beside them.
bool may_hold_rows(const fs::path& file) {
  static const std::set<std::string> descriptions = {
      "config.json",       "dataset_info.json",  "dataset_infos.json", "dataset_dict.json",
      "state.json",        "trainer_state.json", "tokenizer.json",     "special_tokens_map.json",
      "added_tokens.json", "vocab.json",         "package.json",       "package-lock.json"};
  const std::string name = file.filename().string();
  return infer_format(file.string()) && !descriptions.contains(name) &&
         !name.ends_with("_config.json") && !name.ends_with(".index.json");
}

struct Named {
  Tokens rest;  ///< what is neither a split nor a number
  std::optional<int> evaluation;
  bool training = false;
};

Named named(const std::string& stem) {
  Named out;
  for (const std::string& token : tokens_of(stem)) {
    if (const auto rank = evaluation_rank(token)) {
      out.evaluation = std::min(out.evaluation.value_or(*rank), *rank);
    } else if (token == "train" || token == "training") {
      out.training = true;
    } else {
      out.rest.insert(token);
    }
  }
  return out;
}

SourceConfig source(const fs::path& path, Format format) {
  SourceConfig config;
  config.path = path.string();
  config.data_type = std::string(format_name(format));
  return config;
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code none;
    if (out.size() >= kMostEntries) break;
    if (at->is_regular_file(none) && may_hold_rows(at->path())) out.push_back(at->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

/// As a user would write it: without "./".
fs::path as_written(const fs::path& path) {
  return path.lexically_normal();
}

/// The evaluation split of a training file.
std::optional<SourceConfig> evaluation_beside(const fs::path& file) {
  const Named own = named(file.stem().string());
  if (own.evaluation) return std::nullopt;
  std::optional<fs::path> best;
  std::pair<int, int> best_score;
  for (const fs::path& other : files_in(folder_of(file))) {
    const Named its = named(other.stem().string());
    const bool fits = its.evaluation && (its.rest == own.rest || its.rest.empty());
    if (!fits || other.filename() == file.filename()) continue;
    const std::pair score(its.rest == own.rest ? 0 : 1, *its.evaluation);
    if (best && score >= best_score) continue;
    best = other;
    best_score = score;
  }
  if (!best && folder_of(file).filename() == "train") {  // train/x.jsonl, test/x.jsonl
    for (const auto& [split, rank] : kEvaluationNames) {
      const fs::path other = folder_of(file).parent_path() / split / file.filename();
      std::error_code none;
      if (!fs::is_regular_file(other, none)) continue;
      best = other;
      break;
    }
  }
  if (!best) return std::nullopt;
  const auto format = format_by_contents(best->string());
  if (!format) return std::nullopt;
  return source(as_written(*best), *format);
}

/// Files of one folder and format as one path: the file, the folder or a glob; else one by one.
std::vector<SourceConfig> sources_of_files(const std::vector<fs::path>& files, Format format) {
  std::vector<SourceConfig> each;
  for (const fs::path& file : files) each.push_back(source(as_written(file), format));
  if (files.size() == 1) return each;
  const fs::path folder = folder_of(files.front());
  const std::string suffix = files.front().extension().string();
  std::string front = files.front().filename().string();
  for (const fs::path& file : files) {
    if (folder_of(file) != folder || file.extension() != suffix) return each;
    const std::string name = file.filename().string();
    const auto [end, other] = std::mismatch(front.begin(), front.end(), name.begin(), name.end());
    front.erase(end, front.end());
  }
  const std::string pattern = (folder / (front + "*" + suffix)).string();
  const auto matched = files_of(pattern, format);
  if (!matched || matched->size() != files.size()) return each;
  const bool whole =
      front.empty() && format != Format::arrow && suffix == fmt::format(".{}", format_name(format));
  return {source(as_written(whole ? folder : fs::path(pattern)), format)};
}

/// All data files of a folder and those below it, in the order of their paths.
std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  size_t entries = 0;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (++entries > kMostEntries) break;
    std::error_code none;
    const bool hidden = at->path().filename().string().starts_with('.');
    if (at->is_directory(none) && (hidden || at.depth() >= kDeepest))
      at.disable_recursion_pending();
    if (!hidden && at->is_regular_file(none) && may_hold_rows(at->path()))
      out.push_back(at->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

/// Why files are passed over: "a.csv, b.csv and 3 more (csv beside jsonl)".
std::string passed_over(const std::vector<fs::path>& files, const std::string& why) {
  constexpr size_t kFew = 3;
  std::string out;
  for (size_t i = 0; i < std::min(kFew, files.size()); ++i)
    out += (i == 0 ? "" : ", ") + as_written(files[i]).string();
  if (files.size() > kFew) out += fmt::format(" and {} more", files.size() - kFew);
  return fmt::format("{} ({})", out, why);
}

/// Files of evaluation splits, by the rank of their names.
using EvaluationFiles = std::map<std::pair<int, Format>, std::vector<fs::path>>;

/// The likeliest split becomes the evaluation, if one path names its files.
void take_evaluation(FoundData& found, const EvaluationFiles& evaluation) {
  bool first = true;
  for (const auto& [key, files] : evaluation) {
    if (!std::exchange(first, false)) {
      found.not_used.push_back(passed_over(files, "another split is evaluated"));
      continue;
    }
    auto sources = sources_of_files(files, key.second);
    if (sources.size() == 1) {
      found.evaluation = std::move(sources.front());
    } else {
      found.without_evaluation =
          passed_over(files,
                      "not used: no one path names them; put them into a folder of their "
                      "own, and set dataset_config.eval_dataset_path to it");
    }
  }
}

/// A folder that `datasets.save_to_disk` wrote.
FoundData saved_folder(const fs::path& folder) {
  FoundData found{{source(as_written(folder), Format::arrow)}, std::nullopt, {}, {}};
  for (const auto& [split, rank] : kEvaluationNames) {
    std::error_code none;
    if (!fs::exists(folder / split / "state.json", none)) continue;
    if (found.evaluation) {
      found.not_used.push_back(passed_over({folder / split}, "another split is evaluated"));
    } else {
      found.evaluation = source(as_written(folder / split), Format::arrow);
    }
  }
  return found;
}

/// The files of one format in a folder, by what their names say.
struct FolderFiles {
  std::vector<fs::path> training, others;
  std::map<int, std::vector<fs::path>> evaluation;

  bool empty() const { return training.empty() && others.empty() && evaluation.empty(); }
};

FolderFiles files_of_format(const std::vector<fs::path>& all, const fs::path& folder,
                            Format format) {
  FolderFiles out;
  for (const fs::path& file : all) {
    if (infer_format(file.string()) != format) continue;
    Named name = named(file.stem().string());
    if (!name.evaluation && !name.training)  // test/0000.parquet
      name = named(folder_of(file).lexically_relative(folder).string());
    (name.training     ? out.training
     : name.evaluation ? out.evaluation[*name.evaluation]
                       : out.others)
        .push_back(file);
  }
  return out;
}

/// What is trained and evaluated of a folder's files of one format.
Result<FoundData> found_of(FolderFiles split, Format format) {
  std::vector<fs::path>& files = split.training.empty() ? split.others : split.training;
  if (files.empty()) {  // a folder of test.jsonl alone: someone wants just that
    for (auto& [rank, these] : split.evaluation)
      files.insert(files.end(), these.begin(), these.end());
    split.evaluation.clear();
  }
  Format kind = format;
  if (format == Format::json || format == Format::jsonl) {  // lines of objects may be called .json
    const auto real = format_by_contents(files.front().string());
    if (!real) return real.fault();
    kind = *real;
  }
  FoundData found{sources_of_files(files, kind), std::nullopt, {}, {}};
  if (!split.training.empty() && !split.others.empty())
    found.not_used.push_back(passed_over(split.others, "beside files that are called train"));
  EvaluationFiles evaluation;
  for (auto& [rank, these] : split.evaluation) evaluation[{rank, kind}] = std::move(these);
  take_evaluation(found, evaluation);
  return found;
}

Result<FoundData> find_in_folder(const fs::path& folder) {
  if (infer_format(folder.string()) == Format::arrow) return saved_folder(folder);
  const std::vector<fs::path> all = files_below(folder);
  for (const Format format :
       {Format::parquet, Format::jsonl, Format::json, Format::csv, Format::arrow}) {
    FolderFiles split = files_of_format(all, folder, format);
    if (split.empty()) continue;
    auto found = found_of(std::move(split), format);
    if (!found) return found.fault();
    std::map<Format, std::vector<fs::path>> rest;
    for (const fs::path& file : all) {
      const auto its = infer_format(file.string());
      if (its && *its != format) rest[*its].push_back(file);
    }
    for (const auto& [other, files] : rest) {
      found->not_used.push_back(
          passed_over(files, fmt::format("{} beside {}", format_name(other), format_name(format))));
    }
    return found;
  }
  return Fault{folder.string(), "the folder holds no parquet, jsonl, json, csv or arrow file",
               "name the data file, or a folder of them"};
}

}  // namespace

Result<FoundData> find_data(const std::string& path) {
  std::error_code none;
  if (fs::is_directory(path, none)) return find_in_folder(path);
  if (fs::exists(path, none)) {
    const auto format = format_by_contents(path);
    if (!format) return format.fault();
    return FoundData{{source(path, *format)}, evaluation_beside(path), {}, {}};
  }
  const auto files = files_of(path, Format::jsonl);
  if (!files) {
    const auto near = nearest_path(path);
    return Fault{path, files.fault().what,
                 near ? fmt::format("did you mean '{}'?", *near) : files.fault().fix};
  }
  const auto format = format_by_contents(files->front());
  if (!format) return format.fault();
  return FoundData{{source(path, *format)}, std::nullopt, {}, {}};
}

Result<FoundData> find_data(std::span<const std::string> paths) {
  if (paths.size() == 1) return find_data(paths.front());
  constexpr size_t kFew = 8;  // files that are listed one by one
  FoundData out;
  std::map<Format, std::vector<fs::path>> files;
  EvaluationFiles evaluation;
  for (const std::string& path : paths) {
    std::error_code none;
    if (!fs::is_regular_file(path, none)) {
      auto found = find_data(path);
      if (!found) return found.fault();
      for (SourceConfig& one : found->training) out.training.push_back(std::move(one));
      for (std::string& one : found->not_used) out.not_used.push_back(std::move(one));
      if (out.without_evaluation.empty()) out.without_evaluation = found->without_evaluation;
      if (!out.evaluation) {
        out.evaluation = std::move(found->evaluation);
      } else if (found->evaluation) {
        out.not_used.push_back(
            passed_over({found->evaluation->path}, "another split is evaluated"));
      }
      continue;
    }
    const auto format = format_by_contents(path);
    if (!format) return format.fault();
    const Named name = named(fs::path(path).stem().string());
    if (name.evaluation && !name.training) {
      evaluation[{*name.evaluation, *format}].emplace_back(path);
    } else {
      files[*format].emplace_back(path);
    }
  }
  if (files.empty() && out.training.empty()) {  // splits alone: someone wants just these
    for (auto& [key, these] : evaluation)
      files[key.second].insert(files[key.second].end(), these.begin(), these.end());
    evaluation.clear();
  }
  for (auto& [format, these] : files) {
    if (these.size() <= kFew) {
      for (const fs::path& file : these) out.training.push_back(source(as_written(file), format));
    } else {
      for (SourceConfig& one : sources_of_files(these, format))
        out.training.push_back(std::move(one));
    }
  }
  if (!evaluation.empty() && out.evaluation) {  // a file that is named counts more
    out.not_used.push_back(passed_over({out.evaluation->path}, "another split is evaluated"));
    out.evaluation.reset();
  }
  take_evaluation(out, evaluation);
  if (out.evaluation && !out.without_evaluation.empty())
    out.not_used.push_back(std::exchange(out.without_evaluation, ""));
  return out;
}

}  // namespace lmms::data
