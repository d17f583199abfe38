// Chats with images and videos against the Python project's processors:
// tests/parity/make_vision_chats.py.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/stored_chats_testing.h"
#include "data/vision_chat_processor.h"
#include "models/qwen_vl/media.h"
#include "models/qwen_vl/processor_files.h"

namespace lmms::models::qwen_vl {
namespace {

using data::fnv;
using data::kIgnore;
using data::read_json;
using data::Record;
using data::Sample;
using data::unrolled;
using data::VisionChatProcessor;

const std::string kData = std::string(LMMS_SOURCE_DIR) + "/tests/parity/data";

VisionChatProcessor processor(const std::string& type) {
  text::Tokenizer tokenizer = text::Tokenizer::load(kData + "/tokenizer/chat").take();
  QwenMediaOptions options;
  const bool qwen3 = type == "qwen3_vl";
  const data::ProcessorFiles files{
      .folder = kData + "/vision_chats/" + type,
      .processor = nullptr,
      .images = read_json(kData + "/vision_chats/" + type + "/" + data::kImageFile),
      .videos = read_json(kData + "/vision_chats/" + type + "/" + data::kVideoFile)};
  options.patches = patch_options_of(data::image_section(files).take()).take();
  options.clip = clip_options_of(data::video_section(files).take(), "").take();
  options.clip.loader = media::FrameLimits{};
  options.sampling.fps = 4;
  options.decode.apply_exif = false;  // compat: [exif]
  options.positions.image_token_id = *tokenizer.id(kImagePad);
  options.positions.video_token_id = *tokenizer.id(kVideoPad);
  options.positions.tokens_per_second = 2;
  options.positions.frames_apart = qwen3;
  text::ChatOptions chat;
  chat.labels = text::LabelForm::lmms_engine;  // compat: [labels]
  chat.media = true;
  return VisionChatProcessor(text::ChatTemplate::create(tokenizer, chat).take(),
                             std::make_shared<QwenMedia>(options));
}

/// What of a sample's media is of one kind.
struct OfKind {
  std::vector<PatchGrid> grids;
  std::vector<float> patches;
};

OfKind of_kind(const Sample& sample, const nlohmann::json& record, const std::string& type,
               size_t values) {
  OfKind out;
  size_t medium = 0, begin = 0;
  for (const auto& message : record["messages"]) {
    for (const auto& part : message["content"]) {
      if (part["type"] == "text") continue;
      const PatchGrid grid = sample.media.of(kVision).grids.at(medium++);
      const size_t end = begin + static_cast<size_t>(grid.patches()) * values;
      if (part["type"] == type) {
        out.grids.push_back(grid);
        out.patches.insert(out.patches.end(), sample.media.of(kVision).values.begin() + long(begin),
                           sample.media.of(kVision).values.begin() + long(end));
      }
      begin = end;
    }
  }
  return out;
}

/// `record` with its videos in their folder.
nlohmann::json with_videos(nlohmann::json record) {
  for (auto& message : record["messages"]) {
    for (auto& part : message["content"]) {
      if (part["type"] != "video_url") continue;
      auto& url = part["video_url"]["url"];
      url = "../videos/" + url.get<std::string>();
    }
  }
  return record;
}

class VisionChats : public testing::TestWithParam<std::string> {};

TEST_P(VisionChats, become_what_the_python_project_makes_of_them) {
  const VisionChatProcessor processor = qwen_vl::processor(GetParam());
  const auto folder = std::make_shared<const std::string>(kData + "/images");
  const auto cases = read_json(kData + "/vision_chats/" + GetParam() + "/cases.json");
  ASSERT_GE(cases.size(), 30u);
  for (const auto& c : cases) {
    SCOPED_TRACE(c["record"].dump());
    Record record;
    record.fields = with_videos(c["record"]);
    record.data_folder = folder;
    const auto made = processor.process(record);
    ASSERT_TRUE(made.ok()) << made.fault().text();
    const Sample& sample = *made;
    ASSERT_EQ(sample.text.input_ids, unrolled(c["input_ids"]));
    std::vector<int32_t> labels = unrolled(c["labels"]);
    labels.erase(labels.begin());
    labels.push_back(kIgnore);
    EXPECT_EQ(sample.text.labels, labels);
    EXPECT_EQ(fnv<int32_t>(sample.text.position_ids), c["positions"]);
    for (const auto& [key, type] : {std::pair("images", "image_url"), {"videos", "video_url"}}) {
      if (!c.contains(key)) continue;
      const auto& theirs = c[key];
      const OfKind ours =
          of_kind(sample, c["record"], type, GetParam() == "qwen3_vl" ? 1536 : 1176);
      std::vector<PatchGrid> grids;
      for (const auto& grid : theirs["grids"]) grids.push_back({grid[0], grid[1], grid[2]});
      EXPECT_EQ(ours.grids, grids);
      ASSERT_EQ(ours.patches.size(), theirs["values"].get<size_t>());
      EXPECT_EQ(fnv<float>(ours.patches), theirs["fnv"]) << key;
      for (size_t i = 0; i * 997 < ours.patches.size(); ++i)
        EXPECT_NEAR(ours.patches[i * 997], theirs["some"][i].get<float>(), 1e-6) << i;
    }
    const data::Measured measured = processor.measure(record).take();
    EXPECT_EQ(measured.length, sample.length());
  }
}

INSTANTIATE_TEST_SUITE_P(Types, VisionChats, testing::Values("qwen2_5_vl", "qwen3_vl"),
                         [](const auto& type) { return type.param; });

}  // namespace
}  // namespace lmms::models::qwen_vl
