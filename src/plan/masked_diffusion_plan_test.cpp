// A step of masked diffusion is rehearsed on meta tensors as any other.
#include <gtest/gtest.h>

#include "objectives/masked_diffusion_testing.h"
#include "optim/adamw.h"
#include "plan/card.h"
#include "plan/rehearsal.h"
#include "step/small_steps_testing.h"
#include "step/step_work.h"

namespace lmms::plan {
namespace {

TEST(MaskedRehearsal, takes_what_a_step_takes_and_more_for_what_sees_more) {
  const nlohmann::json config = step::small_text_model();
  const auto model = models::model_entry(config, "test").make(config, "test");
  const text::Tokenizer tokenizer = objectives::letters(64);
  std::vector<data::Sample> samples;
  for (const int32_t n : {900, 700, 450}) samples.push_back(objectives::made_text(n, n, 60));
  const auto cost_of = [&](int64_t block_length) {
    objectives::ObjectiveSetup setup{.model = *model, .tokenizer = &tokenizer};
    setup.config.masked_diffusion.block_length = block_length;
    PlannedRun run;
    run.make_model = [&] { return models::model_entry(config, "test").make(config, "test"); };
    run.network_options = [](int64_t) {
      step::NetworkOptions options;
      options.name = objectives::kMainNetwork;
      options.memory.dtype = options.memory.gradient_dtype = at::kBFloat16;
      options.make_optimizer = optim::make_adamw;
      return options;
    };
    run.objective = masked_diffusion(setup);
    const data::StepBatch batch = objectives::drawn_step(*run.objective, samples, true);
    Rehearsal rehearsal(run, 1, card_named("h100"));
    const StepCost cost = rehearsal.step(batch, {});
    EXPECT_EQ(cost.flops, step::step_work(batch, *model, *run.objective, at::kCPU).flops);
    EXPECT_EQ(cost.tokens, batch.tokens);
    EXPECT_GT(cost.peak_bytes, cost.persistent_bytes);
    return cost;
  };
  const StepCost whole = cost_of(0), blocks = cost_of(32);
  EXPECT_GT(blocks.tokens, 2 * whole.tokens * 9 / 10);
  EXPECT_GT(blocks.peak_bytes, whole.peak_bytes);
}

}  // namespace
}  // namespace lmms::plan
