#include <algorithm>

#include "core/config/schema.h"
#include "core/format.h"

namespace lmms::config {
namespace {

/// `|` would end a cell.
std::string cell(std::string text) {
  for (size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2))
    text.insert(at, "\\");
  return text;
}

std::string section_of(const FieldText& text) {
  const size_t dot = text.key.rfind('.');
  return dot == std::string::npos ? "" : text.key.substr(0, dot);
}

}  // namespace

std::string meaning_text(Meaning meaning) {
  switch (meaning) {
    case Meaning::plain:
      return "";
    case Meaning::layout:
      return "speed or layout only";
    case Meaning::ignored:
      return "no meaning here";
    case Meaning::unbuilt:
      return "not built yet";
  }
  return "";
}

std::string help_text(const std::vector<FieldText>& texts) {
  std::string out;
  for (const FieldText& text : texts) {
    const std::string preset = text.is_required      ? ", required"
                               : text.preset.empty() ? ""
                                                     : ", default " + text.preset;
    const std::string kind = meaning_text(text.meaning);
    out += fmt::format("{}  {}{}{}\n    {}\n", text.key, text.type, preset,
                       kind.empty() ? "" : " (" + kind + ")", text.help);
  }
  return out;
}

std::string markdown_tables(const std::vector<FieldText>& texts) {
  std::vector<std::string> sections;
  for (const FieldText& text : texts) {
    const std::string section = section_of(text);
    if (std::find(sections.begin(), sections.end(), section) == sections.end())
      sections.push_back(section);
  }
  std::string out;
  for (const std::string& section : sections) {
    out += section.empty() ? "### Top level\n\n" : fmt::format("### `{}`\n\n", section);
    out += "| key | type | default | meaning |\n|---|---|---|---|\n";
    for (const FieldText& text : texts) {
      if (section_of(text) != section) continue;
      std::string help = text.help;
      for (const std::string& alias : text.aliases)
        help += fmt::format("; also spelled `{}`", alias);
      const std::string kind = meaning_text(text.meaning);
      if (!kind.empty()) help = fmt::format("*{}*: {}", kind, help);
      const std::string preset = text.is_required      ? "required"
                                 : text.preset.empty() ? ""
                                                       : fmt::format("`{}`", text.preset);
      out += fmt::format("| `{}` | {} | {} | {} |\n",
                         text.key.substr(section.empty() ? 0 : section.size() + 1), cell(text.type),
                         cell(preset), cell(help));
    }
    out += "\n";
  }
  if (!out.empty()) out.pop_back();
  return out;
}

}  // namespace lmms::config
