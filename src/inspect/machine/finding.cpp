#include "inspect/machine/finding.h"

#include <algorithm>

#include "core/format.h"

namespace lmms::inspect {

Finding finding(std::string section, std::string name, std::string text) {
  return {std::move(section), std::move(name), std::move(text), Severity::ok, "", ""};
}

void add_note(Finding& line, const std::string& what, const std::string& cure) {
  line.severity = std::max(line.severity, Severity::note);
  line.trouble += (line.trouble.empty() ? "" : "; ") + what;
  line.cure += (line.cure.empty() ? "" : "; ") + cure;
}

void add_trouble(Finding& line, const std::string& what, const std::string& cure) {
  add_note(line, what, cure);
  line.severity = Severity::trouble;
}

std::string comma_list(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

}  // namespace lmms::inspect
