// Chats with images to samples and batches, against the media room and what each sample is alone.
#include "data/vision_chat_processor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/files.h"
#include "data/collate.h"
#include "data/json_text.h"
#include "models/qwen_vl/media.h"
#include "models/qwen_vl/processor_files.h"

namespace lmms::models::qwen_vl {
namespace {

using data::Batch;
using data::collate;
using data::conversation_of;
using data::kIgnore;
using data::Measured;
using data::parse_json;
using data::Record;
using data::RowSamples;
using data::Sample;
using data::VisionChatProcessor;

using testing::HasSubstr;

const std::string kImages = std::string(LMMS_SOURCE_DIR) + "/tests/parity/data/images";
constexpr int32_t kPad = 4098;

/// The tokenizer of chat_tiny with the tokens of images.
text::Tokenizer tokenizer() {
  const std::string folder = std::string(LMMS_SOURCE_DIR) + "/examples/chat_tiny/tokenizer";
  auto json = nlohmann::json::parse(read_file(folder + "/tokenizer.json").take());
  int32_t id = 4096;
  for (const char* content :
       {"<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"}) {
    json["added_tokens"].push_back({{"id", id++},
                                    {"content", content},
                                    {"single_word", false},
                                    {"lstrip", false},
                                    {"rstrip", false},
                                    {"normalized", false},
                                    {"special", true}});
  }
  return text::Tokenizer::from_json(json.dump(), "test").take();
}

QwenMediaOptions small_options() {
  QwenMediaOptions options;
  options.patches.min_pixels = 28 * 28;
  options.patches.max_pixels = 28 * 28 * 12;
  options.positions.image_token_id = kPad;
  options.positions.video_token_id = kPad + 1;
  return options;
}

VisionChatProcessor processor(const QwenMediaOptions& options = small_options(),
                              bool measure_pixels = false) {
  text::ChatOptions chat;
  chat.media = true;
  return VisionChatProcessor(text::ChatTemplate::create(tokenizer(), chat).take(),
                             std::make_shared<QwenMedia>(options), measure_pixels);
}

Record record(const std::string& json) {
  return {.origin = {std::make_shared<const std::string>("a.jsonl"), 7},
          .fields = parse_json(json).take(),
          .data_folder = std::make_shared<const std::string>(kImages)};
}

std::string chat(const std::vector<std::string>& images, const std::string& text = "What is it?") {
  nlohmann::json content = nlohmann::json::array();
  for (const std::string& image : images)
    content.push_back({{"type", "image_url"}, {"image_url", {{"url", image}}}});
  content.push_back({{"type", "text"}, {"text", text}});
  const nlohmann::json messages = {{{"role", "user"}, {"content", content}},
                                   {{"role", "assistant"}, {"content", "A colour"}}};
  return nlohmann::json{{"messages", messages}}.dump();
}

const std::vector<std::string> kTwo = {"jpeg_65x16_5.jpg", "bmp_24.bmp"};

TEST(VisionChatProcessor, puts_pads_and_pixels_where_the_images_stand) {
  const QwenMediaOptions options = small_options();
  const Sample sample = processor().process(record(chat(kTwo))).take();
  ASSERT_EQ(sample.media.of(kVision).grids.size(), 2u);
  std::vector<float> expected;
  int64_t tokens = 0;
  for (size_t i = 0; i < kTwo.size(); ++i) {
    const std::string bytes = read_file(kImages + "/" + kTwo[i]).take();
    const media::Image image = media::decode(std::as_bytes(std::span(bytes))).take();
    const auto grid = media::patch_grid({image.height(), image.width()}, options.patches).take();
    EXPECT_EQ(sample.media.of(kVision).grids[i], grid);
    std::vector<float> patches(
        static_cast<size_t>(grid.patches() * media::patch_values(options.patches)));
    media::write_patches(image, grid, options.patches, patches);
    expected.insert(expected.end(), patches.begin(), patches.end());
    tokens += grid.tokens(2);
  }
  EXPECT_EQ(sample.media.of(kVision).values, expected);
  EXPECT_EQ(static_cast<int64_t>(sample.media.of(kVision).tokens.size()), tokens);
  for (const int32_t t : sample.media.of(kVision).tokens)
    EXPECT_EQ(sample.text.input_ids[static_cast<size_t>(t)], kPad);
  EXPECT_EQ(std::count(sample.text.input_ids.begin(), sample.text.input_ids.end(), kPad), tokens);
  const std::vector<RopeMedia> media{{.grid = sample.media.of(kVision).grids[0]},
                                     {.grid = sample.media.of(kVision).grids[1]}};
  const auto positions = rope_index(sample.text.input_ids, media, options.positions, "test");
  std::vector<int32_t> flat;
  for (const auto& axis : positions) flat.insert(flat.end(), axis.begin(), axis.end());
  EXPECT_EQ(sample.text.position_ids, flat);
}

TEST(VisionChatProcessor, measures_from_headers_what_it_makes) {
  for (const auto& images : {std::vector<std::string>{}, {kTwo[0]}, kTwo}) {
    const Record one = record(chat(images));
    const Measured measured = processor().measure(one).take();
    const Sample sample = processor().process(one).take();
    EXPECT_EQ(measured.length, sample.length());
    EXPECT_EQ(measured.decoded, images.empty());
    EXPECT_EQ(measured.sample->text.input_ids, sample.text.input_ids);
    EXPECT_EQ(measured.media.of(kVision).grids, sample.media.of(kVision).grids);
    EXPECT_EQ(measured.supervised,
              std::count_if(sample.text.labels.begin(), sample.text.labels.end(),
                            [](int32_t label) { return label != kIgnore; }));
  }
}

TEST(VisionChatProcessor, turns_images_as_exif_says_unless_it_is_told_not_to) {
  QwenMediaOptions upright = small_options();
  upright.patches.min_pixels = 28 * 28 * 6;
  QwenMediaOptions as_stored = upright;
  as_stored.decode.apply_exif = false;
  const Record turned = record(chat({"jpeg_turned_6.jpg"}));  // stored as 19 x 12
  const PatchGrid shown = processor(upright).process(turned).take().media.of(kVision).grids[0];
  const PatchGrid stored = processor(as_stored).process(turned).take().media.of(kVision).grids[0];
  EXPECT_EQ(shown, (PatchGrid{1, stored.w, stored.h}));
  EXPECT_NE(shown, stored);
}

TEST(VisionChatProcessor, finds_broken_pixels_while_measuring_where_it_is_told_to) {
  const Record cut = record(chat({"cut_jpeg_half.jpg"}));
  EXPECT_TRUE(processor().measure(cut).ok());  // the header is whole
  EXPECT_FALSE(processor().process(cut).ok());
  const auto measured = processor(small_options(), true).measure(cut);
  ASSERT_FALSE(measured.ok());
  EXPECT_THAT(measured.fault().text(), HasSubstr("a.jsonl:7"));
}

TEST(VisionChatProcessor, lays_out_a_prompt_as_the_beginning_of_its_sample) {
  const std::string question = R"({"messages": [{"role": "user", "content": [
      {"type": "image_url", "image_url": {"url": "bmp_24.bmp"}},
      {"type": "text", "text": "What is it?"}]}]})";
  const Sample prompt = processor().prompt(conversation_of(record(question)).take()).take();
  const Sample whole = processor().process(record(chat({"bmp_24.bmp"}))).take();
  ASSERT_LT(prompt.length(), whole.length());
  const auto n = static_cast<size_t>(prompt.length()), m = static_cast<size_t>(whole.length());
  for (size_t t = 0; t < n; ++t) {
    EXPECT_EQ(prompt.text.input_ids[t], whole.text.input_ids[t]);
    for (size_t axis = 0; axis < 3; ++axis)
      EXPECT_EQ(prompt.text.position_ids[axis * n + t], whole.text.position_ids[axis * m + t]);
  }
  EXPECT_EQ(prompt.media.of(kVision).values, whole.media.of(kVision).values);
  EXPECT_EQ(prompt.media.of(kVision).tokens, whole.media.of(kVision).tokens);
  EXPECT_EQ(std::count(prompt.text.labels.begin(), prompt.text.labels.end(), kIgnore),
            prompt.length());
}

/// The text of a sample with runs of pads as one.
std::string text_of(const Sample& sample) {
  std::vector<int32_t> ids;
  for (const int32_t id : sample.text.input_ids) {
    if (ids.empty() || id != kPad || ids.back() != kPad) ids.push_back(id);
  }
  return tokenizer().decode(ids);
}

TEST(VisionChatProcessor, lays_media_out_where_their_tags_stand) {
  const auto asked = [](const std::string& text) {
    const nlohmann::json row = {
        {"images", kTwo},
        {"conversations",
         {{{"from", "human"}, {"value", text}}, {{"from", "gpt"}, {"value", "ok"}}}}};
    const std::string all = text_of(processor().process(record(row.dump())).take());
    const size_t begin = all.find("user\n") + 5;
    return all.substr(begin, all.find("<|im_end|>", begin) - begin);
  };
  const std::string image = "<|vision_start|><|image_pad|><|vision_end|>\n";
  EXPECT_EQ(asked("A <image> vs B <image>"), "A " + image + " vs B " + image);
  EXPECT_EQ(asked("<image>\n<image>\nWhat?"), image + image + "What?");
  EXPECT_EQ(asked("<image>\n\nWhat?\n<image>"), image + "\nWhat?\n" + image);
}

TEST(VisionChatProcessor, refuses_a_tag_whose_file_the_record_does_not_name) {
  const auto fault = [](const std::string& text, const std::string& more = "") {
    const auto made = processor().process(
        record(R"({"prompt": ")" + text + R"(", "response": "ok")" + more + "}"));
    return made ? "trained" : made.fault().text();
  };
  EXPECT_THAT(fault("<image>\\nWhat?"),
              HasSubstr("a.jsonl:7: prompt: <image> without a file: the record names none in "
                        "'images'\n    fix: name its file in 'images', or take the tag out"));
  EXPECT_THAT(
      fault("A <image> or <image>?", R"(, "imgs": ["a.png"])"),
      HasSubstr("none in 'images'; did you mean 'imgs'?\n    fix: rename 'imgs' to 'images'"));
  EXPECT_THAT(fault("Go on: <video>"), HasSubstr("the record names none in 'videos'"));
  EXPECT_EQ(fault("What does the <video> element of HTML do?"), "trained");
  EXPECT_EQ(fault("<video>\\n<source src='a.mp4'>\\n</video>"), "trained");
}

TEST(VisionChatProcessor, takes_images_of_columns) {
  const std::string bytes = read_file(kImages + "/" + kTwo[1]).take();
  const auto binary = nlohmann::json::binary({bytes.begin(), bytes.end()});
  const nlohmann::json parts = {{{"type", "image"}}, {{"type", "text"}, {"text", "What is it?"}}};
  const auto of = [&](const nlohmann::json& content, const nlohmann::json& images) {
    Record row = record("{}");
    row.fields = {{"messages",
                   {{{"role", "user"}, {"content", content}},
                    {{"role", "assistant"}, {"content", "A colour"}}}},
                  {"images", images}};
    return processor().process(row);
  };
  const Sample named = processor().process(record(chat({kTwo[1]}))).take();
  const nlohmann::json inside = {{{"type", "image"}, {"image", {{"bytes", binary}}}},
                                 {{"type", "text"}, {"text", "What is it?"}}};
  const nlohmann::json path = {{"bytes", nullptr}, {"path", kTwo[1]}};
  for (const auto& sample : {of(parts, {binary}), of(parts, binary), of(parts, {path}),
                             of("<image>\nWhat is it?", {kTwo[1]}), of(inside, nullptr)}) {
    ASSERT_TRUE(sample.ok()) << sample.fault().text();
    EXPECT_EQ(sample->text.input_ids, named.text.input_ids);
    EXPECT_EQ(sample->media.of(kVision).values, named.media.of(kVision).values);
  }
  const auto fault = [](const Result<Sample>& sample) {
    return sample ? std::string() : sample.fault().text();
  };
  EXPECT_THAT(fault(of(parts, {kTwo[0], kTwo[1]})), HasSubstr("images: 2 files"));
  EXPECT_THAT(fault(of("What is it?", {kTwo[0]})), HasSubstr("images: 1 files"));
  EXPECT_THAT(fault(of(parts, nlohmann::json::array())), HasSubstr("messages[0].content[0]"));
  EXPECT_THAT(fault(of("<image><image>", {kTwo[0]})), HasSubstr("more <image> tags"));
}

Record film(const std::string& more = "") {
  return record(R"({"messages": [{"role": "user", "content": [
      {"type": "video_url", "video_url": {"url": "../videos/h264.mp4")" +
                more + R"(}}, {"type": "text", "text": "What happens?"}]},
      {"role": "assistant", "content": "A cat jumps."}]})");
}

QwenMediaOptions film_options() {
  QwenMediaOptions options = small_options();
  options.sampling.fps = 4;
  options.clip = qwen2_vl_clip();
  options.clip.patches = options.patches;
  options.clip.loader = media::FrameLimits{.min_pixels = 784, .max_pixels = 7840};
  return options;
}

TEST(VisionChatProcessor, takes_the_part_of_a_film_that_is_named_and_its_limits) {
  const auto grid = [](const std::string& more) {
    return processor(film_options()).process(film(more)).take().media.of(kVision).grids.at(0);
  };
  // 40 frames of 64 x 48 in 1.6 s: 6 at 4 a second
  EXPECT_EQ(grid(""), (PatchGrid{3, 4, 4}));
  EXPECT_EQ(grid(R"(, "video_start": 0.5, "video_end": 1.5)"), (PatchGrid{2, 4, 4}));
  EXPECT_EQ(grid(R"(, "max_pixels": 1568)"), (PatchGrid{3, 2, 2}));
}

TEST(VisionChatProcessor, puts_the_time_before_every_frame_where_frames_stand_apart) {
  QwenMediaOptions options = film_options();
  options.positions.frames_apart = true;
  const Sample sample = processor(options).process(film()).take();
  const text::Tokenizer words = tokenizer();
  std::string text;
  for (const int32_t id : sample.text.input_ids) text += *words.token(id);
  size_t at = 0;
  for (const char* time : {"<0.2", "<0.8", "<1.4"}) {  // frames 0, 8; 16, 23; 31, 39
    at = text.find(time, at);
    ASSERT_NE(at, text.npos) << time << " in " << text;
  }
  // Each frame is laid like an image: its time stands still, and text follows.
  ASSERT_EQ(sample.media.of(kVision).tokens.size(), 12u);
  for (size_t frame = 0; frame < 12; frame += 4) {
    for (size_t i = 1; i < 4; ++i) {
      const auto first = static_cast<size_t>(sample.media.of(kVision).tokens[frame]);
      EXPECT_EQ(static_cast<size_t>(sample.media.of(kVision).tokens[frame + i]), first + i);
      EXPECT_EQ(sample.text.position_ids[first + i], sample.text.position_ids[first]);
    }
  }
}

TEST(VisionChatProcessor, names_what_is_wrong_with_an_image) {
  const auto fault = [](const std::string& json) {
    const auto made = processor().measure(record(json));
    EXPECT_FALSE(made.ok());
    return made ? "" : made.fault().text();
  };
  EXPECT_THAT(fault(chat({"gone.png"})), HasSubstr("a.jsonl:7: messages[0].content[0]"));
  EXPECT_THAT(fault(chat({"gone.png"})), HasSubstr("gone.png"));
  EXPECT_THAT(fault(chat({"cases.json"})), HasSubstr("cases.json"));
  EXPECT_THAT(fault(chat({"http://example.org/a.png"})), HasSubstr("http"));
  EXPECT_THAT(fault(chat({kTwo[0]}, "a <|image_pad|> of text")), HasSubstr("<|image_pad|>"));
  const auto of_video = [&](const std::string& options) {
    return fault(R"({"messages": [{"role": "user", "content": [
      {"type": "video_url", "video_url": {"url": )" +
                 options + "}}]}]}");
  };
  EXPECT_THAT(of_video(R"("a.mp4")"), HasSubstr("a.mp4"));
  EXPECT_THAT(of_video(R"("cases.json")"), HasSubstr("cases.json"));
  EXPECT_THAT(of_video(R"("../videos/h264.mp4", "video_start": "x")"), HasSubstr("video_start"));
  EXPECT_THAT(of_video(R"("../videos/h264.mp4", "video_start": 99)"), HasSubstr("h264.mp4"));
  EXPECT_THAT(fault(R"({"messages": [{"role": "user", "content": [
      {"type": "audio_url", "audio_url": {"url": "a.wav"}}]}]})"),
              HasSubstr("audio"));
}

TEST(Collate, lays_images_and_positions_of_mixed_samples_one_after_another) {
  const auto make = [](const std::string& json) {
    return std::make_shared<const Sample>(processor().process(record(json)).take());
  };
  const auto text = make(chat({})), one = make(chat({kTwo[1]})), two = make(chat(kTwo));
  const std::vector<RowSamples> rows = {{text, two}, {one}};
  const Batch batch = collate(rows, 64, 0);
  const auto T = static_cast<size_t>(batch.tokens());
  ASSERT_EQ(batch.position_ids.size(), 3 * T);
  ASSERT_EQ(batch.media.of(kVision).grids.size(), 3u);
  EXPECT_EQ(batch.media.of(kVision).values.size(),
            two->media.of(kVision).values.size() + one->media.of(kVision).values.size());
  EXPECT_EQ(batch.media.of(kVision).rows.size(),
            two->media.of(kVision).tokens.size() + one->media.of(kVision).tokens.size());
  for (const int64_t row : batch.media.of(kVision).rows)
    EXPECT_EQ(batch.input_ids[static_cast<size_t>(row)], kPad);
  for (size_t axis = 0; axis < 3; ++axis) {
    size_t at = axis * T;
    for (int32_t t = 0; t < text->length(); ++t) EXPECT_EQ(batch.position_ids[at++], t);
    for (const auto& sample : {two, one}) {
      const auto n = static_cast<size_t>(sample->length());
      for (size_t t = 0; t < n; ++t)
        EXPECT_EQ(batch.position_ids[at++], sample->text.position_ids[axis * n + t]);
    }
    for (int32_t t = 0; at < (axis + 1) * T; ++t) EXPECT_EQ(batch.position_ids[at++], t);
  }
}

}  // namespace
}  // namespace lmms::models::qwen_vl
