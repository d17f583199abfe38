#pragma once
/// What tests of previews share.
#include <nlohmann/json.hpp>
#include <string>

namespace lmms::inspect::preview {

/// A line of JSONL: a question and its answer.
inline std::string chat(const std::string& question, const std::string& answer) {
  return nlohmann::json{{"messages",
                         {{{"role", "user"}, {"content", question}},
                          {{"role", "assistant"}, {"content", answer}}}}}
             .dump() +
         "\n";
}

/// The data that a page carries.
inline nlohmann::json page_data(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"page-data\">";
  const size_t begin = page.find(open) + open.size();
  return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

}  // namespace lmms::inspect::preview
