// Samples of a denoiser, as preview shows them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/format.h"
#include "data/data_testing.h"
#include "inspect/preview/page.h"
#include "inspect/preview/terminal.h"
#include "train/preview_setup.h"

namespace lmms::inspect::preview {
namespace {

using data::TempFolder;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kConfig = R"(trainer_type: sit_trainer
dataset_config:
  dataset_type: sit
  dataset_format: jsonl
  dataset_path: {0}/images.jsonl
  processor_config: {{processor_type: sit}}
model_config:
  load_from_config:
    model_type: sit
    config: {{input_size: 8, in_channels: 3, patch_size: 2, hidden_size: 32, depth: 1, num_heads: 2, num_classes: 10, vae_path: null}}
trainer_args: {{output_dir: {0}/out, max_steps: 1, use_cpu: true}}
)";

Preview preview_of(const TempFolder& folder) {
  const std::string image = LMMS_SOURCE_DIR "/tests/parity/data/images/bmp_24.bmp";
  folder.write("images.jsonl",
               fmt::format("{{\"image\": \"{0}\", \"label\": 7}}\n{{\"image\": \"{0}\", "
                           "\"label\": 11}}\n",
                           image));
  folder.write("config.yaml", fmt::format(fmt::runtime(kConfig), folder.path(".")));
  const train::LoadedConfig loaded = train::load_train_config({{folder.path("config.yaml")}});
  return make_preview(train::preview_input(loaded, /*evaluation=*/false, ""), {.pictures = true});
}

TEST(PreviewImages, shows_class_and_time_and_the_noised_picture_beside_the_clean_one) {
  const TempFolder folder;
  const Preview preview = preview_of(folder);
  ASSERT_EQ(preview.samples.size(), 2);
  const Sample& sample = preview.samples[0];
  EXPECT_EQ(sample.fate, Fate::trained) << sample.fault.text();
  EXPECT_EQ(sample.image_class, 7);
  EXPECT_EQ(sample.patches, 16);
  ASSERT_EQ(sample.times.size(), 1);
  ASSERT_EQ(sample.media.size(), 1);
  const auto& pictures = sample.media[0].pictures;
  ASSERT_EQ(pictures.size(), 2);
  EXPECT_EQ(pictures[0].width, 8);
  EXPECT_NE(pictures[0].url, pictures[1].url);
  EXPECT_THAT(pictures[1].label, HasSubstr(fmt::format("t = {:.2f}", sample.times[0])));
  const std::string shown = render_terminal(preview, {}, {});
  EXPECT_THAT(shown, HasSubstr("processor sit, no tokenizer"));
  EXPECT_THAT(shown, HasSubstr("16 patches, class 7"));
  EXPECT_THAT(render_page(preview), HasSubstr(pictures[1].url));
}

TEST(PreviewImages, a_label_without_a_class_is_told_of) {
  const TempFolder folder;
  const Preview preview = preview_of(folder);
  EXPECT_EQ(preview.samples[1].fate, Fate::stops);
  EXPECT_THAT(preview.samples[1].fault.what, HasSubstr("class 11"));
}

}  // namespace
}  // namespace lmms::inspect::preview
