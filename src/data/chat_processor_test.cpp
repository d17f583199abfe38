// From files of real chats to batches, with a real tokenizer.
#include "data/chat_processor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "data/data_testing.h"
#include "data/json_text.h"
#include "data/loader.h"

namespace lmms::data {
namespace {

using testing::HasSubstr;

text::Tokenizer tokenizer() {
  return text::Tokenizer::load(std::string(LMMS_SOURCE_DIR) + "/examples/chat_tiny/tokenizer")
      .take();
}

text::ChatTemplate chat_template() {
  return text::ChatTemplate::create(tokenizer()).take();
}

Record record(const std::string& json) {
  return {.origin = {std::make_shared<const std::string>("a.jsonl"), 7},
          .fields = parse_json(json).take(),
          .data_folder = nullptr};
}

/// Text of the targets.
std::string targets(const Sample& sample) {
  std::vector<int32_t> ids;
  for (const auto label : sample.text.labels) {
    if (label != kIgnore) ids.push_back(label);
  }
  return tokenizer().decode(ids);
}

TEST(ChatProcessor, trains_the_answers_of_a_chat_and_nothing_else) {
  const auto sample = ChatProcessor(chat_template())
                          .process(record(R"({"messages": [
                              {"role": "user", "content": "Hi there"},
                              {"role": "assistant", "content": "Hello!"}]})"))
                          .take();
  EXPECT_EQ(tokenizer().decode(sample.text.input_ids),
            "<|im_start|>system\nYou are a helpful assistant<|im_end|>\n"
            "<|im_start|>user\nHi there<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n");
  EXPECT_EQ(targets(sample), "Hello!<|im_end|>");
  EXPECT_EQ(sample.text.labels.size(), sample.text.input_ids.size());
  EXPECT_EQ(sample.origin.text(), "a.jsonl:7");
}

TEST(ChatProcessor, measures_what_it_makes) {
  const ChatProcessor processor(chat_template());
  const auto chat = record(R"({"prompt": "Hi", "response": "Yo"})");
  const auto measured = processor.measure(chat).take();
  const auto sample = processor.process(chat).take();
  EXPECT_EQ(measured.length, sample.length());
  EXPECT_TRUE(measured.media.empty());
  EXPECT_EQ(measured.sample->text.input_ids, sample.text.input_ids);
  EXPECT_EQ(tokenizer().encode(targets(sample)).size(), static_cast<size_t>(measured.supervised));
}

TEST(ChatProcessor, an_empty_conversation_has_no_token) {
  EXPECT_EQ(ChatProcessor(chat_template()).measure(record(R"({"messages": []})")).take().length, 0);
}

TEST(ChatProcessor, says_that_media_is_not_built_yet) {
  EXPECT_THAT(
      ChatProcessor(chat_template())
          .process(record(R"({"messages": [{"role": "user", "content":
                      [{"type": "image_url", "image_url": {"url": "a.png"}}]}]})"))
          .fault()
          .text(),
      HasSubstr(
          "a.jsonl:7: messages[0].content[0]: images ('a.png'): the processor takes text only"));
}

TEST(PlainTextProcessor, trains_every_token) {
  const PlainTextProcessor plain(tokenizer());
  const auto sample = plain.process(record(R"({"text": "Once upon a time"})")).take();
  EXPECT_EQ(tokenizer().decode(sample.text.input_ids), "Once upon a time");
  EXPECT_EQ(plain.measure(record(R"({"text": "Once upon a time"})")).take().supervised,
            sample.length() - 1);
  EXPECT_FALSE(plain.process(record(R"({"messages": []})")));
  const PlainTextProcessor ended(tokenizer(), /*append_eos=*/true);
  EXPECT_EQ(ended.process(record(R"({"text": "Once"})")).take().text.input_ids.back(),
            *tokenizer().eos());
}

/// The chats of an example, packed; every target as text, by sample.
TEST(ChatProcessor, packs_the_chats_of_an_example_without_loss) {
  DatasetOptions from;
  SourceConfig source;
  source.path = std::string(LMMS_SOURCE_DIR) + "/examples/chat_tiny/eval.jsonl";
  from.sources = {source};
  const std::shared_ptr<const Dataset> data = Dataset::open(from).take();
  LoaderOptions options;
  options.packing = PackingOptions{.strategy = PackingStrategy::balanced, .length = 512};
  options.policies.on_overlong = OnOverlong::truncate;
  options.epochs = 1;
  Loader loader(data, std::make_shared<ChatProcessor>(chat_template()), options);
  int64_t samples = 0, tokens = 0, rows = 0;
  while (const auto step = loader.next()) {
    samples += step->samples;
    tokens += step->tokens;
    rows += step->rows;
    EXPECT_EQ(step->skipped.total(), 0) << step->skipped.text();
  }
  EXPECT_EQ(samples, data->rows_per_epoch());
  EXPECT_GT(static_cast<double>(tokens), 0.9 * 512 * static_cast<double>(rows));
}

TEST(ChatProcessor, reads_the_same_chats_from_every_format) {
  const ChatProcessor processor(chat_template());
  for (const char* name : {"saved", "file.arrow", "part-0.parquet"}) {
    const auto path = fixture(name);
    const auto from = open_source(path, *infer_format(path)).take();
    EXPECT_EQ(targets(processor.process(from->read(3).take()).take()), "answer 3<|im_end|>")
        << name;
  }
  const auto text = open_source(fixture("json_text.parquet"), Format::parquet).take();
  EXPECT_EQ(targets(processor.process(text->read(2).take()).take()), "answer 2<|im_end|>");
}

TEST(ChatProcessor, serves_many_threads_at_once) {
  const ChatProcessor processor(chat_template());
  const auto chat = record(R"({"prompt": "What is the weather like?", "response": "Sunny."})");
  const auto expected = processor.process(chat).take().text.input_ids;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(processor.process(chat).take().text.input_ids, expected);
      }
    });
  }
}

}  // namespace
}  // namespace lmms::data
