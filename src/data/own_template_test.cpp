// Records under the chat template of their checkpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/files.h"
#include "core/format.h"
#include "data/chat_processor.h"
#include "data/json_text.h"

namespace lmms::data {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kData = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data";

/// A tokenizer with the tokens of ChatML beside a template.
text::ChatTemplate chats_of(const std::string& jinja) {
  const fs::path folder = fs::temp_directory_path() / fmt::format("own_records_{}", ::getpid());
  fs::create_directories(folder);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
    fs::copy_file(kData / "tokenizer/chat" / name, folder / name,
                  fs::copy_options::overwrite_existing);
  write_atomically(folder / "chat_template.jinja", jinja);
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder).take();
  fs::remove_all(folder);
  return text::ChatTemplate::create(tokenizer, text::CheckpointTemplate::create(tokenizer).take(),
                                    {});
}

text::ChatTemplate family(const std::string& name) {
  return chats_of(read_file(kData / "chat_templates" / (name + ".jinja")).take());
}

Record record(const std::string& json) {
  return {.origin = {std::make_shared<const std::string>("a.jsonl"), 7},
          .fields = parse_json(json).take(),
          .data_folder = nullptr};
}

/// What is trained in brackets, or the fault.
std::string laid_out(const text::ChatTemplate& chats, const std::string& json) {
  const auto sample = ChatProcessor(chats).process(record(json));
  if (!sample) return sample.fault().text();
  std::string out;
  bool inside = false;
  for (size_t t = 0; t < sample->text.input_ids.size(); ++t) {
    const bool trained = t > 0 && sample->text.labels[t - 1] != kIgnore;
    if (trained != inside) out += trained ? "⟦" : "⟧";
    inside = trained;
    out += chats.tokenizer().bytes(sample->text.input_ids[t]);
  }
  return out + (inside ? "⟧" : "");
}

constexpr const char* kCalls = R"({"messages": [
    {"role": "user", "content": "Late?"},
    {"role": "assistant", "content": null, "tool_calls": [{"id": "abcdefgh1", "type": "function",
       "function": {"name": "now", "arguments": {"zone": "UTC"}}}]},
    {"role": "tool", "tool_call_id": "abcdefgh1", "name": "now", "content": "12:00"},
    {"role": "assistant", "content": "Noon."}],
    "tools": [{"type": "function", "function": {"name": "now", "description": "The time."}}]})";

TEST(OwnTemplate, sees_ids_and_tools_as_the_record_has_them) {
  EXPECT_EQ(laid_out(family("mistral_v3_tools"), kCalls),
            "[AVAILABLE_TOOLS] [{\"type\": \"function\", \"function\": {\"name\": \"now\", "
            "\"description\": \"The time.\"}}][/AVAILABLE_TOOLS][INST] Late?[/INST]"
            "⟦[TOOL_CALLS] [{\"name\": \"now\", \"arguments\": {\"zone\": \"UTC\"}, "
            "\"id\": \"abcdefgh1\"}]<|im_end|>⟧[TOOL_RESULTS] {\"content\": 12:00, \"call_id\": "
            "\"abcdefgh1\"}[/TOOL_RESULTS]⟦ Noon.<|im_end|>⟧");
}

TEST(OwnTemplate, sees_whether_a_content_is_null_absent_text_or_parts) {
  const auto chats = chats_of(
      "{% for m in messages %}[{{ m.role }}:{% if m.content is none %}none{% elif m.content is not "
      "defined %}absent{% elif m.content is string %}{{ m.content }}{% else %}{% for p in "
      "m.content "
      "%}<{{ p.text }}>{% endfor %}{% endif %}{{ m.name }}{{ 'calls' if m.tool_calls }}]"
      "{% endfor %}");
  const std::string calls = R"("tool_calls": [{"function": {"name": "f", "arguments": "{}"}}])";
  EXPECT_THAT(laid_out(chats, R"({"messages": [{"role": "user", "name": "Ann", "content": "a"},
                  {"role": "assistant", "content": null, )" +
                                  calls + R"(},
                  {"role": "assistant", )" +
                                  calls + R"(},
                  {"role": "user", "content": [{"type": "text", "text": "b"}, "c"]}]})"),
              HasSubstr("[user:aAnn]⟦[assistant:nonecalls][assistant:absentcalls]⟧[user:<b><c>]"));
}

TEST(OwnTemplate, refuses_a_record_in_the_words_of_the_template) {
  EXPECT_THAT(laid_out(family("gemma2"), R"({"messages": [{"role": "system", "content": "S"},
                  {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]})"),
              testing::AllOf(HasSubstr("a.jsonl:7: "), HasSubstr("chat_template.jinja:1:"),
                             HasSubstr("the template refuses this chat: No system turns here")));
  EXPECT_THAT(laid_out(family("zephyr"), kCalls), HasSubstr("a.jsonl:7: has tools, which"));
}

}  // namespace
}  // namespace lmms::data
