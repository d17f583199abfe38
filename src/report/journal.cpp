#include "report/journal.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "checkpoint/json_file.h"
#include "core/format.h"

namespace lmms::report {
namespace {

using Json = nlohmann::json;

constexpr size_t kLongestText = 20'000;
constexpr size_t kMostRows = 1'000;  // of a table inside a record
constexpr size_t kMostPictures = 2'000;
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

/// Cut at a character's border.
std::string shortened(const std::string& text) {
  if (text.size() <= kLongestText) return text;
  size_t end = kLongestText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80) --end;
  return text.substr(0, end) + fmt::format(" … ({} more bytes)", text.size() - end);
}

const Json& at(const Json& object, const char* key) {
  static const Json none;
  const auto found = object.find(key);
  return found == object.end() ? none : *found;
}

Json text(const Json& value) {
  return value.is_string() ? shortened(value.get_ref<const std::string&>()) : "";
}

/// What a table says of a value: a text as it is, a number or a truth value written out.
Json shown(const Json& value) {
  if (value.is_number() || value.is_boolean()) return value.dump();
  return text(value);
}

Json number(const Json& value) {
  return value.is_number() && std::isfinite(value.get<double>()) ? value : Json();
}

Json flag(const Json& value) {
  return value.is_boolean() ? value : Json(false);
}

Json numbers(const Json& list) {
  Json out = Json::array();
  if (!list.is_array()) return out;
  for (const Json& value : list) {
    if (!number(value).is_number() || out.size() == kMostRows) return Json::array();
    out.push_back(value);
  }
  return out;
}

/// {name: text} or [[name, text]] as [[name, text]].
Json pairs(const Json& value) {
  Json out = Json::array();
  const auto add = [&](const Json& name, const Json& what) {
    if (out.size() < kMostRows) out.push_back(Json::array({text(name), shown(what)}));
  };
  if (value.is_object()) {
    for (const auto& [name, what] : value.items()) add(name, what);
  } else if (value.is_array()) {
    for (const Json& row : value)
      if (row.is_array() && row.size() == 2) add(row[0], row[1]);
  }
  return out;
}

Json sources(const Json& list) {
  Json out = Json::array();
  if (!list.is_array()) return out;
  for (const Json& source : list) {
    if (!source.is_object() || out.size() == kMostRows) continue;
    out.push_back({{"path", text(at(source, "path"))},
                   {"format", text(at(source, "format"))},
                   {"rows", number(at(source, "rows"))},
                   {"weight", number(at(source, "weight"))},
                   {"samples_per_epoch", number(at(source, "samples_per_epoch"))}});
  }
  return out;
}

Json data_counts(const Json& record) {
  Json edges = numbers(at(record, "length_edges"));
  Json counts = numbers(at(record, "length_counts"));
  if (edges.size() != counts.size() + 1) edges = counts = Json::array();
  Json skipped = Json::array();
  const Json& reasons = at(record, "skipped");
  if (reasons.is_object()) {
    for (const auto& [reason, what] : reasons.items()) {
      if (!what.is_object() || skipped.size() == kMostRows) continue;
      if (!number(at(what, "count")).is_number() || at(what, "count") <= 0) continue;
      skipped.push_back({{"reason", text(reason)},
                         {"count", at(what, "count")},
                         {"where", text(at(what, "first_where"))},
                         {"what", text(at(what, "first_what"))}});
    }
  }
  return {{"samples", number(at(record, "samples"))},
          {"tokens", number(at(record, "tokens"))},
          {"supervised_tokens", number(at(record, "supervised_tokens"))},
          {"length_edges", edges},
          {"length_counts", counts},
          {"skipped", skipped}};
}

Json keys(const Json& list) {
  Json out = Json::array();
  if (!list.is_array()) return out;
  for (const Json& key : list)
    if (key.is_string() && out.size() < 16) out.push_back(text(key));
  return out;
}

Json answers(const Json& list) {
  Json out = Json::array();
  if (!list.is_array()) return out;
  for (const Json& answer : list) {
    if (!answer.is_object() || out.size() == kMostRows) continue;
    out.push_back({{"prompt", text(at(answer, "prompt"))},
                   {"answer", text(at(answer, "answer"))},
                   {"tokens", number(at(answer, "tokens"))},
                   {"finished", flag(at(answer, "finished"))},
                   {"row", number(at(answer, "row"))},
                   {"expected", answer.contains("expected") ? text(answer["expected"]) : Json()},
                   {"right", flag(at(answer, "right"))},
                   {"pictures", keys(at(answer, "pictures"))}});
  }
  return out;
}

Json exact(const Json& count) {
  if (!count.is_object()) return Json();
  return {{"right", number(at(count, "right"))}, {"asked", number(at(count, "asked"))}};
}

/// Whether a page may show this as an image: what a recorder writes, and nothing that a browser
/// would fetch or run.
bool is_picture(const Json& url) {
  if (!url.is_string()) return false;
  const std::string& text = url.get_ref<const std::string&>();
  for (const std::string_view head : {"data:image/png;base64,", "data:image/jpeg;base64,"}) {
    if (text.starts_with(head))
      return text.size() <= kLongestText &&
             text.find_first_not_of(kBase64, head.size()) == std::string::npos;
  }
  return false;
}

/// A file of samples, relative to the run's folder: the names that a recorder gives, no way out.
Json sample_file(const Json& path) {
  if (!path.is_string()) return "";
  const std::string& name = path.get_ref<const std::string&>();
  constexpr std::string_view kFolder = "samples/", kEnd = ".png";
  if (!name.starts_with(kFolder) || !name.ends_with(kEnd) || name.size() > 80) return "";
  const std::string_view stem =
      std::string_view(name).substr(kFolder.size(), name.size() - kFolder.size() - kEnd.size());
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return std::all_of(stem.begin(), stem.end(), plain) ? Json(name) : Json("");
}

Json samples(const Json& record) {
  Json labels = Json::array();
  const Json& list = at(record, "labels");
  if (list.is_array()) {
    for (const Json& label : list)
      if (labels.size() < kMostRows) labels.push_back(shown(label));
  }
  return {{"path", sample_file(at(record, "path"))},
          {"preview", is_picture(at(record, "preview")) ? at(record, "preview") : Json("")},
          {"labels", labels},
          {"per_class", number(at(record, "per_class"))},
          {"columns", number(at(record, "columns"))},
          {"side", number(at(record, "side"))},
          {"how", text(at(record, "how"))},
          {"seconds", number(at(record, "seconds"))}};
}

/// The best checkpoint, or the one that the final model is of.
Json chosen(const Json& record) {
  return {{"path", text(at(record, "path"))},
          {"metric", text(at(record, "metric"))},
          {"value", number(at(record, "value"))}};
}

void erase_beyond(Json& list, double step) {
  auto& items = list.get_ref<Json::array_t&>();
  std::erase_if(items, [&](const Json& item) { return item["step"].get<double>() > step; });
}

/// Keeps the first, the last and every other one between.
size_t thin(Json& list) {
  Json kept = Json::array();
  for (size_t i = 0; i < list.size(); ++i)
    if (i % 2 == 0 || i + 1 == list.size()) kept.push_back(std::move(list[i]));
  const size_t gone = list.size() - kept.size();
  list = std::move(kept);
  return gone;
}

}  // namespace

void Journal::start(const Json& record, Json& common) {
  const double step = common["step"].is_number() ? common["step"].get<double>() : 0;
  if (step <= 0) {  // a training of its own: what stood before belongs to another one
    *this = Journal();
  } else {  // it goes on from a checkpoint: what was made after that is made again
    erase_beyond(generations, step);
    erase_beyond(grids, step);
    erase_beyond(checkpoints, step);
    if (best.is_object() && best["step"].get<double>() > step) best = Json();
  }
  end = Json();
  seconds_before_ = seconds;
  session_begin_ = common["time"].is_number() ? common["time"].get<double>() : 0;
  if (starts.size() < kMostRows) starts.push_back(common);
  const Json& parameters = at(record, "parameters");
  last_start = {{"versions", pairs(at(record, "versions"))},
                {"machine", pairs(at(record, "machine"))},
                {"table", pairs(at(record, "table"))},
                {"sources", sources(at(record, "sources"))},
                {"evaluation_sources", sources(at(record, "evaluation_sources"))},
                {"parameters",
                 {{"trained", number(parameters.is_object() ? at(parameters, "trained") : Json())},
                  {"all", number(parameters.is_object() ? at(parameters, "all") : Json())}}},
                {"total_steps", number(at(record, "total_steps"))},
                {"peak_flops_per_second", number(at(record, "peak_flops_per_second"))}};
}

bool Journal::add(std::string_view line) {
  const auto parsed = checkpoint::parse_json_object(line, "");
  if (!parsed) return false;
  const Json& record = *parsed;
  const Json kind = text(at(record, "kind"));
  Json common{{"time", number(at(record, "time"))}, {"step", number(at(record, "step"))}};
  if (common["step"].is_null()) common["step"] = 0;

  if (kind == "start") {
    start(record, common);
  } else if (kind == "warning" || kind == "notice") {
    common["kind"] = kind;
    common["text"] = text(at(record, "text"));
    remarks.push_back(std::move(common));
    if (remarks.size() > 500) {
      remarks.erase(100);
      ++remarks_left_out;
    }
  } else if (kind == "data") {
    data = data_counts(record);
  } else if (kind == "pictures") {
    const Json& some = at(record, "pictures");
    if (!some.is_object()) return true;
    for (const auto& [key, url] : some.items()) {
      if (pictures.size() < kMostPictures && key.size() <= 64 && is_picture(url))
        pictures[key] = url;
    }
  } else if (kind == "generation") {
    common["answers"] = answers(at(record, "answers"));
    common["exact"] = exact(at(record, "exact"));
    if (!generations.empty() && generations.back()["step"] >= common["step"])
      erase_beyond(generations, common["step"].get<double>() - 0.5);
    generations.push_back(std::move(common));
    if (generations.size() > 60) generations_left_out += thin(generations);
  } else if (kind == "samples") {
    common.update(samples(record));
    if (!grids.empty() && grids.back()["step"] >= common["step"])
      erase_beyond(grids, common["step"].get<double>() - 0.5);
    grids.push_back(std::move(common));
    if (grids.size() > 60) grids_left_out += thin(grids);
  } else if (kind == "checkpoint") {
    common["path"] = text(at(record, "path"));
    common["bytes"] = number(at(record, "bytes"));
    common["seconds"] = number(at(record, "seconds"));
    common["deleted"] = false;
    std::erase_if(checkpoints.get_ref<Json::array_t&>(), [&](const Json& old) {
      return old["path"] == common["path"] && common["path"] != "";
    });
    checkpoints.push_back(std::move(common));
    if (checkpoints.size() > 200) {
      checkpoints.erase(0);
      ++checkpoints_left_out;
    }
  } else if (kind == "checkpoint_deleted") {
    for (Json& checkpoint : checkpoints)
      if (checkpoint["path"] == text(at(record, "path"))) checkpoint["deleted"] = true;
  } else if (kind == "best") {
    best = chosen(record);
    best.update(common);
  } else if (kind == "end") {
    const Json state = text(at(record, "state"));
    common["state"] =
        state == "finished" || state == "interrupted" || state == "failed" ? state : Json("ended");
    common["text"] = text(at(record, "text"));
    const Json& model = at(record, "model");
    common["model"] = model.is_object() ? chosen(model) : Json();
    end = std::move(common);
  } else {
    return false;
  }
  const Json time = number(at(record, "time"));
  if (time.is_number()) {
    last_time = time.get<double>();
    if (session_begin_ > 0) seconds = seconds_before_ + std::max(0.0, last_time - session_begin_);
  }
  return true;
}

}  // namespace lmms::report
