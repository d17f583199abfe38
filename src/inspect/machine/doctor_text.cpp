#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "core/format.h"
#include "core/version.h"
#include "inspect/machine/doctor.h"

namespace lmms::inspect {
namespace {

struct MarkText {
  const char* word;
  const char* colour;  // of ECMA-48
};

MarkText text_of(Severity mark) {
  switch (mark) {
    case Severity::note:
      return {"note", "\x1b[33m"};
    case Severity::trouble:
      return {"TROUBLE", "\x1b[31m"};
    case Severity::ok:
      break;
  }
  return {"ok", "\x1b[32m"};
}

std::string coloured(const std::string& text, const char* colour, const Screen& screen) {
  return screen.colour ? colour + text + "\x1b[0m" : text;
}

/// Names of devices and files come from outside: a control character in them must not reach the
/// terminal.
std::string shown(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

/// Breaks the text at spaces; further lines begin `indent` columns in.
std::string wrapped(const std::string& text, size_t indent, const Screen& screen) {
  constexpr size_t kLeast = 24;
  if (screen.width <= 0) return text;
  const auto width = static_cast<size_t>(screen.width);
  const size_t room = width > indent + kLeast ? width - indent - 1 : kLeast;
  std::string out;
  size_t begin = 0;
  while (text.size() - begin > room) {
    size_t end = text.rfind(' ', begin + room);
    if (end == std::string::npos || end <= begin) end = text.find(' ', begin + room);
    if (end == std::string::npos) break;
    out += text.substr(begin, end - begin) + "\n" + std::string(indent, ' ');
    begin = end + 1;
  }
  return out + text.substr(begin);
}

constexpr size_t kMarkWidth = 9;

std::string line_of(const Finding& f, size_t name_width, const Screen& screen) {
  const MarkText mark = text_of(f.severity);
  const std::string word = fmt::format("{:<{}}", mark.word, kMarkWidth);
  const size_t indent = 2 + kMarkWidth + name_width + 2;
  return fmt::format("  {}{:<{}}{}\n", coloured(word, mark.colour, screen), shown(f.name),
                     name_width + 2, wrapped(shown(f.text), indent, screen));
}

/// Everything of one mark, with its cure.
std::string cures(const std::vector<Finding>& findings, Severity wanted, const Screen& screen) {
  std::string out;
  for (const Finding& f : findings) {
    if (f.severity != wanted) continue;
    const MarkText mark = text_of(f.severity);
    const std::string word = fmt::format("{:<{}}", mark.word, kMarkWidth);
    const std::string place = f.section == f.name ? f.name : f.section + ", " + f.name;
    const std::string said = shown(place) + ": " + shown(f.trouble);
    out += fmt::format("  {}{}\n", coloured(word, mark.colour, screen),
                       wrapped(said, 2 + kMarkWidth, screen));
    out += fmt::format("  {:<{}}{}\n", "", kMarkWidth,
                       wrapped("fix: " + shown(f.cure), 2 + kMarkWidth, screen));
  }
  return out;
}

int count(const Diagnosis& diagnosis, Severity mark) {
  return static_cast<int>(std::count_if(diagnosis.findings.begin(), diagnosis.findings.end(),
                                        [mark](const Finding& f) { return f.severity == mark; }));
}

std::string plural(int n, const char* word) {
  return fmt::format("{} {}{}", n, word, n == 1 ? "" : "s");
}

}  // namespace

std::string doctor_table(const Diagnosis& diagnosis, const Screen& screen) {
  size_t name_width = 0;
  for (const Finding& f : diagnosis.findings) name_width = std::max(name_width, f.name.size());
  std::string out, section;
  for (const Finding& f : diagnosis.findings) {
    if (f.section != section) out += (section.empty() ? "" : "\n") + f.section + "\n";
    section = f.section;
    out += line_of(f, name_width, screen);
  }
  const std::string notes = cures(diagnosis.findings, Severity::note, screen);
  const std::string troubles = cures(diagnosis.findings, Severity::trouble, screen);
  if (!notes.empty() || !troubles.empty()) out += "\nwhat can be better\n" + notes + troubles;
  if (!diagnosis.config_faults.empty()) out += "\nthe config\n" + diagnosis.config_faults + "\n";
  const int broken = count(diagnosis, Severity::trouble);
  const std::string verdict = !diagnosis.config_faults.empty()
                                  ? "the config cannot be trained as it is"
                              : broken > 0 ? "a run would fail or fall short"
                                           : "nothing is broken";
  return out + fmt::format("\n{}: {}, {}\n", verdict, plural(broken, "trouble"),
                           plural(count(diagnosis, Severity::note), "note"));
}

std::string doctor_json(const Diagnosis& diagnosis) {
  nlohmann::ordered_json findings = nlohmann::ordered_json::array();
  for (const Finding& f : diagnosis.findings) {
    nlohmann::ordered_json line{{"section", f.section},
                                {"name", f.name},
                                {"text", f.text},
                                {"mark", f.severity == Severity::trouble ? "trouble"
                                         : f.severity == Severity::note  ? "note"
                                                                         : "ok"}};
    if (f.severity != Severity::ok) {
      line["trouble"] = f.trouble;
      line["fix"] = f.cure;
    }
    findings.push_back(std::move(line));
  }
  const nlohmann::ordered_json all{{"lmms", kVersion},
                                   {"exit", static_cast<int>(diagnosis.exit)},
                                   {"troubles", count(diagnosis, Severity::trouble)},
                                   {"notes", count(diagnosis, Severity::note)},
                                   {"config_faults", diagnosis.config_faults},
                                   {"findings", std::move(findings)}};
  return all.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace lmms::inspect
