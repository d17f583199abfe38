#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/commands.h"
#include "core/clock.h"
#include "core/files.h"
#include "core/format.h"
#include "core/nearest.h"
#include "report/html/html.h"
#include "report/page.h"
#include "train/report_setup.h"

namespace lmms::app {
namespace {

namespace fs = std::filesystem;
using report::RunFiles;

/// Names of the folders in `folder` that hold a run.
std::vector<std::string> runs_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code none;
  for (fs::directory_iterator entry(folder, none), end; !none && entry != end;
       entry.increment(none)) {
    if (!entry->is_directory(none)) continue;
    if (!fs::exists(entry->path() / "metrics.jsonl", none)) continue;
    names.push_back(entry->path().filename().string());
    if (names.size() == 10'000) break;
  }
  std::sort(names.begin(), names.end());
  return names;
}

RunFiles open_run(const std::string& word) {
  fs::path folder = word;
  std::error_code none;
  if (fs::is_regular_file(folder, none)) {
    throw Error(word, "is a file; expected the output folder of a run",
                "lmms report " + (folder.has_parent_path() ? folder.parent_path().string() : "."));
  }
  if (!fs::is_directory(folder, none)) {
    const auto near = nearest_path(folder);
    throw Error(word, "no such folder",
                near ? fmt::format("did you mean '{}'?", *near)
                     : "name the output folder of a run (trainer_args.output_dir)");
  }
  RunFiles run(folder, train::config_facts);
  run.update();
  if (!run.found()) {
    const auto inside = runs_in(folder);
    throw Error(word, "holds no metrics.jsonl: no run has written into this folder",
                inside.empty() ? "name the output folder of a run (trainer_args.output_dir)"
                               : fmt::format("did you mean '{}'?", (folder / inside[0]).string()));
  }
  return run;
}

void write_report(const std::vector<std::string>& folders, std::string output) {
  std::vector<RunFiles> runs;
  for (const std::string& folder : folders) runs.push_back(open_run(folder));
  if (output.empty()) {
    output = folders.size() == 1 ? (fs::path(folders[0]) / "report.html").string() : "report.html";
  }
  write_atomically(output, report::render(runs, {.now = unix_seconds(), .running = {}}));
  std::printf("%s\n", report::html::file_link(output).c_str());
}

}  // namespace

void add_report(CLI::App& app, Outcome&) {
  CLI::App* command = app.add_subcommand(
      "report", "Write the report of a run as one HTML page, or lay several runs over each other");
  auto folders = std::make_shared<std::vector<std::string>>();
  auto output = std::make_shared<std::string>();
  command->add_option("folders", *folders, "output folders of runs")
      ->required()
      ->type_name("DIR [DIR ...]");
  command
      ->add_option("-o,--output", *output,
                   "where to write; left out: DIR/report.html, for several runs ./report.html")
      ->type_name("FILE");
  command->callback([folders, output] { write_report(*folders, *output); });
}

}  // namespace lmms::app
