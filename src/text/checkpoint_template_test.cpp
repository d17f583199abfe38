// Chats as the checkpoint's own template writes them, and what of them is learnt; ids and masks
// against transformers' apply_chat_template (tests/parity/make_chat_templates.py).
#include "text/checkpoint_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/format.h"
#include "text/chat_template.h"
#include "text/template_choice.h"

namespace lmms::text {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;
using testing::ElementsAre;
using testing::HasSubstr;

const fs::path kData = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data";

/// A folder with the tokenizer of the tests and files of a chat template.
class Checkpoint {
 public:
  Checkpoint() : folder_(fs::temp_directory_path() / fmt::format("own_template_{}", ::getpid())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "additional_chat_templates");
    fs::copy(kData / "tokenizer/chat/tokenizer.json", folder_);
    json config = json::parse(read_file(kData / "tokenizer/chat/tokenizer_config.json").take());
    config["bos_token"] = "<|endoftext|>";
    config.erase("chat_template");
    put("tokenizer_config.json", config.dump());
  }
  ~Checkpoint() { fs::remove_all(folder_); }
  Checkpoint& put(const std::string& name, const std::string& text) {
    write_atomically(folder_ / name, text);
    return *this;
  }
  Tokenizer tokenizer() const { return Tokenizer::load(folder_).take(); }
  Result<CheckpointTemplate> own() const { return CheckpointTemplate::create(tokenizer()); }
  ChatTemplate chats() const { return ChatTemplate::create(tokenizer(), own().take(), {}); }
  const fs::path& folder() const { return folder_; }

 private:
  fs::path folder_;
};

std::string family(const std::string& name) {
  return read_file(kData / "chat_templates" / (name + ".jinja")).take();
}

ChatMessage message(std::string role, std::string text) {
  return {std::move(role), {ChatPart{PartKind::text, std::move(text)}}};
}

/// nullopt: the chat has what is read from no record.
std::optional<Chat> chat_of(const json& stored) {
  Chat chat;
  for (const auto& [key, value] : stored.items()) {
    if (key == "tools") {
      for (const json& tool : value) chat.tools.push_back(tool.dump());
    } else if (key != "messages") {
      return std::nullopt;
    }
  }
  for (const json& from : stored["messages"]) {
    ChatMessage to{.role = from["role"], .parts = {}, .content = ContentForm::absent};
    for (const auto& [key, value] : from.items()) {
      if (key == "content" && value.is_string()) {
        to.content = ContentForm::text;
        to.parts.push_back({.text = value});
      } else if (key == "content" && value.is_null()) {
        to.content = ContentForm::null;
      } else if (key == "content") {
        to.content = ContentForm::parts;
        for (const json& part : value) {
          if (part["type"] != "text") return std::nullopt;
          to.parts.push_back({.text = part["text"]});
        }
      } else if (key == "reasoning_content") {
        to.reasoning = value;
      } else if (key == "tool_call_id") {
        to.call_id = value;
      } else if (key == "name") {
        to.name = value;
      } else if (key == "tool_calls") {
        if (value.empty()) return std::nullopt;
        for (const json& call : value) {
          if (!call["function"]["arguments"].is_object()) return std::nullopt;
          to.calls.push_back({call["function"]["name"], call["function"]["arguments"].dump(),
                              std::nullopt, call["id"]});
        }
      } else if (key != "role") {
        return std::nullopt;
      }
    }
    chat.messages.push_back(std::move(to));
  }
  return chat;
}

template <class Bytes>
std::string fnv(const Bytes& bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const auto byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  return fmt::format("{:016x}", hash);
}

std::string words_of(const std::vector<int32_t>& ids) {
  std::string out;
  for (const int32_t id : ids)
    for (int i = 0; i < 4; ++i) out += static_cast<char>(static_cast<uint32_t>(id) >> 8 * i);
  return out;
}

TEST(CheckpointTemplate, makes_the_ids_and_the_mask_of_transformers) {
  const json stored = json::parse(read_file(kData / "chat_templates/results.json").take());
  for (const auto& [name, wanted] : stored["ids"].items()) {
    Checkpoint checkpoint;
    const ChatTemplate chats = checkpoint.put("chat_template.jinja", family(name)).chats();
    EXPECT_TRUE(chats.own()->marks_answers());
    Tokenizer::Scratch scratch;
    int checked = 0;
    for (size_t i = 0; i < stored["chats"].size(); ++i) {
      const auto chat = chat_of(stored["chats"][i]);
      if (!chat || wanted[i].is_null()) continue;
      const auto made = chats.encode(*chat, scratch);
      // what transformers leaves out of a chat in silence is a fault here
      if (!made && made.fault().what.find("would leave out") != std::string::npos) continue;
      ASSERT_TRUE(made.ok()) << name << " " << i << ": " << made.fault().text();
      SCOPED_TRACE(fmt::format("{} {}: {}", name, i, checkpoint.tokenizer().decode(made->ids)));
      // Where a template takes contents of one kind alone, the others are given as that kind.
      const bool of_parts = std::ranges::all_of(
          chat->messages, [](const ChatMessage& m) { return m.content == ContentForm::parts; });
      const bool some_parts = std::ranges::any_of(
          chat->messages, [](const ChatMessage& m) { return m.content == ContentForm::parts; });
      if (name == "llava" ? !of_parts : some_parts) continue;
      EXPECT_EQ(fnv(words_of(made->ids)), wanted[i][0].get<std::string>());
      EXPECT_EQ(fnv(made->trained), wanted[i][1].get<std::string>());
      ++checked;
    }
    EXPECT_GE(checked, name == "llava" ? 1 : 24) << name;
  }
}

/// The texts of the trained tokens, runs apart by "|".
std::string learnt(const ChatTemplate& chats, const Chat& chat) {
  Tokenizer::Scratch scratch;
  const auto made = chats.encode(chat, scratch);
  if (!made) return made.fault().text();
  std::string text;
  for (size_t t = 0; t < made->ids.size(); ++t) {
    if (!made->trained[t]) continue;
    if (t > 0 && !made->trained[t - 1] && !text.empty()) text += "|";
    text += chats.tokenizer().bytes(made->ids[t]);
  }
  return text + (made->rewritten > 0 ? fmt::format(" -{}", made->rewritten) : "");
}

std::string learnt(const std::string& name, const Chat& chat) {
  Checkpoint checkpoint;
  return learnt(checkpoint.put("chat_template.jinja", family(name)).chats(), chat);
}

Chat two_questions() {
  return {{},
          {message("user", "One?"), message("assistant", "Uno."), message("user", "Two?"),
           message("assistant", "Dos.")}};
}

TEST(CheckpointTemplate, finds_the_answers_of_a_template_without_marks) {
  const Chat chat = two_questions();
  EXPECT_EQ(learnt("chatml", chat), "Uno.<|im_end|>|Dos.<|im_end|>");
  EXPECT_EQ(learnt("qwen_vl", chat), "Uno.<|im_end|>|Dos.<|im_end|>");
  EXPECT_EQ(learnt("llama2", chat), " Uno. <|im_end|>| Dos. <|im_end|>");
  EXPECT_EQ(learnt("llama3_1_tools", chat), "Uno.<|eot_id|>|Dos.<|eot_id|>");
  EXPECT_EQ(learnt("mistral_v3_tools", chat), " Uno.<|im_end|>| Dos.<|im_end|>");
  EXPECT_EQ(learnt("gemma3", chat), "Uno.<end_of_turn>\n|Dos.<end_of_turn>\n");
  EXPECT_EQ(learnt("zephyr", chat), "Uno.<|im_end|>|Dos.<|im_end|>");
  EXPECT_EQ(learnt("vicuna", chat), " Uno.<|im_end|>| Dos.<|im_end|>");
  EXPECT_EQ(learnt("yi", chat), "Uno.<|im_end|>|Dos.<|im_end|>");
  EXPECT_EQ(learnt("command_r", chat), "Uno.<|END_OF_TURN_TOKEN|>|Dos.<|END_OF_TURN_TOKEN|>");
  EXPECT_EQ(learnt("falcon", chat), " Uno| Dos.") << "a token is the stop and the line break";
}

TEST(CheckpointTemplate, learns_no_end_that_generation_would_not_write) {
  // the last answer alone ends with <|return|>, or with an eos behind the chat
  EXPECT_EQ(learnt("phi3", two_questions()), "Uno.<|end|>\n|Dos.<|end|>\n<|im_end|>");
  // R1 asks for an answer with "<think>\n", and writes answers without it
  EXPECT_EQ(learnt("deepseek_r1", two_questions()),
            "Uno.<｜end▁of▁sentence｜>|Dos.<｜end▁of▁sentence｜>");
}

TEST(CheckpointTemplate, learns_earlier_answers_that_never_had_thoughts_and_none_that_lost_them) {
  EXPECT_EQ(learnt("qwen3_thinking", two_questions()),
            "Uno.<|im_end|>|<think>\n\n</think>\n\nDos.<|im_end|>");
  Chat thought = two_questions();
  thought.messages[1].reasoning = "One is uno.";
  thought.messages[3].reasoning = "Two is dos.";
  EXPECT_EQ(learnt("qwen3_thinking", thought),
            "<think>\nTwo is dos.\n</think>\n\nDos.<|im_end|> -1");
}

TEST(CheckpointTemplate, learns_calls_and_neither_tools_nor_results) {
  Chat chat{{R"({"type": "function", "function": {"name": "now", "parameters": {}}})"},
            {message("user", "Late?"), message("assistant", ""), message("tool", "12:00"),
             message("assistant", "Noon.")}};
  chat.messages[1].calls.push_back({"now", "{}", std::nullopt, "123456789"});
  chat.messages[1].content = ContentForm::null;
  chat.messages[2].call_id = "123456789";
  EXPECT_EQ(learnt("qwen3_thinking", chat),
            "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call><|im_end|>|"
            "<think>\n\n</think>\n\nNoon.<|im_end|>");
  EXPECT_EQ(
      learnt("mistral_v3_tools", chat),
      "[TOOL_CALLS] [{\"name\": \"now\", \"arguments\": {}, \"id\": \"123456789\"}]<|im_end|>|"
      " Noon.<|im_end|>");
  EXPECT_THAT(learnt("chatml", chat), HasSubstr("has tools, which the checkpoint's chat template"));
}

TEST(CheckpointTemplate, leaves_out_answers_that_are_not_to_be_trained) {
  Chat chat = two_questions();
  chat.messages[1].trained = false;
  EXPECT_EQ(learnt("chatml", chat), "Dos.<|im_end|>");
  EXPECT_EQ(learnt("olmo2", chat), "Dos.<|im_end|>");
  chat.messages[1].trained = true;
  chat.messages[3].trained = false;
  EXPECT_EQ(learnt("olmo2", chat), "Uno.<|im_end|>");
}

TEST(CheckpointTemplate, tells_marks_apart_where_it_refuses_beginnings_of_a_chat) {
  const std::string marks =
      "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
      "{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}";
  Chat chat = two_questions();
  chat.messages.insert(chat.messages.begin(), message("system", "Brief."));
  chat.messages[2].trained = false;
  Checkpoint checkpoint;
  checkpoint.put(
      "chat_template.jinja",
      "{% if messages | length == 1 %}{{ raise_exception('no user') }}{% endif %}" + marks);
  EXPECT_THAT(learnt(checkpoint.chats(), chat), testing::EndsWith("Dos."));
  EXPECT_THAT(learnt(checkpoint.chats(), chat), testing::Not(HasSubstr("Uno")));
  checkpoint.put(
      "chat_template.jinja",
      "{% if messages | length == 3 %}{{ raise_exception('three') }}{% endif %}" + marks);
  EXPECT_THAT(learnt(checkpoint.chats(), chat),
              testing::AllOf(HasSubstr("messages[2]: an answer that is not to be trained"),
                             HasSubstr("make a record of each answer")));
  chat.messages[2].trained = true;
  chat.messages[4].trained = false;
  EXPECT_THAT(learnt(checkpoint.chats(), chat), HasSubstr("Uno."));
  EXPECT_THAT(learnt(checkpoint.chats(), chat), testing::Not(HasSubstr("Dos")));
}

TEST(CheckpointTemplate, learns_an_earlier_answer_that_quotes_the_token_of_its_end) {
  Chat chat = two_questions();
  chat.messages[1].parts[0].text = "It is <|im_end|> there.";
  EXPECT_EQ(learnt("qwen3_thinking", chat),
            "It is <|im_end|> there.<|im_end|>|<think>\n\n</think>\n\nDos.<|im_end|>");
}

TEST(CheckpointTemplate, refuses_turns_of_a_role_that_it_does_not_write) {
  Chat chat = two_questions();
  chat.messages.insert(chat.messages.begin() + 1,
                       {message("assistant", "Let me see."), message("tool", "1")});
  for (const char* name : {"zephyr", "olmo2", "phi3"}) {
    EXPECT_THAT(learnt(name, chat), HasSubstr("messages[2] is a turn of role 'tool', which the "
                                              "checkpoint's chat template"))
        << name;
  }
  EXPECT_THAT(learnt("chatml", chat), HasSubstr("Dos."));
  chat.messages[2].parts[0].text = " \n";
  EXPECT_THAT(learnt("zephyr", chat), HasSubstr("Dos.")) << "nothing is lost";
  Checkpoint checkpoint;
  checkpoint.put("chat_template.jinja",
                 "{% for m in messages %}{% if m.role != 'system' or loop.first %}"
                 "{{ m.content | trim | upper if m.role == 'user' and 'Z9' not in m.content "
                 "else m.content }}{% endif %}{% endfor %}");
  Chat system = two_questions();
  system.messages.insert(system.messages.begin(), message("system", "Brief."));
  EXPECT_THAT(learnt(checkpoint.chats(), system), HasSubstr("Dos.")) << "texts may be altered";
  system.messages.insert(system.messages.begin() + 3, message("system", "Briefer."));
  EXPECT_THAT(learnt(checkpoint.chats(), system),
              HasSubstr("messages[3] is a turn of role 'system' that is not the first, which"));
}

TEST(CheckpointTemplate, refuses_numbers_that_it_would_be_given_otherwise) {
  Chat chat = two_questions();
  chat.messages[1].calls.push_back({"f", R"({"id": 18446744073709551615})"});
  EXPECT_THAT(learnt("qwen3_thinking", chat),
              HasSubstr("the arguments of a call of 'f': the whole number 18446744073709551615"));
  chat.messages[1].calls[0].arguments = R"({"id": 184467440737095516150})";
  EXPECT_THAT(learnt("qwen3_thinking", chat), HasSubstr("a whole one that is beyond 64 bits"));
  chat.messages[1].calls.clear();
  chat.tools = {R"({"id": 9223372036854775808})"};
  EXPECT_THAT(learnt("qwen3_thinking", chat), HasSubstr("tools[0]: the whole number 92233720"));
}

TEST(CheckpointTemplate, begins_with_an_answer_where_the_chat_does) {
  EXPECT_EQ(learnt("qwen2", {{}, {message("assistant", "I begin."), message("user", "And I.")}}),
            "I begin.<|im_end|>");
}

TEST(CheckpointTemplate, is_read_where_transformers_looks_for_it) {
  const std::string first = "{{ messages[0].content }}A{{ messages[1].content }}";
  Checkpoint checkpoint;
  checkpoint.put("chat_template.jinja", "{% for m in messages %}J{{ m.content }}{% endfor %}");
  EXPECT_EQ(learnt(checkpoint.chats(), two_questions()), "JUno.|JDos.");
  EXPECT_THAT(checkpoint.own()->where(), testing::EndsWith("chat_template.jinja"));
  checkpoint.put("additional_chat_templates/tool_use.jinja",
                 "{% for m in messages %}T{{ m.content }}{% endfor %}{{ tools and '' }}");
  Chat chat = two_questions();
  EXPECT_EQ(learnt(checkpoint.chats(), chat), "JUno.|JDos.");
  chat.tools = {"{}"};
  EXPECT_EQ(learnt(checkpoint.chats(), chat), "TUno.|TDos.");
  checkpoint.put("chat_template.json",
                 R"({"chat_template": "{% for m in messages %}P{{ m.content }}{% endfor %}"})");
  EXPECT_EQ(learnt(checkpoint.chats(), two_questions()), "PUno.|PDos.");
}

TEST(CheckpointTemplate, says_where_it_cannot_be_read_or_is_of_no_use) {
  Checkpoint checkpoint;
  const auto fault = [&](const std::string& jinja) {
    const auto own = checkpoint.put("chat_template.jinja", jinja).own();
    return own ? "" : own.fault().text();
  };
  EXPECT_THAT(fault("{{ messages }}\n{% do x %}"),
              HasSubstr("chat_template.jinja:2:4: the tag '{% do %}' is not among those"));
  EXPECT_THAT(fault("{{ messages[0].content.nothing.at_all }}"),
              HasSubstr("chat_template.jinja:1:31: 'nothing' is undefined"));
  EXPECT_THAT(fault("nothing of the chat"), HasSubstr("it does not write both"));
  EXPECT_THAT(fault("{{ messages | tojson }}"), HasSubstr("it does not write both"));
}

TEST(CheckpointTemplate, is_told_one_day_where_it_asks_for_the_day) {
  Checkpoint checkpoint;
  const auto own = checkpoint.put("chat_template.jinja", family("mistral_tekken")).own().take();
  EXPECT_THAT(own.notices(), ElementsAre(HasSubstr("2024-07-26")));
  EXPECT_THAT(own.write(two_questions()).take().text, HasSubstr("Today is 2024-07-26"));
  EXPECT_TRUE(
      checkpoint.put("chat_template.jinja", family("llama3_2_vision")).own()->notices().empty());
}

TEST(CheckpointTemplate, puts_media_where_it_has_a_place_for_them) {
  Checkpoint checkpoint;
  checkpoint.put("chat_template.jinja", family("qwen_vl"));
  const auto chats =
      ChatTemplate::create(checkpoint.tokenizer(), checkpoint.own().take(), {.media = true});
  EXPECT_TRUE(chats.own()->takes_images("<|image_pad|>"));
  Chat chat{{}, {message("user", "What?"), message("assistant", "A cat.")}};
  const ChatPart image{.kind = PartKind::image, .pads = {PadRun{3}}};
  const ChatPart video{.kind = PartKind::video, .pads = {PadRun{2, "<1s>"}, PadRun{1, "<2s>"}}};
  chat.messages[0].parts.insert(chat.messages[0].parts.begin(), {image, video});
  Tokenizer::Scratch scratch;
  const auto text = [&] {
    const auto made = chats.encode(chat, scratch);
    return made ? checkpoint.tokenizer().decode(made->ids) : made.fault().text();
  };
  EXPECT_THAT(text(), HasSubstr("user\n<|vision_start|><|image_pad|><|image_pad|><|image_pad|>"
                                "<|vision_end|><1s><|vision_start|><|video_pad|><|video_pad|>"
                                "<|vision_end|><2s><|vision_start|><|video_pad|><|vision_end|>"
                                "What?<|im_end|>\n"));
  EXPECT_EQ(learnt(chats, chat), "A cat.<|im_end|>");
  chat.messages[0].parts[2].text = "quoted <|image_pad|>";
  EXPECT_THAT(text(), HasSubstr("messages[0].parts[2]: a text contains '<|image_pad|>'"));
}

TEST(TemplateChoice, tells_a_template_that_writes_what_the_layout_writes) {
  Checkpoint checkpoint;
  const auto same = [&](const std::string& jinja, ChatOptions options = {}) {
    checkpoint.put("chat_template.jinja", jinja);
    options.tools = tool_layout(jinja);
    const auto built_in = ChatTemplate::create(checkpoint.tokenizer(), options).take();
    const auto own = ChatTemplate::create(checkpoint.tokenizer(), checkpoint.own().take(), options);
    return lay_out_the_same(built_in, own);
  };
  EXPECT_TRUE(same(family("qwen2")));
  EXPECT_TRUE(same(family("chatml")));
  EXPECT_FALSE(same(family("qwen3_thinking")));
  EXPECT_FALSE(same(family("zephyr")));
  EXPECT_FALSE(same(family("qwen_vl"), {.media = true})) << "no line break behind an image";
}

}  // namespace
}  // namespace lmms::text
