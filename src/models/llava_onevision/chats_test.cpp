// Chats with images as LLaVA-OneVision takes them, against the Python project's processor:
// tests/parity/make_llava_chats.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/collate.h"
#include "data/stored_chats_testing.h"
#include "data/vision_chat_processor.h"
#include "models/llava_onevision/media.h"
#include "models/llava_onevision/processor.h"
#include "models/llava_onevision/processor_files.h"

namespace lmms::models::llava_onevision {
namespace {

using data::Batch;
using data::collate;
using data::fnv;
using data::kIgnore;
using data::Measured;
using data::read_json;
using data::Record;
using data::RowSamples;
using data::Sample;
using data::unrolled;
using data::VisionChatProcessor;

using testing::HasSubstr;

const std::string kData = std::string(LMMS_SOURCE_DIR) + "/tests/parity/data";

/// The tokenizer of tokenizer/chat with the tokens of images and videos.
text::Tokenizer tokenizer() {
  auto json = read_json(kData + "/tokenizer/chat/tokenizer.json");
  for (const char* content : {kImageToken, kVideoToken}) {
    nlohmann::json token = json["added_tokens"].back();
    token["id"] = token["id"].get<int>() + 1;
    token["content"] = content;
    token["special"] = true;
    json["added_tokens"].push_back(token);
  }
  return text::Tokenizer::from_json(json.dump(), "test").take();
}

enum class Like { python_project, transformers };

VisionChatProcessor chats_like(const std::string& jinja, Like like) {
  text::Tokenizer of_chats = tokenizer();
  const std::string folder = kData + "/llava_chats/";
  LlavaMediaOptions options;
  options.tiles.patch = 4;
  options.tiles.most_tiles = 4;
  options.tiles =
      tile_options_of({read_json(folder + data::kImageFile), folder}, options.tiles).take();
  EXPECT_EQ(options.tiles.features_per_side, 7);
  options.frames = options.tiles;
  options.decode.apply_exif = like == Like::transformers;   // compat: [exif]
  options.tiles_in_company = like == Like::python_project;  // compat: [tiles]
  options.image_token_id = *of_chats.id(kImageToken);
  options.video_token_id = *of_chats.id(kVideoToken);
  text::ChatOptions chat;
  chat.layout = turn_layout(jinja);
  if (like == Like::python_project) chat.labels = text::LabelForm::lmms_engine;  // compat: [labels]
  chat.media = true;
  return VisionChatProcessor(text::ChatTemplate::create(std::move(of_chats), chat).take(),
                             std::make_shared<LlavaMedia>(options));
}

Record record_of(const nlohmann::json& fields) {
  Record record;
  record.fields = fields;
  record.data_folder = std::make_shared<const std::string>(kData + "/images");
  return record;
}

class LlavaChats : public testing::TestWithParam<std::string> {
 protected:
  const nlohmann::json stored = read_json(kData + "/llava_chats/" + GetParam() + ".json");
  const std::string jinja = stored["template"];
};

TEST_P(LlavaChats, become_what_the_python_project_makes_of_them) {
  const VisionChatProcessor processor = chats_like(jinja, Like::python_project);
  ASSERT_GE(stored["cases"].size(), 30u);
  for (const auto& c : stored["cases"]) {
    SCOPED_TRACE(c["record"].dump());
    const Record record = record_of(c["record"]);
    const auto made = processor.process(record);
    ASSERT_TRUE(made.ok()) << made.fault().text();
    const Sample& sample = *made;
    ASSERT_EQ(sample.text.input_ids, unrolled(c["input_ids"]));
    std::vector<int32_t> labels = unrolled(c["labels"]);
    labels.erase(labels.begin());
    labels.push_back(kIgnore);
    EXPECT_EQ(sample.text.labels, labels);
    EXPECT_TRUE(sample.text.position_ids.empty());
    const auto& sizes = c["images"]["sizes"];
    ASSERT_EQ(sample.media.of(kVision).layouts.size(), sizes.size());
    for (size_t i = 0; i < sizes.size(); ++i) {
      const ViewLayout wanted{ViewLayout::Kind::tiles, sizes[i][0], sizes[i][1]};
      EXPECT_EQ(sample.media.of(kVision).layouts[i], wanted);
    }
    ASSERT_EQ(sample.media.of(kVision).values.size(), c["images"]["values"].get<size_t>());
    EXPECT_EQ(fnv<float>(sample.media.of(kVision).values), c["images"]["fnv"]);
    const Measured measured = processor.measure(record).take();
    EXPECT_EQ(measured.length, sample.length());
  }
}

TEST_P(LlavaChats, train_the_answers_alone_and_show_several_images_in_one_view_each) {
  const VisionChatProcessor processor = chats_like(jinja, Like::transformers);
  const text::Tokenizer of_chats = tokenizer();
  for (const auto& c : stored["cases"]) {
    SCOPED_TRACE(c["record"].dump());
    const Sample sample = processor.process(record_of(c["record"])).take();
    std::string answers, trained;
    size_t images = 0;
    for (const auto& message : c["record"]["messages"]) {
      for (const auto& part : message["content"]) images += part["type"] == "image_url";
      if (message["role"] == "assistant")
        answers += message["content"][0]["text"].get<std::string>() + "<|im_end|>";
    }
    for (const int32_t label : sample.text.labels) {
      if (label != kIgnore) trained += of_chats.bytes(label);
    }
    // an answer that begins with a line break may share a token with the one before it
    const std::string shorter = [&] {
      std::string text = answers;
      for (size_t at; (at = text.find("\nIt is")) != std::string::npos;) text.erase(at, 1);
      return text;
    }();
    EXPECT_TRUE(trained == answers || trained == shorter) << trained;
    ASSERT_EQ(sample.media.of(kVision).layouts.size(), images);
    size_t tokens = 0;
    for (const PatchGrid& grid : sample.media.of(kVision).grids)
      tokens += images > 1 ? 50 * grid.t : 0;
    if (images > 1) {
      EXPECT_EQ(sample.media.of(kVision).tokens.size(), tokens);
    }
    for (const ViewLayout& layout : sample.media.of(kVision).layouts) {
      EXPECT_EQ(layout.kind, images > 1 ? ViewLayout::Kind::single : ViewLayout::Kind::tiles);
    }
    EXPECT_EQ(processor.measure(record_of(c["record"])).take().length, sample.length());
  }
}

TEST_P(LlavaChats, a_batch_carries_the_layouts_in_the_order_of_the_tokens) {
  const VisionChatProcessor processor = chats_like(jinja, Like::transformers);
  RowSamples row;
  std::vector<ViewLayout> layouts;
  for (size_t i = 0; i < 3; ++i) {
    auto sample =
        std::make_shared<Sample>(processor.process(record_of(stored["cases"][i]["record"])).take());
    layouts.insert(layouts.end(), sample->media.of(kVision).layouts.begin(),
                   sample->media.of(kVision).layouts.end());
    row.push_back(sample);
  }
  const Batch batch = collate({&row, 1}, 1, 0);
  EXPECT_EQ(batch.media.of(kVision).layouts, layouts);
  EXPECT_EQ(batch.media.of(kVision).grids.size(), layouts.size());
  EXPECT_EQ(batch.position_ids.size(), batch.input_ids.size());
}

INSTANTIATE_TEST_SUITE_P(Templates, LlavaChats, testing::Values("spaced", "lines"),
                         [](const auto& name) { return name.param; });

TEST(LlavaTags, go_in_front_alone_and_several_stay_where_they_stand) {
  const auto asked = [](const std::string& layout, const std::string& text, size_t images) {
    const nlohmann::json stored = read_json(kData + "/llava_chats/" + layout + ".json");
    const VisionChatProcessor processor = chats_like(stored["template"], Like::transformers);
    const nlohmann::json row = {
        {"images", std::vector<std::string>(images, "png_rgb.png")},
        {"messages",
         {{{"role", "user"}, {"content", text}}, {{"role", "assistant"}, {"content", "ok"}}}}};
    const Sample sample = processor.process(record_of(row)).take();
    const text::Tokenizer of_chats = tokenizer();
    const int32_t pad = *of_chats.id(kImageToken);
    std::vector<int32_t> ids;
    for (const int32_t id : sample.text.input_ids) {
      if (ids.empty() || id != pad || ids.back() != pad) ids.push_back(id);
    }
    const std::string all = of_chats.decode(ids);
    const size_t begin = all.find("user") + 5;
    return all.substr(begin, all.find("<|im_end|>", begin) - begin);
  };
  for (const char* text : {"<image>\nWhat?", "What?\n<image>"}) {
    EXPECT_EQ(asked("spaced", text, 1), "<image>\nWhat?") << text;
    EXPECT_EQ(asked("lines", text, 1), "<image>\nWhat?") << text;
  }
  EXPECT_EQ(asked("spaced", "Is <image> it?", 1), "<image>\nIs  it?");
  EXPECT_EQ(asked("spaced", "A <image> vs <image>", 2), "\nA <image> vs <image>");
  EXPECT_EQ(asked("lines", "A <image> vs <image>", 2), "A <image>\n vs <image>\n");
  EXPECT_EQ(asked("spaced", "<image>\n<image>\nWhat?", 2), "<image>\n<image>\nWhat?");
  EXPECT_EQ(asked("lines", "<image>\n<image>\nWhat?", 2), "<image>\n<image>\nWhat?");
}

TEST(LlavaMedia, names_what_it_cannot_take) {
  const VisionChatProcessor processor = chats_like("", Like::transformers);
  const auto fault = [&](const char* type, const char* url) {
    const nlohmann::json content = {{{"type", type}, {type, {{"url", url}}}}};
    const nlohmann::json messages = {{{"role", "user"}, {"content", content}},
                                     {{"role", "assistant"}, {"content", "x"}}};
    return processor.process(record_of({{"messages", messages}})).fault().text();
  };
  EXPECT_THAT(fault("image_url", "gone.png"), HasSubstr("gone.png"));
  EXPECT_THAT(fault("image_url", "cut_jpeg_half.jpg"), HasSubstr("cut_jpeg_half.jpg"));
}

}  // namespace
}  // namespace lmms::models::llava_onevision
