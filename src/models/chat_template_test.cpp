// Whether chats are laid out by the checkpoint's own template or by the layout of the
// processor_type.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/format.h"
#include "models/processor_entry.h"

namespace lmms::models {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kData = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data";

std::string family(const std::string& name) {
  return read_file(kData / "chat_templates" / (name + ".jinja")).take();
}

/// What lays chats out beside a tokenizer with the tokens of ChatML and a template: "builtin",
/// "own", or the text of the error.
class ChatTemplateChoice : public testing::Test {
 protected:
  ChatTemplateChoice()
      : folder_(fs::temp_directory_path() / fmt::format("template_choice_{}", ::getpid())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
      fs::copy(kData / "tokenizer/chat" / name, folder_);
  }
  ~ChatTemplateChoice() override { fs::remove_all(folder_); }

  std::string choice(const std::string& jinja, const std::string& wanted = "",
                     const text::TurnLayout& layout = {}, bool media = false,
                     bool labels = false) const {
    write_atomically(folder_ / "chat_template.jinja", jinja);
    const text::Tokenizer tokenizer = text::Tokenizer::load(folder_).take();
    config::Value::Map arguments;
    if (!wanted.empty())
      arguments.emplace_back(std::string(kChatTemplate), config::Value{std::string(wanted)});
    try {
      const auto chat = chat_template({.tokenizer = tokenizer,
                                       .folder = folder_,
                                       .extra_kwargs = config::Value{arguments},
                                       .compat = {.labels = labels}},
                                      layout, media);
      return chat.own() != nullptr ? "own" : "builtin";
    } catch (const Error& error) {
      return error.what();
    }
  }

  fs::path folder_;
};

TEST_F(ChatTemplateChoice, is_the_layout_where_the_template_writes_the_same) {
  EXPECT_EQ(choice(family("chatml")), "builtin");
  EXPECT_EQ(choice(family("qwen2")), "builtin") << "another default system turn is no other layout";
  EXPECT_EQ(choice(family("chatml"), "checkpoint"), "own");
}

TEST_F(ChatTemplateChoice, is_the_template_where_it_differs_or_marks_answers) {
  EXPECT_EQ(choice(family("qwen3_thinking")), "own");
  EXPECT_EQ(choice(family("zephyr")), "own");
  EXPECT_EQ(choice(family("zephyr"), "builtin"), "builtin");
  EXPECT_EQ(choice(family("zephyr"), "", {}, false, /*labels=*/true), "builtin");
  EXPECT_EQ(choice("{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}{% generation %}"
                   "{{ m.content + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}{% endfor %}"),
            "own");
}

TEST_F(ChatTemplateChoice, is_the_template_where_the_tokenizer_lacks_the_tokens_of_the_layout) {
  text::TurnLayout llama;
  llama.start = "<|start_header_id|>";
  llama.end = "<|eot_id|>";
  EXPECT_EQ(choice(family("mistral_v3_tools"), "", llama), "own");
  EXPECT_THAT(choice(family("mistral_v3_tools"), "builtin", llama),
              HasSubstr("no added token '<|start_header_id|>'"));
}

TEST_F(ChatTemplateChoice, is_the_layout_for_images_that_the_template_has_no_place_for) {
  EXPECT_EQ(choice(family("zephyr"), "", {}, /*media=*/true), "builtin");
  EXPECT_EQ(choice(family("qwen_vl"), "", {}, /*media=*/true), "own") << "no break behind an image";
  EXPECT_THAT(choice(family("zephyr"), "checkpoint", {}, /*media=*/true),
              HasSubstr("has no place '<|image_pad|>' for an image"));
}

TEST_F(ChatTemplateChoice, is_the_layout_where_no_template_is_called_default) {
  fs::create_directories(folder_ / "additional_chat_templates");
  write_atomically(folder_ / "additional_chat_templates/tool_use.jinja", family("qwen3_thinking"));
  nlohmann::json config =
      nlohmann::json::parse(read_file(folder_ / "tokenizer_config.json").take());
  config.erase("chat_template");
  write_atomically(folder_ / "tokenizer_config.json", config.dump());
  const auto made = [&](const std::string& wanted) -> std::string {
    config::Value::Map arguments;
    if (!wanted.empty())
      arguments.emplace_back(std::string(kChatTemplate), config::Value{std::string(wanted)});
    try {
      const auto chat = chat_template({.tokenizer = text::Tokenizer::load(folder_).take(),
                                       .folder = folder_,
                                       .extra_kwargs = config::Value{arguments},
                                       .compat = {}},
                                      {}, false);
      return chat.own() != nullptr ? "own" : "builtin";
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_EQ(made(""), "builtin");
  EXPECT_THAT(made("checkpoint"), testing::AllOf(HasSubstr("tool_use"), HasSubstr("'default'"),
                                                 HasSubstr("chat_template: builtin")));
}

TEST_F(ChatTemplateChoice, refuses_what_is_not_read_of_the_template) {
  EXPECT_THAT(choice("{% for m in messages %}{{ m.content | xmlattr }}{% endfor %}"),
              testing::AllOf(HasSubstr("chat_template.jinja:1:39: the filter 'xmlattr'"),
                             HasSubstr("chat_template: builtin")));
  EXPECT_EQ(choice("{% include 'x' %}", "builtin"), "builtin");
  EXPECT_THAT(choice(family("zephyr"), "jinja"),
              HasSubstr("chat_template: expected builtin or checkpoint"));
  EXPECT_THAT(choice(family("zephyr"), "checkpoint", {}, false, /*labels=*/true),
              HasSubstr("compat: [labels]"));
}

}  // namespace
}  // namespace lmms::models
