// A kind of media that no file of this room knows: from the loader to the device, and its cost.
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/ranks_testing.h"
#include "data/loader_testing.h"
#include "data/sound_testing.h"
#include "step/cost_model.h"
#include "step/step_work.h"

namespace lmms::step {
namespace {

using data::kSound;

/// Hears, reads and has no weights.
class HearingModel final : public models::Model {
 public:
  HearingModel() : Model(nlohmann::json::object(), "Hearing") {}
  std::vector<std::string> media_kinds() const override { return {kSound}; }
  double train_flops(const models::Workload& work) const override {
    double units = 5.0 * static_cast<double>(work.supervised);
    for (const int64_t n : work.lengths) units += 3.0 * static_cast<double>(n + 2 * n * n);
    for (const PatchGrid& grid : work.grids(kSound)) {
      const auto frames = static_cast<double>(grid.patches());
      units += 10 * frames + 7 * frames * frames;
    }
    return 1000 * units;
  }
  double lmms_engine_flops(const models::Workload&) const override { return 0; }
};

TEST(MediaKinds, cost_what_the_model_counts_for_them) {
  const data::CostModel costs = cost_model_of(HearingModel());
  const MediaList<MediaGrids> media{{kSound, {{1, 20, 1}, {1, 3, 1}}}, {kVision, {{1, 9, 9}}}};
  EXPECT_EQ(costs.cost(100, 30, media),
            3 * (100 + 2 * 100 * 100) + 5 * 30 + 10 * 23 + 7 * (400 + 9));
}

TEST(MediaKinds, reach_the_device_on_every_rank) {
  const HearingModel model;
  const auto objective = objectives::next_token();
  data::LoaderOptions options{.packing = data::packing(40, data::PackingStrategy::balanced),
                              .policies = {},
                              .global_rows = 2};
  options.packing->media = {{kSound, 16}};
  options.costs = cost_model_of(model);
  options.epochs = 1;
  const auto sounds = data::sounds_dataset(50);
  RanksInThreads(2).run([&](Ranks& ranks) {
    data::LoaderOptions of_rank = options;
    of_rank.ranks = ranks.open_channel("data");
    data::Loader loader(sounds, std::make_shared<data::SoundProcessor>(), of_rank);
    while (const auto step = loader.next()) {
      const StepWork work = step_work(*step, model, *objective, at::kCPU, ranks.count());
      ASSERT_EQ(work.micro_steps.size(), step->micro_steps.size());
      double flops = 0;
      for (size_t m = 0; m < work.micro_steps.size(); ++m) {
        const data::Batch& on_host = step->micro_steps[m];
        const nn::Batch& batch = work.micro_steps[m].batch;
        const data::PackedMedia* expected = on_host.media.find(kSound);
        const nn::MediaInput* part = batch.media.find(kSound);
        ASSERT_EQ(part != nullptr, expected != nullptr);
        if (!part) continue;
        EXPECT_EQ(part->empty(), expected->empty());
        EXPECT_EQ(part->grids, expected->grids);
        if (part->empty()) continue;
        EXPECT_TRUE(part->values.view(-1).equal(at::tensor(expected->values)));
        EXPECT_EQ(part->values.size(1), data::kSoundValues);
        EXPECT_TRUE(part->rows.equal(at::tensor(expected->rows)));
        models::Workload alone{{}, on_host.supervised_tokens, {{kSound, expected->grids}}};
        flops += model.train_flops(alone);
      }
      EXPECT_GE(work.flops, flops);
    }
  });
}

TEST(MediaKinds, without_text_or_a_language_model_reach_the_device) {
  data::Batch batch;
  batch.input_ids = {0, 0};
  batch.labels = {0, 0};
  batch.weights = {0, 0};
  batch.position_ids = {0, 1};
  batch.segments = {{.start = 0, .length = 2, .mode = AttentionMode::full}};
  batch.media = {{kSound, {1, 2, 3, 4, 5, 6, 7, 8}, {{1, 4, 1}}, {}, {0, 1}}};
  batch.rows = batch.samples = 1;
  data::StepBatch step;
  step.micro_steps = {batch};
  const StepWork work = step_work(step, HearingModel(), *objectives::next_token(), at::kCPU, 2);
  ASSERT_EQ(work.micro_steps.size(), 1u);
  EXPECT_EQ(work.micro_steps[0].batch.supervised.numel(), 0);
  EXPECT_FALSE(work.micro_steps[0].batch.attention.causal);
  EXPECT_EQ(work.flops, 1000 * (3 * (2 + 8) + 40 + 7 * 16));
}

}  // namespace
}  // namespace lmms::step
