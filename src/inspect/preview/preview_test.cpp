#include "inspect/preview/preview.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <sstream>

#include "core/format.h"
#include "data/data_testing.h"
#include "inspect/preview/page.h"
#include "inspect/preview/preview_testing.h"
#include "inspect/preview/terminal.h"
#include "inspect/preview/token_text.h"
#include "models/processor_entry.h"

namespace lmms::inspect::preview {
namespace {

using data::TempFolder;
using testing::HasSubstr;
using testing::Not;

using Change = std::function<void(Input&)>;

Change on_bad_sample(data::OnBadSample policy) {
  return [=](Input& input) {
    input.data.on_bad_sample = input.loader.policies.on_bad_sample = policy;
  };
}

/// Tokens of a sample.
Change at_most(int64_t tokens, data::OnOverlong policy = data::OnOverlong::drop) {
  return [=](Input& input) {
    input.data.on_overlong = input.loader.policies.on_overlong = policy;
    input.loader.policies.max_length = tokens;
  };
}

Change packed(int64_t tokens) {
  return [=](Input& input) { input.loader.packing = data::PackingOptions{.length = tokens}; };
}

Change both(const Change& first, const Change& second) {
  return [=](Input& input) {
    first(input);
    second(input);
  };
}

/// chats_of_many_lengths(), bad samples skipped.
class Previewed : public testing::Test {
 protected:
  Previewed() {
    folder_.write("train.jsonl", chats_of_many_lengths());
    folder_.write("other.jsonl", chat("One?", "Two.") + "broken\n" + chat("Three?", "Four."));
  }

  Change of_sources(const std::vector<std::string>& files) const {
    return [this, files](Input& input) {
      input.sources.clear();
      for (const std::string& file : files) {
        data::SourceConfig source;
        source.path = folder_.path(file);
        input.sources.push_back(source);
      }
    };
  }
  Preview preview(const Change& change = {}, const Options& options = {}) const {
    const std::string tokenizer_folder = LMMS_SOURCE_DIR "/examples/chat_tiny/tokenizer";
    const auto tokenizer = text::Tokenizer::load(tokenizer_folder).take();
    Input input{.config = "config.yaml",
                .data = {},
                .sources = {},
                .evaluation = false,
                .processor = models::chat_processor().make({.tokenizer = tokenizer}),
                .tokenizer = tokenizer,
                .tokenizer_folder = tokenizer_folder,
                .loader = {}};
    input.data.processor.processor_type = "qwen2";
    on_bad_sample(data::OnBadSample::skip)(input);
    of_sources({"train.jsonl"})(input);
    if (change) change(input);
    return make_preview(input, options);
  }
  std::string show(const Change& change = {}, const Options& options = {},
                   TerminalOptions terminal = {}) const {
    return render_terminal(preview(change, options), {}, terminal);
  }

  TempFolder folder_;
};

TEST_F(Previewed, says_where_the_turns_are) {
  const Sample sample = preview().samples.front();
  ASSERT_EQ(sample.turns.size(), 3u);
  EXPECT_EQ(sample.turns[0].role, "system");
  EXPECT_EQ(sample.turns[1].role, "user");
  EXPECT_EQ(sample.turns[2].role, "assistant");
  EXPECT_EQ(sample.turns[0].begin, 0);
  EXPECT_EQ(sample.turns[1].begin, sample.turns[0].end);
  EXPECT_EQ(sample.turns[2].end, sample.tokens.size());
  EXPECT_EQ(sample.turns[1].trained, 0);
  EXPECT_EQ(sample.turns[2].trained, sample.trained_tokens);
}

TEST_F(Previewed, says_why_a_record_is_not_trained_and_what_decided) {
  const Options options{.named_rows = {"3", "5", "7", "4"}};
  const Preview preview = this->preview(at_most(40), options);
  ASSERT_EQ(preview.samples.size(), 4u);
  EXPECT_EQ(preview.samples[0].policy, "on_bad_sample: skip");
  EXPECT_EQ(preview.samples[1].reason, data::SkipReason::unsupervised);
  EXPECT_GT(preview.samples[1].tokens.size(), 0);
  EXPECT_EQ(preview.samples[2].reason, data::SkipReason::empty);
  EXPECT_EQ(preview.samples[3].reason, data::SkipReason::overlong);
  EXPECT_GT(preview.samples[3].tokens.size(), 40);
  EXPECT_TRUE(preview.rows.empty());

  const std::string text = show(at_most(40), options);
  for (const char* part :
       {"train.jsonl:3", "not trained, bad: not valid JSON", "(on_bad_sample:\nskip)",
        "not trained, unsupervised: no token of it is trained (under every policy)",
        "not trained, empty: no token", "not trained, overlong:", "the limit is 40",
        "(on_overlong: drop)", "0 samples trained", "4 records not trained"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(show(on_bad_sample(data::OnBadSample::fail), {.named_rows = {"3"}}),
              HasSubstr("training stops here, bad: not valid JSON"));
  EXPECT_THAT(show(at_most(40, data::OnOverlong::fail), {.named_rows = {"4"}}),
              HasSubstr("training stops here, overlong"));
}

TEST_F(Previewed, marks_trained_text_with_brackets_where_there_is_no_colour) {
  const std::string text = show({}, {.named_rows = {"2"}});
  EXPECT_THAT(text, HasSubstr("<|im_start|>assistant↵\n⟦So: word 0"));
  EXPECT_THAT(text, HasSubstr("<|im_end|>⟧↵\n"));
  EXPECT_THAT(text, HasSubstr("Question 2? ☃↵\n⇥tab"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST_F(Previewed, shows_ids_targets_and_positions) {
  const std::string text = show({}, {.named_rows = {"1"}}, {.ids = true});
  EXPECT_THAT(text, HasSubstr("0        <|im_start|>"));
  EXPECT_THAT(text, HasSubstr("  id     4094"));
  EXPECT_THAT(text, HasSubstr("  target ·"));
  EXPECT_THAT(text, HasSubstr("4095"));
}

TEST_F(Previewed, shows_the_target_behind_a_cut) {
  EXPECT_THAT(show(at_most(45, data::OnOverlong::truncate), {.named_rows = {"4"}}),
              testing::AllOf(HasSubstr("tokens cut to 45 (on_overlong: truncate)"),
                             HasSubstr("trained to predict what was cut off: ⟦")));
}

TEST_F(Previewed, leaves_out_the_middle_of_a_long_sample_and_says_so) {
  folder_.write("train.jsonl", chat("Long?", std::string(8000, '.') + "the end"));
  const std::string text = show();
  EXPECT_THAT(text, HasSubstr("tokens not shown; --full shows them]"));
  EXPECT_THAT(text, HasSubstr("the end"));
  const std::string full = show({}, {}, {.full = true});
  EXPECT_THAT(full, Not(HasSubstr("not shown")));
  EXPECT_GT(full.size(), 8000u);
}

TEST_F(Previewed, shows_how_full_rows_are) {
  const std::string text = show(packed(200), {.rows_per_source = 8});
  EXPECT_THAT(text, HasSubstr("rows of up to 200 tokens packed by first_fit"));
  EXPECT_THAT(text, HasSubstr("row 1   █"));
  EXPECT_THAT(text, HasSubstr(" / 200 tokens  samples 1 "));
  EXPECT_THAT(text, HasSubstr("These rows hold the samples shown"));
}

TEST_F(Previewed, reads_the_head_of_every_source_in_turn) {
  const Preview two = preview(of_sources({"train.jsonl", "other.jsonl"}));
  ASSERT_EQ(two.sources.size(), 2u);
  EXPECT_EQ(two.sources[0].shown, 3);
  EXPECT_EQ(two.sources[1].shown, 3);
  EXPECT_EQ(two.samples[3].source, 1);

  const Change many = of_sources(std::vector<std::string>(30, "train.jsonl"));
  const Preview some = preview(many);
  EXPECT_EQ(some.samples.size(), 24u);
  EXPECT_EQ(some.sources_left_out, 6);
  EXPECT_THAT(render_terminal(some, {}, {}), HasSubstr("and 6 more sources that are not shown"));
  EXPECT_EQ(preview(many, {.rows_per_source = 1}).samples.size(), 30u);
}

TEST_F(Previewed, lets_no_sample_steer_the_terminal) {
  // Neither in the words of an error, of a line that is no JSON and no UTF-8,
  folder_.write("train.jsonl", "{\"messages\": \x1b[2J\x1b]0;title\x07 \x9b 31m \xE2\x80\xAE}\n");
  const std::string wild = show();
  // nor in a text.
  folder_.write("train.jsonl", chat("\x1b[2J\x07 \xE2\x80\xAE right to left",
                                    "\xC2\x9B"
                                    "31m \x7f"));
  const std::string text = show();
  for (const std::string& shown : {wild, text}) {
    for (const char* c : {"\x1b", "\x07", "\xE2\x80\xAE", "\xC2\x9B", "\x7f"})
      EXPECT_THAT(shown, Not(HasSubstr(c)));
  }
  EXPECT_THAT(text, HasSubstr("␛[2J␇ \\u{202E} right to left"));
  EXPECT_THAT(text, HasSubstr("\\u{009B}31m ␡"));
}

/// The lines of a text without its colours.
std::vector<std::string> plain_lines(std::string text) {
  for (size_t at = 0; (at = text.find('\x1b', at)) != text.npos;)
    text.erase(at, text.find('m', at) + 1 - at);
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST_F(Previewed, fits_any_screen_from_forty_columns_on) {
  const std::string name = "a_folder_with_a_long_name_0123456789_0123456789.jsonl";
  folder_.write(name,
                chat("What does https://example.org/a/very/long/path?with=a&question=in it say?",
                     std::string(300, '-') + " 漢字かな漢字かな漢字かな漢字かな漢字かな漢字 " +
                         std::string(60, ' ') + "\n\tthe end") +
                    chat("Short?", "Yes.") + "{\"messages\": oops}\n");
  const Change change = both(packed(1000), of_sources({name, "train.jsonl"}));
  for (const int width : {40, 57, 80, 200}) {
    for (const bool colour : {false, true}) {
      for (const bool ids : {false, true}) {
        const std::string text = render_terminal(preview(change, {.rows_per_source = 9}),
                                                 {.colour = colour, .width = width}, {.ids = ids});
        for (const std::string& line : plain_lines(text)) EXPECT_LE(width_of(line), width) << line;
      }
    }
  }
}

TEST_F(Previewed, breaks_lines_of_a_narrow_screen_at_words) {
  const std::string text =
      render_terminal(preview({}, {.named_rows = {"2"}}), {.colour = false, .width = 40}, {});
  EXPECT_THAT(text, HasSubstr("<|im_start|>assistant↵\n⟦So: word 0 word 1 word 2 word 3 word 4\n"
                              "word 5"));
}

TEST_F(Previewed, page_holds_every_token_as_it_is_trained) {
  const Preview preview = this->preview(both(packed(128), at_most(60, data::OnOverlong::truncate)),
                                        {.rows_per_source = 40});
  const auto data = page_data(render_page(preview));
  ASSERT_EQ(data["samples"].size(), preview.samples.size());
  for (size_t i = 0; i < preview.samples.size(); ++i) {
    const auto& shown = data["samples"][i];
    const Tokens& tokens = preview.samples[i].tokens;
    EXPECT_EQ(shown["ids"].get<std::vector<int32_t>>(), tokens.ids);
    EXPECT_TRUE(shown["positions"].is_null());  // they count from 0
    std::vector<float> weights(tokens.ids.size(), 0.0f);
    for (const auto& run : shown["weights"]) {
      for (size_t t = run[0]; t < run[1]; ++t) weights[t] = run[2];
    }
    EXPECT_EQ(weights, tokens.weights);
    std::string text;
    for (size_t t = 0; t < tokens.ids.size(); ++t) {
      const auto at = std::to_string(t), id = std::to_string(tokens.ids[t]);
      if (tokens.weights[t] > 0) {
        EXPECT_EQ(shown["targets"].contains(at) ? shown["targets"][at].get<int32_t>()
                                                : tokens.ids.at(t + 1),
                  tokens.labels[t]);
      }
      text += shown["texts"].contains(at) ? shown["texts"][at].get<std::string>()
                                          : data["vocabulary"].at(id).get<std::string>();
    }
    EXPECT_EQ(text, preview.vocabulary->decode(tokens.ids));
  }
  ASSERT_EQ(data["rows"].size(), preview.rows.size());
  EXPECT_EQ(data["rows"][0]["tokens"], preview.rows[0].tokens);
  EXPECT_EQ(data["rows"][0]["samples"].get<std::vector<int64_t>>(), preview.rows[0].samples);
}

TEST_F(Previewed, page_is_one_file_that_no_sample_can_break) {
  folder_.write("train.jsonl", chat("</script><script>alert(1)</script><!-- <b>",
                                    "]]> & \" ' \xE2\x80\xA8 {{data}}") +
                                   "{\"messages\": </script> \x9b\n");
  const std::string page = render_page(preview());
  const auto count = [&](const std::string& what) {
    int n = 0;
    for (size_t at = 0; (at = page.find(what, at)) != std::string::npos; at += what.size()) ++n;
    return n;
  };
  EXPECT_EQ(count("</script>"), 2);  // those of the template
  EXPECT_EQ(count("<script>"), 1);
  EXPECT_EQ(count("<!--"), 0);
  EXPECT_EQ(count("http://") + count("https://") + count(" src=") + count("@import"), 0);
  const auto data = page_data(page);
  EXPECT_THAT(data["samples"][1]["what"].get<std::string>(), HasSubstr("not valid JSON"));
  EXPECT_EQ(data["samples"][1]["fate"], "skipped");
}

}  // namespace
}  // namespace lmms::inspect::preview
