#include "plan/plan.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "kernels/device_facts.h"
#include "models/registry_testing.h"
#include "optim/adamw.h"
#include "plan/memory_adviser.h"
#include "step/small_steps_testing.h"

namespace lmms::plan {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

/// In bf16, as `lmms train` trains it.
PlannedRun run_of(const nlohmann::json& model, bool masters = true) {
  PlannedRun run;
  run.make_model = [model] { return models::model_entry(model, "test").make(model, "test"); };
  run.network_options = [](int64_t micro_steps) {
    step::NetworkOptions options;
    options.name = objectives::kMainNetwork;
    options.memory.dtype = at::kBFloat16;
    options.memory.gradient_dtype = micro_steps == 1 ? at::kBFloat16 : at::kFloat;
    options.make_optimizer = optim::make_adamw;
    return options;
  };
  run.masters = masters;
  run.objective = objectives::next_token();
  return run;
}

/// Images for a model that sees.
int64_t images_for(const nlohmann::json& model) {
  return model.contains("vision_config") ? 8 : 0;
}

TEST(Choices, are_the_same_on_a_rank_that_reads_them) {
  Choice choice;
  choice.context.of_unit["model.layers.1"] = nn::Keep::inputs;
  choice.notice = "less is kept";
  nn::RunContext before{nn::Keep::everything, {{"model.root", nn::Keep::attention}}, {}};
  before.kernels.loss = kernels::Form::plain;
  const Choice read = choice_from(text_of(choice), before);
  EXPECT_EQ(read.notice, choice.notice);
  EXPECT_EQ(read.context.keep, choice.context.keep);
  EXPECT_EQ(read.context.of_unit, choice.context.of_unit);
  EXPECT_EQ(read.context.kernels, before.kernels) << "the rank's own";
}

/// What is said of a card that cannot be named so.
std::string refusal(const std::string& name) {
  try {
    card_named(name);
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

TEST(Cards, are_found_by_name_and_cut_to_slices) {
  const Card whole = card_named("H100"), slice = card_named("h100:3g.40gb");
  EXPECT_EQ(whole.peak_flops_per_second, 989e12);
  EXPECT_DOUBLE_EQ(slice.peak_flops_per_second, 989e12 * 3 / 7);
  EXPECT_EQ(slice.memory_bytes, whole.memory_bytes / 2);
  EXPECT_DOUBLE_EQ(slice.copy_bytes_per_second, whole.copy_bytes_per_second / 2);
  EXPECT_EQ(slice.processors, 56);
  EXPECT_EQ(card_named("a100:1g.10gb").memory_bytes, card_named("a100").memory_bytes / 8);
}

TEST(Cards, that_are_not_known_name_the_nearest) {
  EXPECT_NE(refusal("h20o").find("did you mean 'h200'?"), std::string::npos);
  EXPECT_NE(refusal("h100:5g.50gb").find("h100 has no slice of 5g.50gb"), std::string::npos);
  EXPECT_NE(refusal("tpu").find("measured: h100, h200; by data sheet"), std::string::npos);
}

TEST(Cards, by_data_sheet_say_so_and_have_sums_in_fp32) {
  for (const std::string& name : known_cards()) {
    const Card card = card_named(name);
    EXPECT_EQ(card.measured, name == "h100" || name == "h200") << name;
    EXPECT_LT(card.product_flops_per_second, card.peak_flops_per_second) << name;
    EXPECT_LT(card.attention_flops_per_second, card.product_flops_per_second) << name;
    EXPECT_GT(usable_bytes(card), int64_t{18} << 30) << name;
    EXPECT_LT(usable_bytes(card), card.memory_bytes) << name;
  }
  EXPECT_EQ(card_named("RTX 4090").peak_flops_per_second, 165.2e12) << "half of fp16's";
  EXPECT_EQ(card_named("rtx-5090").compute_major, 12);
  EXPECT_EQ(card_named("l4").copy_bytes_per_second, 0.83 * 300e9);
}

TEST(Cards, that_the_driver_names_are_found_or_told_to_be_unknown) {
  const int64_t free = int64_t{20} << 30;
  kernels::GpuFacts gpu;
  gpu.name = "NVIDIA GeForce RTX 3090";
  gpu.major = 8;
  gpu.processors = 82;
  gpu.free_bytes = free;
  const Card unknown = card_of(gpu);
  EXPECT_FALSE(unknown.known);
  EXPECT_FALSE(unknown.measured);
  EXPECT_EQ(unknown.compute_major, 8) << "its own: kernels are chosen by it";
  EXPECT_EQ(unknown.processors, 82);
  EXPECT_EQ(unknown.memory_bytes, free);
  EXPECT_EQ(unknown.peak_flops_per_second, card_named("h100").peak_flops_per_second);
  gpu.name = "NVIDIA H200";
  gpu.major = 9;
  const Card h200 = card_of(gpu);
  EXPECT_TRUE(h200.known && h200.measured);
  EXPECT_EQ(h200.memory_bytes, free);
}

TEST(Cards, without_slices_and_mistyped_ones_are_refused_with_a_cure) {
  EXPECT_NE(refusal("l40s:3g.24gb").find("l40s has no slices"), std::string::npos);
  EXPECT_NE(refusal("4090").find("did you mean 'rtx-4090'?"), std::string::npos);
  EXPECT_NE(refusal("nvidia-l4").find("did you mean 'l4'?"), std::string::npos);
}

TEST(Meter, counts_bytes_as_the_caching_allocator_rounds_them) {
  const Meter meter(card_named("h100"));
  const auto options = at::TensorOptions().device(at::kMeta).dtype(at::kBFloat16);
  const int64_t before = meter.live_bytes();
  {
    const at::Tensor a = at::empty({1000}, options);  // 2,000 bytes
    EXPECT_EQ(meter.live_bytes() - before, 2048);
    const at::Tensor view = a.view({10, 100}).narrow(0, 2, 3);
    EXPECT_EQ(meter.live_bytes() - before, 2048);
    const at::Tensor b = at::empty({1}, options);
    EXPECT_EQ(meter.live_bytes() - before, 2560);
  }
  EXPECT_EQ(meter.live_bytes(), before);
  EXPECT_EQ(meter.peak_bytes() - before, 2560);
}

TEST(Meter, tells_products_from_passes_and_views_from_both) {
  const Card card = card_named("h100");
  Meter meter(card);
  const auto options = at::TensorOptions().device(at::kMeta).dtype(at::kBFloat16);
  const at::Tensor a = at::empty({8192, 8192}, options);
  EXPECT_EQ(meter.seconds().total(), 0);
  (void)at::mm(a, a);
  const Seconds product = meter.seconds();
  EXPECT_EQ(product.passes, 0);
  const double rate = 2 * std::pow(8192.0, 3) / product.products;
  EXPECT_GT(rate, 0.85 * card.product_flops_per_second);
  EXPECT_LE(rate, card.product_flops_per_second);

  meter.reset_seconds();
  at::Tensor b = a.view({-1}).narrow(0, 0, 1 << 25).detach().t().contiguous();
  EXPECT_EQ(meter.seconds().total(), 0);
  b.zero_();
  const double zeroed = meter.seconds().passes;
  b.add_(b);
  EXPECT_NEAR(meter.seconds().passes - zeroed, 3 * zeroed, 1e-12);
  EXPECT_EQ(meter.seconds().products, 0);
}

TEST(Rehearsals, hold_what_a_run_holds) {
  for (const nlohmann::json& model : {step::small_text_model(), step::small_seeing_model()}) {
    for (const bool masters : {true, false}) {
      Rehearsal rehearsal(run_of(model, masters), 1, card_named("h200"));
      const int64_t bytes = rehearsal.network_size().bytes();
      const StepCost cost = rehearsal.step(step::small_step({300, 212}), {});
      // beside them the optimiser's tables
      EXPECT_GE(cost.persistent_bytes, bytes);
      EXPECT_LT(cost.persistent_bytes, bytes + (1 << 20));
      EXPECT_GT(cost.peak_bytes, cost.persistent_bytes);
    }
  }
}

TEST(Rehearsals, find_that_less_kept_takes_less_memory_and_more_time) {
  for (const nlohmann::json& model : {step::small_text_model(), step::small_seeing_model()}) {
    Rehearsal rehearsal(run_of(model), 1, card_named("h200"));
    const data::StepBatch batch = step::small_step({3000, 1096}, images_for(model));
    StepCost before;
    before.peak_bytes = kNoLimit;
    for (const nn::Keep keep : nn::kKeeps) {
      nn::RunContext context;
      context.keep = keep;
      const StepCost cost = rehearsal.step(batch, context);
      EXPECT_LT(cost.peak_bytes, before.peak_bytes);
      EXPECT_GT(cost.total_seconds(), before.total_seconds());
      EXPECT_EQ(rehearsal.step(batch, context).peak_bytes, cost.peak_bytes) << "again";
      before = cost;
    }
  }
}

TEST(Rehearsals, cost_what_a_micro_step_costs_for_each_micro_step) {
  data::StepBatch two = step::small_step({3000, 1096});
  Rehearsal rehearsal(run_of(step::small_text_model()), 2, card_named("h200"));
  const StepCost one = rehearsal.step(two, {});
  two.micro_steps.push_back(two.micro_steps.front());
  const StepCost both = rehearsal.step(two, {});
  EXPECT_NEAR(both.seconds.total(), 2 * one.seconds.total(), 1e-5);
  EXPECT_NEAR(both.update_seconds, one.update_seconds, 1e-12);
  EXPECT_DOUBLE_EQ(both.flops, 2 * one.flops);
}

TEST(LeastRecompute, does_nothing_where_all_fits) {
  Rehearsal rehearsal(run_of(step::small_text_model()), 1, card_named("h200"));
  const Fit fit = least_recompute(rehearsal, step::small_step({4096}), {}, kNoLimit);
  EXPECT_TRUE(fit.fits);
  EXPECT_EQ(fit.recompute, "nothing");
  EXPECT_TRUE(fit.context.of_unit.empty());
}

TEST(LeastRecompute, frees_no_more_than_is_needed) {
  for (const nlohmann::json& model : {step::small_text_model(), step::small_seeing_model()}) {
    Rehearsal rehearsal(run_of(model), 1, card_named("h200"));
    const data::StepBatch batch = step::small_step({3000, 1096}, images_for(model));
    nn::RunContext full;
    full.keep = nn::Keep::inputs;
    nn::RunContext all;
    all.keep = nn::Keep::everything;
    const int64_t most = rehearsal.step(batch, all).peak_bytes,
                  least = rehearsal.step(batch, full).peak_bytes;
    double seconds = 0;
    for (const double share : {0.95, 0.7, 0.4, 0.05}) {
      const auto budget = least + static_cast<int64_t>(share * static_cast<double>(most - least));
      const Fit fit = least_recompute(rehearsal, batch, {}, budget);
      ASSERT_TRUE(fit.fits) << share;
      EXPECT_LE(fit.cost.peak_bytes, budget);
      EXPECT_GE(fit.cost.total_seconds(), seconds);
      seconds = fit.cost.total_seconds();
      // each unit that keeps less is needed: with any one of them back nothing fits, or it is one
      // of the cheaper kind
      size_t needed = 0;
      for (const auto& [unit, keep] : fit.context.of_unit) {
        nn::RunContext without = fit.context;
        without.of_unit.erase(unit);
        if (rehearsal.step(batch, without).peak_bytes > budget) ++needed;
      }
      EXPECT_GT(needed, 0u) << share;
    }
    const Fit none = least_recompute(rehearsal, batch, {}, least / 2);
    EXPECT_FALSE(none.fits);
  }
}

TEST(LeastRecompute, says_what_it_runs_again) {
  Rehearsal rehearsal(run_of(step::small_text_model()), 1, card_named("h200"));
  nn::RunContext context;
  context.of_unit = {{"model.layers.0", nn::Keep::inputs},
                     {"model.layers.1", nn::Keep::attention},
                     {"model.layers.2", nn::Keep::attention}};
  EXPECT_EQ(
      recompute_text(context, rehearsal.unit_groups()),
      "1 of 6 model.layers.*, the MLPs of 2 of 6 model.layers.*, norms and activations of 3 of "
      "6 model.layers.*");
}

TEST(Alternatives, are_those_that_fit_the_quickest_first) {
  const PlannedRun run = run_of(step::small_text_model());
  const data::StepBatch batch = step::small_step({4096});
  Card card = card_named("h200");
  int64_t plain = 0;
  {
    Rehearsal rehearsal(run, 1, card);
    plain = rehearsal.step(batch, {}).peak_bytes;
  }
  card.memory_bytes =
      plain + (int64_t{1} << 30);  // the context's share and the allocator's take it
  const std::vector<Alternative> found = alternatives(run, card, batch);
  ASSERT_FALSE(found.empty());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_TRUE(found[i].fit.fits);
    EXPECT_LE(found[i].fit.cost.peak_bytes, usable_bytes(card));
    if (i > 0) {
      EXPECT_LE(found[i - 1].fit.cost.total_seconds(), found[i].fit.cost.total_seconds());
    }
  }
  card.memory_bytes = int64_t{1} << 30;
  EXPECT_TRUE(alternatives(run, card, batch).empty());
}

/// A CPU whose rates don't matter, with this much memory.
Card some_cpu(int64_t memory_bytes = kNoLimit) {
  Card card;
  card.name = "a CPU";
  card.memory_bytes = memory_bytes;
  card.reserved_bytes = 0;
  card.peak_flops_per_second = card.product_flops_per_second = 100e9;
  card.attention_flops_per_second = 50e9;
  card.copy_bytes_per_second = 10e9;
  card.processors = 2;
  card.compute_major = 0;
  return card;
}

/// In fp32, as a config without bf16 trains it.
PlannedRun run_in_fp32(const nlohmann::json& model) {
  PlannedRun run = run_of(model);
  const auto in_bf16 = run.network_options;
  run.network_options = [in_bf16](int64_t micro_steps) {
    step::NetworkOptions options = in_bf16(micro_steps);
    options.memory.dtype = options.memory.gradient_dtype = at::kFloat;
    return options;
  };
  return run;
}

/// The most bytes that tensors of this thread had on the CPU while it lives.
class CpuTensors {
 public:
  int64_t peak() const { return count_->peak; }

 private:
  struct Count : c10::MemoryReportingInfoBase {
    void reportMemoryUsage(void*, int64_t bytes, size_t, size_t, c10::Device) override {
      live += bytes;
      peak = std::max(peak, live);
    }
    bool memoryProfilingEnabled() const override { return true; }
    int64_t live = 0, peak = 0;
  };
  const std::shared_ptr<Count> count_ = std::make_shared<Count>();
  const c10::DebugInfoGuard guard_{c10::DebugInfoKind::PROFILER_STATE, count_};
};

// What a rehearsal counts is what the same step takes of the allocator of the CPU.
TEST(CpuRehearsals, take_what_the_step_takes_on_the_cpu) {
  for (const nlohmann::json& model : {step::small_text_model(), step::small_seeing_model()}) {
    for (const bool wide : {false, true}) {
      const PlannedRun run = wide ? run_in_fp32(model) : run_of(model);
      const data::StepBatch batch = step::small_step({500, 268}, images_for(model));
      for (const nn::Keep keep : {nn::Keep::products, nn::Keep::inputs}) {
        nn::RunContext context;
        context.keep = keep;
        StepCost planned;
        {
          Rehearsal rehearsal(run, 1, some_cpu());
          planned = rehearsal.step(batch, context);
        }
        const CpuTensors tensors;
        (void)try_steps(run, {&batch, 1}, context, 0, 1);
        const auto taken = static_cast<double>(tensors.peak() - planned.persistent_bytes);
        const auto counted = static_cast<double>(planned.peak_bytes - planned.persistent_bytes);
        EXPECT_NEAR(counted / taken, 1, 0.15)
            << model.at("model_type") << (wide ? " fp32" : " bf16") << " keep "
            << static_cast<int>(keep) << ": " << counted << " of " << taken;
      }
    }
  }
}

TEST(CpuRehearsals, leave_the_meta_device_to_gpus) {
  const PlannedRun run = run_of(step::small_text_model());
  const data::StepBatch batch = step::small_step({300});
  const auto on_gpu = [&] {
    Rehearsal rehearsal(run, 1, card_named("h200"));
    return rehearsal.step(batch, {}).peak_bytes;
  };
  const int64_t before = on_gpu();
  { (void)Rehearsal(run, 1, some_cpu()).step(batch, {}); }
  EXPECT_EQ(on_gpu(), before);
}

TEST(Trials, take_at_least_one_step_and_no_more_than_asked) {
  const PlannedRun run = run_in_fp32(step::small_text_model());
  const data::StepBatch batch = step::small_step({64});
  EXPECT_EQ(try_steps(run, {&batch, 1}, {}, 0, 5).steps, 1);
  const Trial trial = try_steps(run, {&batch, 1}, {}, 1e9, 3);
  EXPECT_EQ(trial.steps, 3);
  EXPECT_EQ(trial.tokens, 3 * batch.tokens);
  EXPECT_GT(trial.seconds_a_step(), 0);
}

TEST(Alternatives, of_a_cpu_are_what_the_config_has_not_asked_for) {
  const data::StepBatch batch = step::small_step({4096});
  PlannedRun run = run_in_fp32(step::small_text_model());
  const auto bytes = [&](nn::Keep keep) {
    nn::RunContext context;
    context.keep = keep;
    Rehearsal rehearsal(run, 1, some_cpu());
    return rehearsal.step(batch, context).peak_bytes;
  };
  const int64_t all = bytes(nn::Keep::products), least = bytes(nn::Keep::inputs);
  const std::vector<Alternative> found = alternatives(run, some_cpu((all + least) / 2), batch);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.front().change, "trainer_args.gradient_checkpointing=true");
  EXPECT_TRUE(alternatives(run, some_cpu(least / 2), batch).empty());
  run.context.keep = nn::Keep::inputs;
  EXPECT_TRUE(alternatives(run, some_cpu(least / 2), batch).empty());
}

}  // namespace
}  // namespace lmms::plan
