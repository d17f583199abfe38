#include "train/preview_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "data/data_testing.h"
#include "data/loader.h"
#include "inspect/preview/page.h"
#include "inspect/preview/preview_testing.h"
#include "inspect/preview/terminal.h"
#include "inspect/preview/token_text.h"
#include "media/thumbnail.h"
#include "train/data_setup.h"

namespace lmms::inspect::preview {
namespace {

using data::TempFolder;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kConfig = R"(trainer_type: fsdp2_trainer
dataset_config:
  dataset_type: vision
  dataset_format: jsonl
  dataset_path: {0}/train.jsonl
  eval_dataset_path: {0}/eval.jsonl
  shuffle: false
  on_bad_sample: skip
  processor_config: {{processor_name: {1}/examples/chat_tiny/tokenizer, processor_type: qwen2}}
model_config: {{load_from_pretrained_path: /no/such/model}}
trainer_args: {{output_dir: {0}/out, num_train_epochs: 1, use_cpu: true}}
)";

/// `text` with the breaks and indents of its lines as single spaces.
std::string unwrapped(const std::string& text) {
  std::istringstream in(text);
  std::string words;
  for (std::string word; in >> word;) words += (words.empty() ? "" : " ") + word;
  return words;
}

Preview preview_of(const train::LoadedConfig& loaded, const Options& options,
                   bool evaluation = false) {
  return make_preview(train::preview_input(loaded, evaluation, ""), options);
}

/// chats_of_many_lengths(), bad samples skipped.
class Previewed : public testing::Test {
 protected:
  Previewed() {
    folder_.write("train.jsonl", chats_of_many_lengths());
    folder_.write("eval.jsonl", chat("One?", "Two.") + "broken\n" + chat("Three?", "Four."));
    folder_.write("text.jsonl",
                  "{\"text\": \"Once upon a time there was a long text.\"}\n"
                  "{\"text\": \"\"}\n{\"text\": \"Short.\"}\n");
    folder_.write("config.yaml",
                  fmt::format(fmt::runtime(kConfig), folder_.path("."), LMMS_SOURCE_DIR));
  }

  train::LoadedConfig load(const std::vector<std::string>& overrides = {}) const {
    std::vector<std::string> words = {config_.empty() ? folder_.path("config.yaml") : config_};
    for (const auto& word : overrides) words.push_back("dataset_config." + word);
    return train::load_train_config(words);
  }
  Preview preview(const std::vector<std::string>& overrides = {}, Options options = {}) const {
    return preview_of(load(overrides), options, evaluation_);
  }
  std::string show(const std::vector<std::string>& overrides = {}, Options options = {},
                   TerminalOptions terminal = {}) const {
    return render_terminal(preview(overrides, std::move(options)), {}, terminal);
  }

  TempFolder folder_;
  std::string config_;       ///< instead of the folder's
  bool evaluation_ = false;  ///< preview its evaluation data
};

void expect_same(const Row& row, const Preview& preview, const data::Batch& batch) {
  Tokens all;
  const bool three_axes = batch.position_ids.size() > batch.input_ids.size();
  for (const int64_t sample : row.samples) {
    const Tokens& one = preview.samples[static_cast<size_t>(sample)].tokens;
    all.ids.insert(all.ids.end(), one.ids.begin(), one.ids.end());
    all.labels.insert(all.labels.end(), one.labels.begin(), one.labels.end());
    all.weights.insert(all.weights.end(), one.weights.begin(), one.weights.end());
    all.positions.insert(all.positions.end(), one.positions.begin(), one.positions.end());
    for (const auto& [to, from] :
         {std::pair(&all.heights, &one.heights), {&all.widths, &one.widths}}) {
      const auto& axis = from->empty() ? one.positions : *from;
      if (three_axes) to->insert(to->end(), axis.begin(), axis.end());
    }
  }
  for (const auto* axis : {&all.heights, &all.widths})
    all.positions.insert(all.positions.end(), axis->begin(), axis->end());
  EXPECT_EQ(all.ids, batch.input_ids);
  EXPECT_EQ(all.labels, batch.labels);
  EXPECT_EQ(all.weights, batch.weights);
  EXPECT_EQ(all.positions, batch.position_ids);
  EXPECT_EQ(static_cast<int64_t>(row.samples.size()), batch.samples);
  EXPECT_EQ(row.tokens, batch.valid_tokens);
  int64_t trained = 0;
  for (const int64_t sample : row.samples)
    trained += preview.samples[static_cast<size_t>(sample)].trained_tokens;
  EXPECT_EQ(trained, batch.supervised_tokens);
}

TEST_F(Previewed, shows_what_the_loader_trains) {
  const std::vector<std::vector<std::string>> variants = {
      {},
      {"packing=true", "packing_length=200"},
      {"packing=true", "packing_length=200", "packing_strategy=best_fit"},
      {"packing=true", "packing_length=200", "packing_strategy=balanced",
       "packing_kwargs.num_open_bins=2"},
      {"packing=true", "packing_length=150", "packing_strategy=sequential"},
      {"packing=true", "packing_length=64"},
      {"packing=true", "packing_length=64", "on_overlong=truncate"},
      {"max_length=50"},
      {"max_length=50", "on_overlong=truncate"},
      {"max_length=50", "on_overlong=truncate", "packing=true", "packing_length=200"},
  };
  for (const bool compat : {false, true}) {
    for (const auto& overrides : variants) {
      train::LoadedConfig loaded = load(overrides);
      loaded.config.compat.labels = compat;
      SCOPED_TRACE(testing::PrintToString(overrides) + (compat ? " compat" : ""));
      const Preview preview = preview_of(loaded, {.rows_per_source = 1000});
      EXPECT_TRUE(preview.sources[0].to_the_end);
      EXPECT_EQ(preview.samples.size(), 40u);

      const train::RunData run = train::open_data(loaded, "", "");
      data::LoaderOptions options = train::loader_options(loaded.config, 1, 0);
      options.rows_per_micro_step = 1;
      data::Loader loader(run.training, run.processing.processor, options);
      size_t rows = 0;
      while (auto step = loader.next()) {
        if (step->samples == 0) continue;  // a record that is not trained leaves its place empty
        ASSERT_LT(rows, preview.rows.size());
        expect_same(preview.rows[rows++], preview, step->micro_steps.front());
      }
      EXPECT_EQ(rows, preview.rows.size());
      EXPECT_GT(rows, 0u);
    }
  }
}

TEST_F(Previewed, shows_what_the_loader_trains_of_plain_text) {
  for (const int limit : {8, 100}) {
    const auto loaded = load(
        {"processor_config.processor_type=pure_text", "dataset_type=fineweb_edu",
         "dataset_path=" + folder_.path("text.jsonl"), fmt::format("packing_length={}", limit)});
    const Preview preview = preview_of(loaded, {});
    const train::RunData run = train::open_data(loaded, "", "");
    data::LoaderOptions options = train::loader_options(loaded.config, 1, 0);
    data::Loader loader(run.training, run.processing.processor, options);
    size_t rows = 0;
    while (auto step = loader.next()) {
      if (step->samples > 0)
        expect_same(preview.rows.at(rows++), preview, step->micro_steps.front());
    }
    EXPECT_EQ(rows, 2u);
    EXPECT_EQ(preview.samples[0].fate, limit == 8 ? Fate::cut : Fate::trained);
    EXPECT_EQ(preview.samples[1].fate, Fate::skipped);
    EXPECT_EQ(preview.samples[1].reason, data::SkipReason::empty);
    EXPECT_TRUE(preview.samples[0].turns.empty());
  }
}

TEST_F(Previewed, shows_what_evaluation_reads) {
  const auto loaded = load({"packing=true", "packing_length=200"});
  const Preview preview = preview_of(loaded, {.rows_per_source = 10}, /*evaluation=*/true);
  const train::RunData run = train::open_data(loaded, "", "");
  data::LoaderOptions options = run.evaluation.options;
  options.global_rows = options.rows_per_micro_step = 1;
  data::Loader loader(run.evaluation.dataset, run.evaluation.processor, options);
  size_t rows = 0;
  while (auto step = loader.next()) {
    if (step->samples > 0) expect_same(preview.rows.at(rows++), preview, step->micro_steps.front());
  }
  EXPECT_EQ(rows, 2u);
  EXPECT_EQ(preview.samples.size(), 3u);
  EXPECT_FALSE(preview.packing);
  evaluation_ = true;
  EXPECT_THAT(show(), HasSubstr("evaluation data, a sample is a row"));
}

TEST_F(Previewed, refuses_what_keeps_training_from_starting) {
  const auto error = [&](const std::vector<std::string>& overrides, Options options = {}) {
    try {
      preview(overrides, std::move(options));
    } catch (const Error& e) {
      EXPECT_EQ(e.exit(), Exit::bad_input);
      return std::string(e.what());
    }
    return std::string();
  };
  evaluation_ = true;
  EXPECT_THAT(error({"eval_dataset_path=null"}), HasSubstr("the config has no evaluation data"));
  evaluation_ = false;
  EXPECT_THAT(error({}, {.named_rows = {"41"}}), HasSubstr("--row 41: no such row"));
  EXPECT_THAT(error({"processor_config.processor_name=null"}),
              HasSubstr("model_config.load_from_pretrained_path"));
  folder_.write("train.jsonl", "\n \n");
  EXPECT_THAT(error({}), HasSubstr("train.jsonl: holds no row"));
}

/// Chats with none, one and two images, an image that is none, and a text about images.
class PreviewedImages : public Previewed {
 protected:
  PreviewedImages() {
    config_ = LMMS_SOURCE_DIR "/examples/quickstart/config.yaml";
    folder_.write("eval.yaml", "datasets: [{path: " + folder_.path("eval.jsonl") + "}]\n");
    media::Image wide(90, 60), tall(40, 120);
    for (media::Image* image : {&wide, &tall}) {
      for (int y = 0; y < image->height(); ++y) {
        for (int x = 0; x < image->width() * 3; ++x)
          image->row(y)[x] = static_cast<uint8_t>(x + 2 * y);
      }
    }
    folder_.write("wide.png", media::encode_png(wide));
    folder_.write("tall.png", media::encode_png(tall));
    folder_.write("</script>.png", media::encode_png(tall));
    folder_.write("torn.png", media::encode_png(wide).substr(0, 60));
    const auto seen = [](const std::vector<std::string>& images) {
      nlohmann::json parts = nlohmann::json::array();
      for (const auto& image : images)
        parts.push_back({{"type", "image_url"}, {"image_url", {{"url", image}}}});
      parts.push_back({{"type", "text"}, {"text", "What?"}});
      return nlohmann::json{{"messages",
                             {{{"role", "user"}, {"content", parts}},
                              {{"role", "assistant"}, {"content", "That."}}}}}
                 .dump() +
             "\n";
    };
    folder_.write("train.jsonl", seen({"wide.png"}) + chat("No image.", "None.") +
                                     seen({"tall.png", "wide.png"}) + seen({"torn.png"}) +
                                     chat("<|image_pad|>", "A word.") + seen({"</script>.png"}) +
                                     seen({"wide.png", "wide.png", "wide.png"}));
  }
  std::vector<std::string> seeing(std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"dataset_format=yaml",
                                   "dataset_path=null",
                                   "eval_dataset_path=" + folder_.path("eval.yaml"),
                                   "shuffle=false",
                                   "packing=false",
                                   "on_bad_sample=skip",
                                   std::string("processor_config.processor_name=") +
                                       LMMS_SOURCE_DIR + "/examples/quickstart/tokenizer",
                                   "datasets=[{path: " + folder_.path("train.jsonl") +
                                       ", data_folder: " + folder_.path(".") + "}]"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
};

TEST_F(PreviewedImages, are_what_the_loader_trains) {
  for (const auto& more : std::vector<std::vector<std::string>>{
           {},
           {"packing=true", "packing_length=200"},
           {"packing=true", "packing_length=400", "packing_patches=80"},
           {"packing=true", "packing_length=400", "packing_patches=60"},
           {"packing=true", "packing_length=200", "packing_strategy=balanced"}}) {
    SCOPED_TRACE(testing::PrintToString(more));
    const train::LoadedConfig loaded = load(seeing(more));
    const Preview preview = preview_of(loaded, {.rows_per_source = 100});
    const train::RunData run = train::open_data(loaded, "", "");
    data::LoaderOptions options =
        train::loader_options(loaded.config, 1, 0, train::cost_model_of(loaded, ""));
    options.rows_per_micro_step = 1;
    options.epochs = 1;
    data::Loader loader(run.training, run.processing.processor, options);
    size_t rows = 0;
    while (auto step = loader.next()) {
      if (step->samples == 0) continue;
      ASSERT_LT(rows, preview.rows.size());
      int64_t patches = 0;
      for (const PatchGrid& grid : step->micro_steps.front().media.of(kVision).grids)
        patches += grid.patches();
      EXPECT_EQ(preview.rows[rows].patches, patches);
      expect_same(preview.rows[rows++], preview, step->micro_steps.front());
    }
    EXPECT_EQ(rows, preview.rows.size());
  }
}

TEST_F(PreviewedImages, are_told_by_size_grid_and_tokens) {
  const std::string text = show(seeing(), {.rows_per_source = 100}, {.full = true});
  EXPECT_THAT(text, HasSubstr("image 1: wide.png, 90x60 -> grid 1x4x6 -> 6 tokens\n"));
  EXPECT_THAT(text, HasSubstr("image 1: tall.png, 40x120 -> grid 1x8x2 -> 4 tokens\n"
                              "  image 2: wide.png, 90x60 -> grid 1x4x6 -> 6 tokens\n"));
  EXPECT_THAT(text, HasSubstr("<|vision_start|><|image_pad|> x 4<|vision_end|>"));
  EXPECT_THAT(text, HasSubstr("torn.png"));
  const std::string table = show(seeing(), {.named_rows = {"1"}}, {.ids = true});
  EXPECT_THAT(table, HasSubstr("<|image_pad|> x 6"));
  // Paths stand in these lines, so that where they break depends on the folder of the sources.
  const std::string limited =
      unwrapped(show(seeing({"packing=true", "packing_patches=60"}), {.rows_per_source = 100}));
  EXPECT_THAT(limited, HasSubstr("60 patches packed by first_fit"));
  EXPECT_THAT(limited,
              HasSubstr("72 patches of images and videos, a row takes 60 (on_overlong: drop"));
  EXPECT_THAT(limited, HasSubstr(" / 60 patches"));
}

TEST_F(PreviewedImages, that_are_rotten_leave_the_others_to_be_seen_under_every_policy) {
  for (const bool pictures : {false, true}) {
    const Preview made =
        preview(seeing({"on_bad_sample=fail"}), {.rows_per_source = 100, .pictures = pictures});
    std::vector<Fate> fates;
    for (const Sample& sample : made.samples) fates.push_back(sample.fate);
    EXPECT_THAT(fates, testing::ElementsAre(Fate::trained, Fate::trained, Fate::trained,
                                            Fate::stops, Fate::stops, Fate::stops, Fate::trained));
    const std::string fault = made.samples[3].fault.text();
    EXPECT_THAT(fault, HasSubstr("torn.png: PNG: the file ends within the image"));
    EXPECT_EQ(fault.find("on_bad_sample"), fault.rfind("on_bad_sample")) << fault;
  }
}

TEST_F(PreviewedImages, stand_in_the_page_as_the_model_sees_them) {
  const Preview preview = this->preview(seeing(), {.rows_per_source = 100, .pictures = true});
  const std::string page = render_page(preview);
  EXPECT_EQ(page.find("</script>.png"), std::string::npos);
  const auto data = page_data(page);
  const auto& two = data["samples"][2];
  ASSERT_EQ(two["media"].size(), 2u);
  const auto& wide = two["media"][1];
  EXPECT_EQ(wide["name"], "wide.png");
  EXPECT_EQ(wide["grid"], (std::vector<int>{1, 4, 6}));
  EXPECT_EQ(wide["tokens"], 6);
  ASSERT_EQ(wide["runs"].size(), 1u);
  const int32_t pad = *preview.vocabulary->id("<|image_pad|>");
  int64_t pads = 0;
  for (const auto& medium : two["media"]) {
    for (const auto& run : medium["runs"]) {
      for (size_t t = run[0]; t < run[1]; ++t, ++pads) EXPECT_EQ(two["ids"][t], pad);
    }
  }
  EXPECT_EQ(pads, 10);
  ASSERT_EQ(wide["pictures"].size(), 1u);
  const auto& picture = wide["pictures"][0];
  EXPECT_EQ(picture["width"], 84);
  EXPECT_EQ(picture["height"], 56);
  EXPECT_EQ(picture["rows"], 2);
  EXPECT_EQ(picture["columns"], 3);
  EXPECT_THAT(picture["url"].get<std::string>(), testing::StartsWith("data:image/"));
  // M-RoPE: the tokens of the image have a place in height and width
  EXPECT_EQ(two["axes"].size(), 2u);
  const Tokens& tokens = preview.samples[2].tokens;
  const size_t first = wide["runs"][0][0];
  EXPECT_EQ(tokens.positions[first + 5], tokens.positions[first]);
  EXPECT_EQ(tokens.heights[first + 5], tokens.heights[first] + 1);
  EXPECT_EQ(tokens.widths[first + 5], tokens.widths[first] + 2);
  EXPECT_TRUE(data["samples"][1]["axes"].is_null());
  EXPECT_TRUE(data["samples"][1]["media"].empty());
  EXPECT_TRUE(data["samples"][3]["media"].empty()) << "it cannot be read";
}

TEST_F(PreviewedImages, without_a_page_are_not_decoded) {
  EXPECT_TRUE(preview(seeing()).samples[0].media[0].pictures.empty());
}

}  // namespace
}  // namespace lmms::inspect::preview
