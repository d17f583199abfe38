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

/// 40 lines of chats of many lengths; line 3 is broken, 5 has no answer, 7 has no message.
inline std::string chats_of_many_lengths() {
  std::string lines;
  for (int i = 1; i <= 40; ++i) {
    std::string answer;
    for (int k = 0; k < i * 37 % 29; ++k) answer += " word " + std::to_string(k);
    lines += i == 3   ? "{\"messages\": oops}\n"
             : i == 5 ? "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}\n"
             : i == 7
                 ? "{\"messages\": []}\n"
                 : chat("Question " + std::to_string(i) + "? \xE2\x98\x83\n\ttab", "So:" + answer);
  }
  return lines;
}

/// The data that a page carries.
inline nlohmann::json page_data(const std::string& page) {
  const std::string open = "<script type=\"application/json\" id=\"page-data\">";
  const size_t begin = page.find(open) + open.size();
  return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

}  // namespace lmms::inspect::preview
