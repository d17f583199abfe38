#include "report/run_files.h"

#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "checkpoint/finished.h"
#include "core/error.h"
#include "core/files.h"

namespace lmms::report {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kLastStep = int64_t{1} << 52;  // beyond it doubles skip integers
constexpr size_t kLongestName = 80;
constexpr uintmax_t kLargestConfig = 1 << 20;

constexpr size_t kMostEntries = 10'000;

std::set<std::string> checkpoints_in(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code none;
    if (name.starts_with("checkpoint-") && entry->is_directory(none)) names.insert(name);
    if (names.size() == kMostEntries) break;
  }
  return names;
}

std::set<std::string> samples_in(const fs::path& folder) {
  std::set<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder / "samples", error), end; !error && entry != end;
       entry.increment(error)) {
    names.insert("samples/" + entry->path().filename().string());
    if (names.size() == kMostEntries) break;
  }
  return names;
}

}  // namespace

struct RunFiles::Parser {
  simdjson::dom::parser json;
  std::vector<std::pair<std::string_view, double>> values;  // of a row
};

RunFiles::RunFiles(fs::path folder, ReadConfig read_config)
    : folder_(std::move(folder)),
      read_config_(std::move(read_config)),
      parser_(std::make_unique<Parser>()),
      metrics_file_(folder_ / "metrics.jsonl"),
      journal_file_(folder_ / "journal.jsonl") {}
RunFiles::RunFiles(RunFiles&&) noexcept = default;
RunFiles::~RunFiles() = default;

std::string RunFiles::name() const {
  if (config_ && !config_->run_name.empty()) return config_->run_name;
  std::error_code none;
  fs::path whole = fs::absolute(folder_, none).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();  // "out/" names out
  return whole.has_filename() ? whole.filename().string() : whole.string();
}

double RunFiles::last_write() const {
  return std::max(metrics_file_.modified(), journal_file_.modified());
}

bool RunFiles::update() {
  const LineTail::Change metrics = metrics_file_.read(
      [this] {
        steps_.clear();
        evaluations_.clear();
        unread_metrics_ = 0;
      },
      [this](std::string_view line) { add_metrics(line); });
  const LineTail::Change journal = journal_file_.read(
      [this] {
        journal_ = Journal();
        unread_journal_ = 0;
      },
      [this](std::string_view line) {
        if (!journal_.add(line)) ++unread_journal_;
      });
  const bool finished = checkpoint::finished_steps(folder_).has_value();
  const bool ended = std::exchange(finished_, finished) != finished;
  auto checkpoints = checkpoints_in(folder_);
  const bool other_checkpoints = checkpoints != checkpoints_;
  checkpoints_ = std::move(checkpoints);
  auto samples = samples_in(folder_);
  const bool other_samples = samples != samples_;
  samples_ = std::move(samples);
  const bool config = update_config();
  return metrics != LineTail::Change::none || journal != LineTail::Change::none || ended ||
         other_checkpoints || other_samples || config;
}

void RunFiles::add_metrics(std::string_view line) {
  simdjson::dom::object row;
  int64_t step = 0;
  if (parser_->json.parse(line.data(), line.size()).get(row) != simdjson::SUCCESS ||
      row["step"].get(step) != simdjson::SUCCESS || step < 0 || step > kLastStep) {
    ++unread_metrics_;
    return;
  }
  bool evaluation = false;
  auto& values = parser_->values;
  values.clear();
  for (const auto& [name, value] : row) {
    if (name == "step" || name.size() > kLongestName) continue;
    double number = 0;
    if (value.is_bool()) {
      number = value.get_bool().value_unsafe() ? 1 : 0;
    } else if (value.get(number) != simdjson::SUCCESS) {
      if (name.starts_with("eval_")) evaluation = true;  // null: not finite
      continue;
    }
    evaluation = evaluation || name.starts_with("eval_");
    values.emplace_back(name, number);
  }
  (evaluation ? evaluations_ : steps_).add(step, values);
}

bool RunFiles::update_config() {
  const fs::path path = folder_ / checkpoint::kConfigFile;
  std::error_code none;
  const uintmax_t size = fs::file_size(path, none);
  std::string text;
  if (!none && size <= kLargestConfig) {
    if (auto read = read_file(path)) text = *std::move(read);
  }
  if (text == config_text_) return false;
  config_text_ = std::move(text);
  config_.reset();
  if (config_text_.empty()) return true;
  try {
    config_ = read_config_(path);
  } catch (const std::exception&) {  // of another version, or torn: shown as text
  }
  return true;
}

}  // namespace lmms::report
