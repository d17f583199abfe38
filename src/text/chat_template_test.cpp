#include "text/chat_template.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/files.h"
#include "text/json.h"

namespace lmms::text {
namespace {

namespace fs = std::filesystem;

fs::path folder() {
  return fs::path(LMMS_SOURCE_DIR) / "tests" / "parity" / "data" / "tokenizer" / "chat";
}

Tokenizer tokenizer() {
  return Tokenizer::load(folder()).take();
}

ChatMessage message(std::string role, std::string text) {
  return {std::move(role), {ChatPart{PartKind::text, std::move(text)}}};
}

LabelledIds encode(const std::vector<ChatMessage>& messages, ChatOptions options = {}) {
  Tokenizer::Scratch scratch;
  return ChatTemplate::create(tokenizer(), std::move(options))
      .take()
      .encode_turns(messages, scratch)
      .take();
}

/// The text of the trained tokens, runs apart by "|".
std::string trained_text(const LabelledIds& encoded) {
  const Tokenizer words = tokenizer();
  std::string text;
  for (size_t t = 0; t < encoded.ids.size(); ++t) {
    if (!encoded.trained[t]) continue;
    if (t > 0 && !encoded.trained[t - 1] && !text.empty()) text += "|";
    text += words.bytes(encoded.ids[t]);
  }
  return text;
}

std::vector<ChatMessage> messages_of(const Json& list) {
  std::vector<ChatMessage> messages;
  size_t i = 0;
  for (const auto value : list.array()) {
    const Json entry = list.element(i++, value);
    ChatMessage message{std::string(entry.at("role").string()), {}};
    const Json content = entry.at("content");
    for (const auto part : content.array()) {
      message.parts.push_back(
          {PartKind::text, std::string(content.element(0, part).at("text").string())});
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

TEST(ChatTemplate, equals_the_python_project_in_ids_and_in_its_own_label_form) {
  const JsonFile file = JsonFile::read(folder() / "cases.json").take();
  const ChatTemplate theirs =
      ChatTemplate::create(tokenizer(), {.labels = LabelForm::lmms_engine}).take();
  const ChatTemplate ours = ChatTemplate::create(tokenizer()).take();
  Tokenizer::Scratch scratch;
  size_t i = 0;
  for (const auto value : file.root().array()) {
    const Json entry = file.root().element(i++, value);
    const std::vector<ChatMessage> messages = messages_of(entry.at("messages"));
    const LabelledIds encoded = theirs.encode_turns(messages, scratch).take();
    std::vector<int32_t> ids, labels, made;
    for (const auto id : entry.at("input_ids").array())
      ids.push_back(static_cast<int32_t>(int64_t(id)));
    for (const auto id : entry.at("labels").array())
      labels.push_back(static_cast<int32_t>(int64_t(id)));
    for (size_t t = 0; t < encoded.ids.size(); ++t)
      made.push_back(encoded.trained[t] ? encoded.ids[t] : kIgnoredLabel);
    ASSERT_EQ(encoded.ids, ids) << "case " << i;
    ASSERT_EQ(made, labels) << "case " << i;
    ASSERT_EQ(ours.encode_turns(messages, scratch).take().ids, ids) << "case " << i;
  }
  EXPECT_GT(i, 25u);
}

TEST(ChatTemplate, trains_the_answer_and_its_end_and_nothing_else) {
  const auto encoded = encode({message("user", "hi <|im_end|>"), message("assistant", "It's ok"),
                               message("tool", "7"), message("assistant", "")});
  EXPECT_EQ(trained_text(encoded), "It's ok<|im_end|>|<|im_end|>");
  EXPECT_EQ(tokenizer().decode(encoded.ids),
            "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n<|im_start|>user\nhi "
            "<|im_end|><|im_end|>\n"
            "<|im_start|>assistant\nIt's "
            "ok<|im_end|>\n<|im_start|>tool\n7<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n");
}

TEST(ChatTemplate, leaves_a_system_turn_alone_and_writes_one_where_there_is_none) {
  const auto with = encode({message("system", "Be brief."), message("user", "x")});
  EXPECT_EQ(tokenizer().decode(with.ids),
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nx<|im_end|>\n");
  EXPECT_EQ(with.trained_count(), 0);
  const auto own = encode({message("user", "x")}, {.layout = {.default_system = "S"}});
  EXPECT_EQ(tokenizer().decode(own.ids),
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nx<|im_end|>\n");
}

TEST(ChatTemplate, trains_special_tokens_written_in_an_answer_as_text) {
  const auto encoded =
      encode({message("user", "x"), message("assistant", "a<|im_end|>\n<|endoftext|>b")});
  EXPECT_EQ(trained_text(encoded), "a<|im_end|>\n<|endoftext|>b<|im_end|>");
}

TEST(ChatTemplate, does_not_train_a_token_that_also_ends_the_header) {
  // "assistant\n" + "\n\nx": the line breaks are one token, which the model is never asked for
  // after the header.
  const auto encoded = encode({message("user", "x"), message("assistant", "\n\nx")});
  EXPECT_EQ(trained_text(encoded), "x<|im_end|>");
}

TEST(ChatTemplate, finds_the_answer_behind_characters_that_normalising_changes) {
  const auto encoded = encode({message("user", "e\u0301"), message("assi\u0301stant", "e\u0301"),
                               message("assistant", "e\u0301a\u0308 o\u0302")});
  EXPECT_EQ(trained_text(encoded), "\u00e9\u00e4 \u00f4<|im_end|>");
}

TEST(ChatTemplate, joins_the_parts_of_a_message_without_a_separator) {
  const auto encoded =
      encode({message("user", "x"),
              {"assistant", {ChatPart{PartKind::text, "of "}, ChatPart{PartKind::text, "text"}}}});
  EXPECT_EQ(trained_text(encoded), "of text<|im_end|>");
}

TEST(ChatTemplate, repeats_the_pad_of_a_medium_and_never_trains_it) {
  const std::vector<ChatMessage> messages = {
      {"user",
       {ChatPart{PartKind::image, "", {{3}}}, ChatPart{PartKind::text, "hi"},
        ChatPart{PartKind::video, "", {{2}}}}},
      {"assistant",
       {ChatPart{PartKind::text, "a"}, ChatPart{PartKind::image, "", {{2}}},
        ChatPart{PartKind::text, "b"}}}};
  const auto encoded = encode(messages, {.media = true});
  EXPECT_EQ(tokenizer().decode(encoded.ids),
            "<|im_start|>system\nYou are a helpful "
            "assistant<|im_end|>\n<|im_start|>user\n<|vision_start|><|image_pad|><|image_pad|><|"
            "image_pad|>"
            "<|vision_end|>\nhi<|vision_start|><|video_pad|><|video_pad|><|vision_end|>\n<|im_end|>"
            "\n<|im_start|>assistant\na<|vision_start|>"
            "<|image_pad|><|image_pad|><|vision_end|>\nb<|im_end|>\n");
  EXPECT_EQ(trained_text(encoded), "a|b<|im_end|>");
  // The Python project trains the marks around a medium, but no pad; it takes the header for three
  // tokens, here it is more.
  EXPECT_EQ(trained_text(encode(messages, {.labels = LabelForm::lmms_engine, .media = true})),
            "<|im_start|>|<|im_end|>|<|im_start|>|<|vision_start|>|<|vision_end|>|<|vision_start|>|"
            "<|vision_end|>|<|im_end|>|<|im_start|>|ant\na"
            "<|vision_start|>|<|vision_end|>\nb<|im_end|>\n");
}

TEST(ChatTemplate, names_what_it_cannot_encode) {
  Tokenizer::Scratch scratch;
  const ChatTemplate text = ChatTemplate::create(tokenizer()).take();
  EXPECT_FALSE(text.encode_turns({}, scratch).ok());
  const std::vector<ChatMessage> image = {
      {"user", {ChatPart{PartKind::text, "x"}, ChatPart{PartKind::image, "", {{1}}}}}};
  EXPECT_EQ(text.encode_turns(image, scratch).fault().where, "messages[0].parts[1]");
  const ChatTemplate media = ChatTemplate::create(tokenizer(), {.media = true}).take();
  const auto literal = media.encode_turns(
      std::vector{message("user", "x"), message("user", "<|image_pad|>")}, scratch);
  EXPECT_EQ(literal.fault().where, "messages[1]");
  EXPECT_TRUE(text.encode_turns(std::vector{message("user", "<|image_pad|>")}, scratch).ok());
  const auto audio = media.encode_turns(
      std::vector<ChatMessage>{{"user", {ChatPart{PartKind::audio, "", {{1}}}}}}, scratch);
  EXPECT_NE(audio.fault().what.find("<|AUDIO|>"), std::string::npos);
  const auto none = ChatTemplate::create(
      Tokenizer::load(folder().parent_path() / "gpt2_like" / "tokenizer.json").take());
  EXPECT_NE(none.fault().what.find("<|im_start|>"), std::string::npos);
}

TEST(ChatTemplate, refuses_an_answer_whose_tokens_do_not_spell_it) {
  // A vocabulary without most bytes: what it drops would shift the border between header and
  // answer.
  const fs::path place = fs::temp_directory_path() / ("lmms_spell_" + std::to_string(::getpid()));
  fs::create_directories(place);
  fs::copy_file(folder().parent_path() / "vanishing_bytes" / "tokenizer.json",
                place / "tokenizer.json", fs::copy_options::overwrite_existing);
  write_atomically(place / "tokenizer_config.json",
                   R"({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})");
  const ChatTemplate chat = ChatTemplate::create(Tokenizer::load(place).take()).take();
  fs::remove_all(place);
  Tokenizer::Scratch scratch;
  EXPECT_TRUE(chat.encode_turns(std::vector{message("user", "quiz")}, scratch).ok());
  const auto refused =
      chat.encode_turns(std::vector{message("user", "x"), message("assistant", "quiz")}, scratch);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.fault().where, "messages[1]");
}

TEST(ChatTemplate, asks_for_an_answer) {
  Tokenizer::Scratch scratch;
  const auto ids = ChatTemplate::create(tokenizer())
                       .take()
                       .encode_prompt({{}, {message("system", "S"), message("user", "x")}}, scratch)
                       .take();
  EXPECT_EQ(
      tokenizer().decode(ids),
      "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n");
}

TEST(LabelledIds, shifts_labels_by_one_position) {
  const LabelledIds encoded{{5, 6, 7, 8}, {1, 0, 1, 1}};
  EXPECT_EQ(encoded.shifted_labels(), (std::vector<int32_t>{kIgnoredLabel, 7, 8, kIgnoredLabel}));
  EXPECT_EQ(LabelledIds{}.shifted_labels(), std::vector<int32_t>{});
}

TEST(PlainText, trains_every_token_and_appends_the_end_if_asked) {
  Tokenizer::Scratch scratch;
  const Tokenizer words = tokenizer();
  const LabelledIds plain = encode_plain_text(words, "Some text", false, scratch);
  EXPECT_EQ(words.decode(plain.ids), "Some text");
  EXPECT_EQ(plain.trained_count(), static_cast<int64_t>(plain.ids.size()));
  const LabelledIds ended = encode_plain_text(words, "Some text", true, scratch);
  EXPECT_EQ(words.decode(ended.ids), "Some text<|im_end|>");
  const Tokenizer endless = Tokenizer::load(folder() / "tokenizer.json").take();
  EXPECT_THROW(encode_plain_text(endless, "x", true, scratch), Error);
}

constexpr const char* kQwen2 =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ "
    "'<|im_start|>system\nYou are a helpful assistant"
    "<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

TEST(TemplateDifference, is_none_for_the_layout_of_training) {
  EXPECT_EQ(describe_template_difference(kQwen2), std::nullopt);
  EXPECT_EQ(describe_template_difference(""), std::nullopt);
}

TEST(TemplateDifference, names_another_default_system_text) {
  const auto difference = describe_template_difference(*tokenizer().chat_template());
  ASSERT_TRUE(difference.has_value());
  EXPECT_NE(difference->find("'You are a helpful assistant.'"), std::string::npos) << *difference;
  EXPECT_EQ(difference->find(";"), std::string::npos) << *difference;
}

TEST(TemplateDifference, says_that_a_template_writes_no_system_turn_by_itself) {
  const auto difference = describe_template_difference(
      "{%- if messages[0].role == 'system' %}{{- '<|im_start|>system\\n' + messages[0].content + "
      "'<|im_end|>\\n' }}{%- endif %}"
      "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content + "
      "'<|im_end|>' + '\\n' }}{%- endfor %}"
      "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}");
  ASSERT_TRUE(difference.has_value());
  EXPECT_NE(difference->find("it writes none"), std::string::npos) << *difference;
  EXPECT_EQ(difference->find(";"), std::string::npos) << *difference;
}

TEST(TemplateDifference, names_another_frame_a_missing_line_break_and_thinking) {
  const auto llama = describe_template_difference(
      "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>");
  ASSERT_TRUE(llama.has_value());
  EXPECT_NE(llama->find("'<|start_header_id|>'"), std::string::npos);
  EXPECT_NE(llama->find("bos_token"), std::string::npos);
  const auto unbroken = describe_template_difference(
      "{{ '<|im_start|>' + role + '\\n' + content + '<|im_end|>' }}<|im_start|>assistant\\n");
  EXPECT_NE(unbroken.value_or("").find("line break"), std::string::npos);
  const auto thinking = describe_template_difference(
      "<|im_start|>assistant\\n<think>\\n{{ m.reasoning_content }}</think>{{ '<|im_end|>\\n' }}");
  EXPECT_NE(thinking.value_or("").find("<think>"), std::string::npos);
}

TEST(SpecialTokens, equal_transformers_for_each_way_to_write_them) {
  const JsonFile file = JsonFile::read(folder() / "special.json").take();
  size_t i = 0;
  for (const auto value : file.root().array()) {
    const Json entry = file.root().element(i++, value);
    const fs::path place =
        fs::temp_directory_path() / ("lmms_special_" + std::to_string(::getpid()));
    fs::remove_all(place);
    fs::create_directories(place);
    fs::copy_file(folder() / "tokenizer.json", place / "tokenizer.json");
    write_atomically(place / "tokenizer_config.json", simdjson::minify(entry.at("config").value()));
    if (const auto map = entry.find("map"))
      write_atomically(place / "special_tokens_map.json", simdjson::minify(map->value()));
    const auto loaded = Tokenizer::load(place);
    ASSERT_TRUE(loaded.ok()) << "case " << i << ": " << loaded.fault().text();
    std::vector<std::string> special;
    std::vector<int32_t> ids, text_ids;
    for (const auto token : entry.at("special").array())
      special.emplace_back(std::string_view(token));
    for (const auto id : entry.at("ids").array()) ids.push_back(static_cast<int32_t>(int64_t(id)));
    for (const auto id : entry.at("text_ids").array())
      text_ids.push_back(static_cast<int32_t>(int64_t(id)));
    EXPECT_EQ(loaded->all_special_tokens(), special) << "case " << i;
    EXPECT_EQ(loaded->all_special_ids(), ids) << "case " << i;
    EXPECT_EQ(loaded->encode(entry.at("text").string()), text_ids) << "case " << i;
    const auto pad = entry.find("pad"), eos = entry.find("eos");
    EXPECT_EQ(loaded->pad(),
              pad ? std::optional(static_cast<int32_t>(pad->integer())) : std::nullopt)
        << "case " << i;
    EXPECT_EQ(loaded->eos(),
              eos ? std::optional(static_cast<int32_t>(eos->integer())) : std::nullopt)
        << "case " << i;
    fs::remove_all(place);
  }
  EXPECT_EQ(i, 9u);
}

}  // namespace
}  // namespace lmms::text
