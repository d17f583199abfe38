#include "report/page.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/config/schema.h"
#include "core/files.h"
#include "report/html/html.h"

namespace lmms::report::embedded {
extern const std::string_view page_css;
extern const std::string_view page_js;
extern const std::string_view plot_js;
}  // namespace lmms::report::embedded

namespace lmms::report {
namespace {

using Json = nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little, "columns are little-endian");

std::string base64(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out((bytes.size() + 2) / 3 * 4, '=');
  size_t to = 0;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t have = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (k < have ? std::to_integer<uint32_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k <= have; ++k) out[to + k] = kDigits[group >> (18 - 6 * k) & 63];
    to += 4;
  }
  return out;
}

template <class T>
std::string base64_of(const std::vector<T>& values) {
  return base64(std::as_bytes(std::span(values)));
}

/// Columns that the page does not draw: they say the same as others, or count what others rate.
bool is_drawn(std::string_view name) {
  constexpr std::string_view kLeftOut[] = {
      "epoch",           "supervised_tokens", "samples", "tokens_per_second_per_device",
      "mfu_lmms_engine", "skipped_samples",   "skipped"};
  return std::find(std::begin(kLeftOut), std::end(kLeftOut), name) == std::end(kLeftOut);
}

Json columns(const Table& table, bool all) {
  Json out{{"rows", table.rows()}, {"rows_per_point", table.rows_per_point()}};
  std::vector<double> steps(table.steps().begin(), table.steps().end());
  out["steps"] = base64_of(steps);
  out["columns"] = Json::object();
  for (const std::string& name : table.names())
    if (all || is_drawn(name)) out["columns"][name] = base64_of(table.column(name));
  return out;
}

Json skipped_steps(const Table& table) {
  constexpr size_t kMost = 5'000;
  Json steps = Json::array();
  const std::vector<float> column = table.column("skipped");
  for (size_t i = 0; i < column.size() && steps.size() < kMost; ++i)
    if (column[i] > 0) steps.push_back(table.steps()[i]);
  return steps;
}

std::pair<std::string, std::string> split(const std::string& line) {
  const size_t colon = std::min(line.find(": "), line.size());
  return {line.substr(0, colon), line.substr(std::min(colon + 2, line.size()))};
}

Json config_of(const RunFiles& run) {
  Json changed = Json::array();
  if (run.config()) {
    for (const std::string& line : run.config()->changes) {
      const auto [key, value] = split(line);
      changed.push_back({key, value});
    }
  }
  return {{"text", run.config_text()}, {"read", run.config().has_value()}, {"changed", changed}};
}

Json number(double x) {
  return std::isfinite(x) ? Json(x) : Json();
}

/// The journal's checkpoints with their `state`. One that is not in the folder was deleted if the
/// run says so, if it is the run that looks (`at_home`), or if others are there; else it is
/// "absent": a folder may have been copied without them.
Json checkpoints_of(const RunFiles& run, bool at_home) {
  Json out = run.journal().checkpoints;
  const auto there = [&](const Json& checkpoint) {
    return run.checkpoints().contains(checkpoint["path"].get<std::string>());
  };
  const bool some = std::any_of(out.begin(), out.end(), there);
  for (Json& checkpoint : out) {
    const bool deleted = checkpoint["deleted"].get<bool>() || at_home || some;
    checkpoint["state"] = there(checkpoint) ? "there" : deleted ? "deleted" : "absent";
    checkpoint.erase("deleted");
  }
  return out;
}

// A larger one stays a file beside the page, which shows its preview.
constexpr size_t kMostOfAGrid = 6'000'000;

/// The journal's grids of samples: `there` says whether the file is in the folder, `whole` is the
/// newest of those as a data: URL, the others have none.
Json grids_of(const RunFiles& run) {
  Json out = run.journal().grids;
  bool newest = true;
  for (auto grid = out.rbegin(); grid != out.rend(); ++grid) {
    const auto path = (*grid)["path"].get<std::string>();
    (*grid)["there"] = run.samples().contains(path);
    (*grid)["whole"] = "";
    if (!newest || !(*grid)["there"]) continue;
    newest = false;
    const auto file = read_file(run.folder() / path);
    if (!file || file->size() > kMostOfAGrid || !file->starts_with("\x89PNG")) continue;
    (*grid)["whole"] = "data:image/png;base64," + base64(std::as_bytes(std::span(*file)));
  }
  return out;
}

Json journal_of(const RunFiles& run, bool at_home) {
  const Journal& journal = run.journal();
  return {{"starts", journal.starts},
          {"start", journal.last_start},
          {"remarks", journal.remarks},
          {"remarks_left_out", journal.remarks_left_out},
          {"data", journal.data},
          {"generations", journal.generations},
          {"generations_left_out", journal.generations_left_out},
          {"pictures", journal.pictures},
          {"grids", grids_of(run)},
          {"grids_left_out", journal.grids_left_out},
          {"checkpoints", checkpoints_of(run, at_home)},
          {"checkpoints_left_out", journal.checkpoints_left_out},
          {"best", journal.best},
          {"end", journal.end},
          {"seconds", journal.seconds}};
}

Json run_of(const RunFiles& run, std::optional<bool> running) {
  std::error_code none;
  const auto folder = std::filesystem::absolute(run.folder(), none).lexically_normal();
  Json out{{"name", run.name()},
           {"folder", folder.string()},
           {"running", running ? Json(*running) : Json()},
           {"finished", run.finished()},
           {"last_write", run.last_write()},
           {"unread_lines", run.unread_lines()},
           {"epoch", number(run.steps().last("epoch"))},
           {"skipped_samples", number(run.steps().last("skipped_samples"))},
           {"skipped_steps", skipped_steps(run.steps())},
           {"train", columns(run.steps(), /*all=*/false)},
           {"evaluation", columns(run.evaluations(), /*all=*/true)},
           {"journal", journal_of(run, running.has_value())},
           {"config", config_of(run)}};
  out["epochs"] = Json();
  if (run.config() && run.config()->epochs) out["epochs"] = number(*run.config()->epochs);
  return out;
}

std::map<std::string, std::string> differing(const ConfigFacts& config, const ConfigFacts& from) {
  std::map<std::string, std::string> out;
  for (const std::string& line : config::differences(config.tree, from.tree))
    out.insert(split(line));
  return out;
}

/// [[key, value of each run]] for each key in which not all runs agree. A run whose config cannot
/// be read has null.
Json config_differences(std::span<const RunFiles> runs) {
  const RunFiles* first = nullptr;
  for (const RunFiles& run : runs)
    if (first == nullptr && run.config()) first = &run;
  if (first == nullptr) return Json::array();
  std::set<std::string> keys;
  std::map<std::string, std::string> of_first;
  std::vector<std::map<std::string, std::string>> of_each;
  std::vector<std::set<std::string>> without(runs.size());  // keys that only the first run has
  for (const RunFiles& run : runs) {
    of_each.emplace_back();
    if (!run.config()) continue;
    of_each.back() = differing(*run.config(), *first->config());
    for (const auto& [key, value] : of_each.back()) keys.insert(key);
    for (auto& [key, value] : differing(*first->config(), *run.config())) {
      keys.insert(key);
      if (!of_each.back().contains(key)) without[of_each.size() - 1].insert(key);
      of_first[key] = value;
    }
  }
  Json out = Json::array();
  for (const std::string& key : keys) {
    if (key == "trainer_args.output_dir" || key == "trainer_args.run_name") continue;  // the names
    Json values = Json::array();
    for (size_t i = 0; i < runs.size(); ++i) {
      const auto own = of_each[i].find(key);
      if (!runs[i].config()) {
        values.push_back(nullptr);
      } else if (own != of_each[i].end()) {
        values.push_back(own->second);
      } else {
        const auto shared = of_first.find(key);
        const bool has = shared != of_first.end() && !without[i].contains(key);
        values.push_back(has ? shared->second : "");
      }
    }
    out.push_back({key, values});
  }
  return out;
}

/// Names that tell the runs apart: what is named alike gets its folder.
void name_runs_apart(Json& runs) {
  std::map<std::string, int> count;
  for (const Json& run : runs) ++count[run["name"].get<std::string>()];
  for (Json& run : runs) {
    if (count[run["name"].get<std::string>()] > 1)
      run["name"] = run["name"].get<std::string>() + " (" + run["folder"].get<std::string>() + ")";
  }
}

}  // namespace

std::string render(std::span<const RunFiles> runs, const PageOptions& options) {
  Json page{{"now", options.now}, {"runs", Json::array()}};
  for (const RunFiles& run : runs)
    page["runs"].push_back(run_of(run, &run == runs.data() ? options.running : std::nullopt));
  name_runs_apart(page["runs"]);
  page["config_differences"] = runs.size() > 1 ? config_differences(runs) : Json::array();

  std::string title;
  for (const Json& run : page["runs"])
    title += (title.empty() ? "" : ", ") + run["name"].get<std::string>();
  const std::string data =
      page.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
  return html::page({.kind = "report",
                     .title = title,
                     .css = embedded::page_css,
                     .json = data,
                     .scripts = {embedded::plot_js, embedded::page_js}});
}

}  // namespace lmms::report
