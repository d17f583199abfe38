#include "train/machine/finding.h"

#include <algorithm>

#include "core/format.h"

namespace lmms::train {

Finding fine(std::string section, std::string name, std::string text) {
  return {std::move(section), std::move(name), std::move(text), Mark::ok, "", ""};
}

void note(Finding& line, const std::string& what, const std::string& cure) {
  line.mark = std::max(line.mark, Mark::note);
  line.trouble += (line.trouble.empty() ? "" : "; ") + what;
  line.cure += (line.cure.empty() ? "" : "; ") + cure;
}

void trouble(Finding& line, const std::string& what, const std::string& cure) {
  note(line, what, cure);
  line.mark = Mark::trouble;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

}  // namespace lmms::train
