#include "train/config_draft.h"

#include <algorithm>

#include "core/config/yaml.h"
#include "core/format.h"

namespace lmms::train {
namespace {

using config::Node;

constexpr size_t kColumns = 80;
constexpr size_t kFurthest = 40;  // column up to which comments of a section are aligned

struct Line {
  std::string text;
  std::string why;
  bool opens = false;  ///< a section
};

/// A comment, wrapped.
std::string comment_above(const std::string& why, size_t indent) {
  std::string out;
  const std::string margin(indent, ' ');
  for (size_t begin = 0; begin < why.size();) {
    size_t length = std::min(kColumns - indent - 2, why.size() - begin);
    if (begin + length < why.size()) {
      const size_t space = why.rfind(' ', begin + length);
      if (space != std::string::npos && space > begin) length = space - begin;
    }
    out += margin + "# " + why.substr(begin, length) + "\n";
    begin += length;
    while (begin < why.size() && why[begin] == ' ') ++begin;
  }
  return out;
}

/// A value behind its key: in the line where it has room there, else as a block.
std::string written(const std::string& key, const Node& value, size_t indent) {
  const std::string margin(indent, ' ');
  const std::string flow = config::write_flow(value);
  const bool fits = indent + key.size() + 2 + flow.size() <= kColumns;
  const bool nested = value.kind == Node::Kind::list && !value.items.empty() &&
                      value.items.front().kind == Node::Kind::map;
  if ((fits && !nested) || value.kind == Node::Kind::scalar || value.kind == Node::Kind::null)
    return margin + key + ": " + flow;
  std::string out = margin + key + ":";
  if (nested) {  // a source a line
    for (const Node& item : value.items) out += "\n" + margin + "  - " + config::write_flow(item);
    return out;
  }
  const std::string block = config::write_yaml(value);
  for (size_t begin = 0; begin < block.size();) {
    const size_t end = std::min(block.find('\n', begin), block.size());
    out += "\n" + margin + "  " + block.substr(begin, end - begin);
    begin = end + 1;
  }
  return out;
}

size_t last_line(const std::string& text) {
  const size_t end = text.rfind('\n');
  return text.size() - (end == std::string::npos ? 0 : end + 1);
}

/// The lines from `begin` to `end`, comments aligned where most of them have room.
std::string aligned(const std::vector<Line>& lines, size_t begin, size_t end) {
  size_t column = 0;
  for (size_t i = begin; i < end; ++i) {
    const size_t length = lines[i].text.size();
    const bool commented = !lines[i].why.empty() && lines[i].text.find('\n') == std::string::npos;
    if (commented && length <= kFurthest) column = std::max(column, length);
  }
  std::string out;
  for (size_t i = begin; i < end; ++i) {
    const Line& line = lines[i];
    const size_t indent = line.text.find_first_not_of(' ');
    const bool block = line.text.find('\n') != std::string::npos;
    const size_t at = std::max(column, last_line(line.text));
    if (line.why.empty()) {
      out += line.text + "\n";
    } else if (!block && at + 4 + line.why.size() <= kColumns) {
      out += fmt::format("{:<{}}  # {}\n", line.text, at, line.why);
    } else {
      out += comment_above(line.why, indent) + line.text + "\n";
    }
  }
  return out;
}

std::vector<std::string> parts_of(const std::string& key) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin <= key.size();) {
    const size_t end = std::min(key.find('.', begin), key.size());
    out.push_back(key.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

}  // namespace

void ConfigDraft::set(const std::string& key, Node value, std::string why) {
  for (Setting& setting : settings_) {
    if (setting.key != key) continue;
    setting.value = std::move(value);
    setting.why = std::move(why);
    return;
  }
  auto behind = settings_.end();  // of the innermost section that has keys already
  for (size_t dot = key.rfind('.'); dot != std::string::npos && behind == settings_.end();
       dot = dot == 0 ? std::string::npos : key.rfind('.', dot - 1)) {
    const std::string section = key.substr(0, dot + 1);
    for (auto at = settings_.begin(); at != settings_.end(); ++at) {
      if (at->key.starts_with(section)) behind = at + 1;
    }
  }
  settings_.insert(behind, {key, std::move(value), std::move(why)});
}

void ConfigDraft::set(const std::string& key, const char* text, std::string why) {
  set(key, config::to_node(std::string(text)), std::move(why));
}
void ConfigDraft::set(const std::string& key, const std::string& text, std::string why) {
  set(key, config::to_node(text), std::move(why));
}
void ConfigDraft::set(const std::string& key, bool value, std::string why) {
  set(key, config::to_node(value), std::move(why));
}
void ConfigDraft::set(const std::string& key, int64_t value, std::string why) {
  set(key, config::to_node(value), std::move(why));
}
void ConfigDraft::set(const std::string& key, double value, std::string why) {
  set(key, config::to_node(value), std::move(why));
}

void ConfigDraft::remove(std::string_view key) {
  std::erase_if(settings_, [&](const Setting& setting) { return setting.key == key; });
}

std::vector<std::string> ConfigDraft::words() const {
  std::vector<std::string> out;
  for (const Setting& setting : settings_)
    out.push_back(setting.key + "=" + config::write_flow(setting.value));
  return out;
}

std::string ConfigDraft::yaml(const std::vector<std::string>& head) const {
  std::vector<Line> lines;
  std::vector<std::string> open;  // the sections that the last line stands in
  for (const Setting& setting : settings_) {
    const std::vector<std::string> parts = parts_of(setting.key);
    size_t shared = 0;
    while (shared < open.size() && shared + 1 < parts.size() && open[shared] == parts[shared])
      ++shared;
    open.resize(shared);
    for (; open.size() + 1 < parts.size(); open.push_back(parts[open.size()]))
      lines.push_back({std::string(2 * open.size(), ' ') + parts[open.size()] + ":", "", true});
    lines.push_back({written(parts.back(), setting.value, 2 * open.size()), setting.why});
  }
  std::string out;
  for (const std::string& line : head) out += line.empty() ? "#\n" : "# " + line + "\n";
  if (!head.empty()) out += "\n";
  for (size_t begin = 0; begin < lines.size();) {  // one section of the first level after another
    size_t end = begin + 1;
    while (end < lines.size() && lines[end].text.front() == ' ') ++end;
    if (begin > 0 && lines[begin].opens) out += "\n";
    out += aligned(lines, begin, end);
    begin = end;
  }
  return out;
}

}  // namespace lmms::train
