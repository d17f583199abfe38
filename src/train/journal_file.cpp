#include "train/journal_file.h"

#include <nlohmann/json.hpp>

#include "core/clock.h"
#include "core/error.h"
#include "core/files.h"

namespace lmms::train {
namespace {

std::string line_of(const char* kind, int64_t step, const nlohmann::json& record) {
  nlohmann::ordered_json out = {{"kind", kind}, {"time", unix_seconds()}, {"step", step}};
  out.update(record);
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

JournalFile::JournalFile()
    : listener_([this](log::Level level, const std::string& text) {
        if (level == log::Level::info) return;
        write(level == log::Level::warning ? "warning" : "notice", {{"text", text}});
      }) {}

void JournalFile::open(const std::filesystem::path& dir, int64_t step, nlohmann::json start) {
  const std::lock_guard lock(mutex_);
  path_ = dir / "journal.jsonl";
  step_ = step;
  std::string lines = ends_inside_a_line(*path_) ? "\n" : "";  // a kill tore it
  lines += line_of("start", step, start);
  append(lines + std::exchange(waiting_, {}));
}

void JournalFile::write(const char* kind, nlohmann::json record) {
  const std::lock_guard lock(mutex_);
  const std::string line = line_of(kind, step_, record);
  if (path_) {
    append(line);
  } else {
    waiting_ += line;
  }
}

void JournalFile::set_step(int64_t step) {
  const std::lock_guard lock(mutex_);
  step_ = step;
}

void JournalFile::append(const std::string& lines) {
  try {
    OutputFile file(*path_, OutputFile::Open::append);
    file.write(lines);
    file.close();
  } catch (const Error&) {  // metrics and checkpoints say it
  }
}

}  // namespace lmms::train
