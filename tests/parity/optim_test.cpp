// Schedules against transformers and lmms_engine, AdamW against torch.
#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/tensor_io.h"
#include "optim/adamw.h"
#include "optim/learning_rate.h"
#include "optim/schedule.h"

namespace lmms {
namespace {

namespace fs = std::filesystem;
const fs::path kData = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data";

optim::ScheduleArguments arguments(const nlohmann::json& kwargs) {
  optim::ScheduleArguments a;
  for (const auto& [key, value] : kwargs.items()) {
    if (key == "num_cycles")
      a.num_cycles = value.get<double>();
    else if (key == "min_lr")
      a.min_lr = value.get<double>();
    else if (key == "min_lr_ratio" || key == "min_lr_rate")
      a.min_lr_ratio = value.get<double>();
    else if (key == "warmup_lr_rate")
      a.warmup_lr_rate = value.get<double>();
    else if (key == "lr_end")
      a.lr_end = value.get<double>();
    else if (key == "power")
      a.power = value.get<double>();
    else if (key == "timescale")
      a.timescale = value.get<double>();
    else if (key == "num_decay_steps")
      a.num_decay_steps = value.get<int64_t>();
    else if (key == "num_stable_steps")
      a.num_stable_steps = value.get<int64_t>();
    else if (key == "warmup_type")
      a.warmup_type = value.get<std::string>();
    else if (key == "decay_type")
      a.decay_type = value.get<std::string>();
    else if (key == "stable_ratio")
      a.stable_ratio = value.get<double>();
    else if (key == "start_factor")
      a.start_factor = value.get<double>();
    else if (key == "end_factor")
      a.end_factor = value.get<double>();
    else if (key == "mode")
      a.mode = value.get<std::string>();
    else if (key == "factor")
      a.factor = value.get<double>();
    else if (key == "patience")
      a.patience = value.get<int64_t>();
    else if (key == "threshold")
      a.threshold = value.get<double>();
    else if (key == "threshold_mode")
      a.threshold_mode = value.get<std::string>();
    else if (key == "cooldown")
      a.cooldown = value.get<int64_t>();
    else if (key == "warmup")
      a.warmup = value.get<int64_t>();
    else if (key == "max_lr")
      a.max_lr = value.get<double>();
    else if (key == "eps")
      a.eps = value.get<double>();
    else if (key == "smooth")
      a.smooth = value.get<bool>();
    else if (key == "window_size")
      a.window_size = value.get<int64_t>();
    else if (key == "reset_start")
      a.reset_start = value.get<int64_t>();
    else
      throw std::runtime_error("unknown argument " + key);
  }
  return a;
}

TEST(Schedules, give_the_multipliers_of_the_references) {
  std::ifstream in(kData / "schedules.json");
  size_t compared = 0, observed = 0;
  for (const nlohmann::json& one : nlohmann::json::parse(in)) {
    const bool compat = one["source"] == "lmms_engine";
    optim::ScheduleConfig config;
    config.lr_scheduler_type = one["name"];
    config.lr_scheduler_kwargs = arguments(one["kwargs"]);
    config.warmup_steps = one["warmup_steps"].get<double>();
    const double peak = one["learning_rate"];
    const int64_t total = one["total_steps"];
    optim::LearningRate learning_rate(config, peak, total, compat);
    const std::vector<double> theirs = one["multipliers"];
    const auto metrics = one.value("metrics", std::vector<double>());
    for (size_t step = 0; step < theirs.size(); ++step) {
      const double ours = learning_rate(static_cast<int64_t>(step),
                                        static_cast<double>(step) / static_cast<double>(total)) /
                          peak;
      EXPECT_NEAR(ours, theirs[step], 1e-12 * std::max(1.0, std::abs(theirs[step])))
          << one["source"] << " " << one["name"] << " " << one["kwargs"] << " warm-up "
          << one["warmup_steps"] << " step " << step;
      ++compared;
      if (metrics.empty()) continue;
      learning_rate.observe(metrics.at(step));
      ++observed;
    }
  }
  EXPECT_GT(compared, 1000u);
  EXPECT_GT(observed, 300u);
}

TEST(Schedules, run_on_progress_where_steps_are_not_known) {
  optim::ScheduleConfig config;
  config.lr_scheduler_type = "linear";
  config.warmup_ratio = 0.1;
  const optim::Schedule schedule(config, 1.0, std::nullopt);
  EXPECT_NEAR(schedule(3, 0.05), 0.5, 1e-6);
  EXPECT_NEAR(schedule(7, 0.1), 1.0, 1e-6);
  EXPECT_NEAR(schedule(9, 0.55), 0.5, 1e-6);
  config.lr_scheduler_type = "warmup_stable_decay";
  EXPECT_THROW(optim::Schedule(config, 1.0, std::nullopt), Error);
}

// Eight updates against those of make_adamw.py, apart by the last bit of the clip factor; with
// `module` in the settings these parameters are a group of their own.
void expect_updates_of_torch(const std::string& stored) {
  const auto file = checkpoint::SafetensorsFile::open(kData / stored).take();
  const nlohmann::json settings = nlohmann::json::parse(file.metadata().at("settings"));
  const auto tensor = [&](const std::string& name) {
    return models::to_tensor(*file.find(name), name);
  };
  const std::vector<std::string> names{"matrix", "wide", "norm", "bias"};

  std::vector<parallel::BucketEntry> entries;
  for (const std::string& name : names) {
    entries.push_back(
        {name, file.find("parameter.0." + name)->shape, name == "matrix" || name == "wide"});
  }
  std::vector<parallel::Bucket> buckets;
  buckets.emplace_back(parallel::BucketLayout{{"unit", at::kFloat, true}, at::kFloat}, entries,
                       at::kCPU);
  const auto segment = [&](const std::string& name) {
    for (size_t i = 0; i < names.size(); ++i) {
      if (buckets[0].segments()[i].entry.name == name) return i;
    }
    throw std::runtime_error(name);
  };
  for (const std::string& name : names)
    buckets[0].weight(segment(name)).copy_(tensor("parameter.0." + name));

  optim::OptimizerConfig config;
  config.adam_beta1 = settings.at("beta1");
  config.adam_beta2 = settings.at("beta2");
  config.adam_epsilon = settings.at("eps");
  config.weight_decay = settings.at("weight_decay");
  config.max_grad_norm = settings.at("max_grad_norm");
  std::vector<std::vector<optim::GroupRange>> groups;
  const bool grouped = settings.contains("module");
  if (grouped) {
    config.learning_rates = {{"module", 1.0, settings.at("module_weight_decay").get<double>()}};
    auto& ranges = groups.emplace_back();
    for (const parallel::BucketSegment& s : buckets[0].segments()) {
      const auto& module = settings.at("module");
      if (std::find(module.begin(), module.end(), s.entry.name) != module.end())
        ranges.push_back({s.offset, s.length, 1});
    }
  }
  optim::StepDecision decision(buckets, config.max_grad_norm);
  optim::Adamw adamw({.buckets = buckets, .config = config, .groups = groups});
  const at::Tensor rates = tensor("learning_rate");
  for (int64_t k = 1; k <= rates.numel(); ++k) {
    const std::string update = std::to_string(k);
    for (const std::string& name : names)
      buckets[0].gradient(segment(name)).copy_(tensor("gradient." + update + "." + name));
    std::vector<double> step{rates[k - 1].item<double>()};
    if (grouped) step.push_back(step[0] * settings.at("module_rate").get<double>());
    decision.decide(at::zeros({}, at::kFloat));
    adamw.update(decision, step);
    const double norm = tensor("norm." + update).item<double>();
    EXPECT_NEAR(decision.control().norm, norm, 1e-6 * norm) << update;
    for (const std::string& name : names) {
      const at::Tensor theirs = tensor("parameter." + update + "." + name);
      const double distance =
          (buckets[0].weight(segment(name)) - theirs).abs().max().item<double>();
      EXPECT_LE(distance, 1.2e-7) << name << " after update " << update;
    }
  }
  const auto states = adamw.states();  // first and second moment
  for (const std::string& name : names) {
    const at::Tensor m = tensor("exp_avg.8." + name), v = tensor("exp_avg_sq.8." + name);
    const auto of = [&](const at::Tensor& flat) { return buckets[0].view(flat, segment(name)); };
    EXPECT_LE((of(states[0].flats[0]) - m).norm().item<double>(),
              3e-7 * m.norm().item<double>() + 1e-12)
        << name;
    EXPECT_LE((of(states[1].flats[0]) - v).norm().item<double>(),
              2e-7 * v.norm().item<double>() + 1e-12)
        << name;
  }
  // the gaps between parameters stay zero: flat arithmetic over the bucket is exact
  at::Tensor rest = buckets[0].local().weights.clone();
  for (size_t i = 0; i < names.size(); ++i) {
    rest.narrow(0, buckets[0].segments()[i].offset, buckets[0].segments()[i].length).zero_();
  }
  EXPECT_EQ(rest.abs().max().item<double>(), 0.0);
}

TEST(Adamw, eight_updates_equal_those_of_torch) {
  expect_updates_of_torch("adamw.safetensors");
}

TEST(Adamw, eight_updates_of_groups_with_rates_of_their_own_equal_those_of_torch) {
  expect_updates_of_torch("adamw_groups.safetensors");
}

// As make_adamw.py makes them.
float long_gradient(int64_t k, int64_t i) {
  if (i % 6 == 5 && k % 50 != 0) return 0;
  return std::ldexp(static_cast<float>((k * 7919 + i * 104729 + k * k * 31) % 2001 - 1000),
                    static_cast<int>(-(10 + 3 * (i % 12))));
}

TEST(Adamw, thousands_of_updates_have_the_bits_of_torch) {
  const auto file = checkpoint::SafetensorsFile::open(kData / "adamw_long.safetensors").take();
  size_t compared = 0;
  for (const nlohmann::json& one : nlohmann::json::parse(file.metadata().at("cases"))) {
    const std::string name = one.at("name");
    const auto stored = [&](const std::string& what) {
      const checkpoint::TensorView* view = file.find(name + "." + what);
      return view != nullptr ? models::to_tensor(*view, what) : at::Tensor();
    };
    const at::Tensor start = stored("parameter.0");
    std::vector<parallel::Bucket> buckets;
    buckets.emplace_back(parallel::BucketLayout{{"unit", at::kFloat, true}, at::kFloat},
                         std::vector<parallel::BucketEntry>{{"p", {start.numel()}, true}},
                         at::kCPU);
    buckets[0].weight(0).copy_(start);
    optim::OptimizerConfig config;
    config.adam_beta1 = one.at("beta1");
    config.adam_beta2 = one.at("beta2");
    config.adam_epsilon = one.at("eps");
    config.weight_decay = one.at("weight_decay");
    config.max_grad_norm = 0;
    optim::StepDecision decision(buckets, config.max_grad_norm);
    optim::Adamw adamw({buckets, config});
    decision.set_counters(one.at("before"), 0);
    const int64_t updates = one.at("updates");
    const at::Tensor gradient = buckets[0].gradient(0);
    for (int64_t k = 1; k <= updates; ++k) {
      for (int64_t i = 0; i < start.numel(); ++i)
        gradient.mutable_data_ptr<float>()[i] = long_gradient(k, i);
      const double share = static_cast<double>(k) / (2.0 * static_cast<double>(updates));
      const double rate = one.at("rate").get<double>() * (1.0 - share);
      decision.decide(at::zeros({}, at::kFloat));
      adamw.update(decision, {&rate, 1});
      const at::Tensor theirs = stored("parameter." + std::to_string(k));
      if (!theirs.defined()) continue;
      EXPECT_TRUE(buckets[0].weight(0).equal(theirs)) << name << " after update " << k;
      ++compared;
    }
    const auto of = [&](const at::Tensor& flat) { return buckets[0].view(flat, 0); };
    const auto states = adamw.states();
    EXPECT_TRUE(of(states[0].flats[0]).equal(stored("exp_avg"))) << name;
    EXPECT_TRUE(of(states[1].flats[0]).equal(stored("exp_avg_sq"))) << name;
  }
  EXPECT_GT(compared, 50u);
}

}  // namespace
}  // namespace lmms
