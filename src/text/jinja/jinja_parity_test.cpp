// Renderings against transformers' apply_chat_template (tests/parity/make_chat_templates.py).
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/format.h"
#include "text/jinja/template.h"

namespace lmms::text::jinja {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

const fs::path kFolder = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data/chat_templates";

const json& stored() {
  static const json results = json::parse(read_file(kFolder / "results.json").take());
  return results;
}

std::string fnv(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(kFolder))
    if (entry.path().extension() == ".jinja") out.push_back(entry.path().stem());
  std::sort(out.begin(), out.end());
  return out;
}

Result<Rendering> render(const Template& jinja, const json& chat, bool with_header) {
  Arena arena;
  std::vector<NamedValue> variables = {{"add_generation_prompt", Value::of(with_header)}};
  const auto add = [&](const json& members) {
    for (const auto& [name, value] : members.items())
      variables.push_back({arena.copy(name), parse_json(value.dump(), arena).take()});
  };
  add(stored()["tokens"]);
  add(chat);
  for (const char* name : {"tools", "documents"})
    if (!chat.contains(name)) variables.push_back({name, Value::none()});
  const json& today = stored()["today"];
  return jinja.render(variables, {Options::Date{today[0], today[1], today[2]}});
}

class Templates : public testing::TestWithParam<std::string> {};

TEST_P(Templates, write_and_refuse_what_they_do_in_transformers) {
  const std::string name = GetParam();
  const auto jinja =
      Template::parse(read_file(kFolder / (name + ".jinja")).take(), name + ".jinja").take();
  const json& chats = stored()["chats"];
  const json& hashes = stored()["hashes"][name];
  ASSERT_GE(chats.size(), 50u);
  ASSERT_EQ(hashes.size(), chats.size()) << "run tests/parity/make_chat_templates.py";
  bool first = true;
  for (size_t i = 0; i < chats.size(); ++i) {
    SCOPED_TRACE(chats[i].dump());
    const auto plain = render(jinja, chats[i], false), asked = render(jinja, chats[i], true);
    const auto text = [](const Result<Rendering>& r) { return r ? r->text : std::string("\1"); };
    EXPECT_EQ(fnv(text(plain) + '\0' + text(asked)), hashes[i].get<std::string>())
        << (plain ? plain->text : plain.fault().text());
    if (plain && std::exchange(first, false)) {
      EXPECT_EQ(plain->text, stored()["texts"][name].get<std::string>());
    }
    const auto marked = stored()["marked"].find(name);
    if (marked == stored()["marked"].end() || (*marked)[i].is_null()) continue;
    json spans = json::array();
    for (const Rendering::Span& span : plain->answers) spans.push_back({span.begin, span.end});
    EXPECT_EQ(spans, (*marked)[i]);
  }
  EXPECT_FALSE(first) << "no chat was written";
}

INSTANTIATE_TEST_SUITE_P(Families, Templates, testing::ValuesIn(names()),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace lmms::text::jinja
