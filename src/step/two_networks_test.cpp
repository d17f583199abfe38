// A generator and a discriminator of one matrix each: what phases, terms, draws and files of
// several networks must be able to do.
#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/zeros_like.h>
#include <c10/util/Exception.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint/checkpoint_dir.h"
#include "data/data_testing.h"
#include "data/loader.h"
#include "kernels/linear/linear.h"
#include "nn/scope.h"
#include "optim/adamw.h"
#include "step/state_files.h"
#include "step/step.h"
#include "step/step_work.h"

namespace lmms::step {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kValues = 6, kRecords = 20;
constexpr const char* kDiscriminator = "discriminator";

/// y = x W^T, for every sample.
class Matrix final : public models::Model {
 public:
  Matrix(const std::string& unit, int64_t outputs)
      : Model({{"model_type", "matrix"}, {"outputs", outputs}}, "Matrix"),
        weight_(params_.add(unit, unit + ".weight", {outputs, kValues},
                            {.law = nn::Init::Law::normal, .std = 0.3}, nn::ParamClass::matrix)) {}

  at::Tensor operator()(const at::Tensor& x, const nn::RunContext& run) const {
    const nn::Scope opened = nn::scope(run, weight_.unit);
    const kernels::Weight weight = weight_.handle();
    return kernels::linear(x.to(weight.value.scalar_type()), {.weight = weight, .bias = {}})
        .to(at::kFloat);
  }
  double train_flops(const models::Workload&) const override { return 0; }
  double lmms_engine_flops(const models::Workload&) const override { return 0; }

 private:
  const nn::Param& weight_;
};

/// Noise for the generator, and whether a sample is reconstructed: of half of them.
class NoiseAndChoice final : public data::Drawing {
 public:
  std::string name() const override { return "noise and choice, of one half"; }
  void draw(data::Sample& sample, const data::DrawKey& key) const override {
    std::vector<float>& noise = sample.extras["noise"];
    noise.clear();
    for (int64_t i = 0; i < kValues; ++i)
      noise.push_back(static_cast<float>(key.normal(rng::Purpose::noise, i)));
    const bool chosen = key.uniform(rng::Purpose::condition, 0) < 0.5;
    sample.extras["chosen"] = {chosen ? 1.0f : 0.0f};
    sample.counts = {{"samples", 1.0}, {"chosen", chosen ? 1.0 : 0.0}};
  }
};

/// Hinge losses, and the distance to the samples that were chosen.
class Adversarial final : public objectives::Objective {
 public:
  enum : size_t { kReconstruction, kGenerator, kJudgement };

  const char* name() const override { return "adversarial"; }
  void check(const models::Model&, const std::string&) const override {}
  const std::vector<objectives::Phase>& phases() const override { return phases_; }
  const std::vector<objectives::Term>& terms() const override { return terms_; }
  std::shared_ptr<const data::Drawing> drawing() const override {
    return std::make_shared<NoiseAndChoice>();
  }
  bool needs_targets() const override { return false; }

 private:
  using Context = objectives::StepContext;

  static at::Tensor rows(const Context& context, const char* name) {
    const nn::RaggedInput& extra = context.batch().extras.at(name);
    return extra.values.view({static_cast<int64_t>(extra.lengths.size()), -1});
  }
  static at::Tensor made(const Context& context) {
    const auto& model = dynamic_cast<const Matrix&>(context.model(objectives::kMainNetwork));
    return model(rows(context, "noise"), context.run());
  }
  static at::Tensor judged(const Context& context, const at::Tensor& x) {
    return dynamic_cast<const Matrix&>(context.model(kDiscriminator))(x, context.run());
  }

  static void train_discriminator(Context& context) {
    const at::Tensor real = judged(context, rows(context, "x")),
                     fake = judged(context, made(context).detach());
    const at::Tensor loss =
        (at::relu(1 - real) + at::relu(1 + fake)).div(context.denominator(kJudgement)).sum();
    context.add(kJudgement, loss);
    context.backward(loss);
  }
  static void train_generator(Context& context) {
    const at::Tensor fake = made(context);
    const at::Tensor weights = rows(context, "chosen").div(context.denominator(kReconstruction));
    const at::Tensor distance = ((fake - rows(context, "x")).square() * weights).sum();
    const at::Tensor fooled =
        -judged(context, fake).mul(0.1 / context.denominator(kGenerator)).sum();
    context.add(kReconstruction, distance);
    context.add(kGenerator, fooled);
    context.backward(distance + fooled);
  }

  std::vector<objectives::Phase> phases_{{kDiscriminator, train_discriminator},
                                         {objectives::kMainNetwork, train_generator}};
  std::vector<objectives::Term> terms_{{.name = "reconstruction", .counted_as = "chosen"},
                                       {.name = "fooled", .counted_as = "samples"},
                                       {.name = "judgement", .counted_as = "samples"}};
};

/// {x: numbers} -> the numbers, and one token.
class Numbers final : public data::Processor {
 public:
  Result<data::Measured> measure(const data::Record& record) const override {
    return data::measure_sample(*process(record));
  }
  Result<data::Sample> process(const data::Record& record) const override {
    data::Sample sample;
    sample.origin = record.origin;
    sample.text.input_ids = {1};
    sample.text.labels = {data::kIgnore};
    sample.extras["x"] = record.fields.at("x").get<std::vector<float>>();
    return sample;
  }
  Result<data::Sample> prompt(const data::Conversation&) const override {
    return Fault{"", "no chat", ""};
  }
};

data::Loader loader_of(const objectives::Objective& objective, int64_t rows_per_micro_step) {
  auto records = data::dataset_of(kRecords, [](int64_t row) {
    std::vector<float> x;
    for (int64_t i = 0; i < kValues; ++i)
      x.push_back(static_cast<float>((row * 7 + i * 3) % 11) / 11.0f);
    return Result<nlohmann::json>(nlohmann::json{{"x", x}});
  });
  data::LoaderOptions options;
  options.global_rows = 4;
  options.rows_per_micro_step = rows_per_micro_step;
  options.max_steps = 8;
  objectives::set_loading(objective, /*seed=*/7, options);
  return {std::move(records), std::make_shared<Numbers>(), options};
}

/// SGD with momentum: one number for each weight.
class Momentum final : public optim::Optimizer {
 public:
  explicit Momentum(const optim::OptimizerSetup& setup) : buckets_(setup.buckets) {
    for (const parallel::Bucket& bucket : buckets_)
      momentum_.push_back(at::zeros_like(bucket.local().exact()));
  }
  const char* name() const override { return "Momentum"; }
  void update(const optim::StepDecision& decision, std::span<const double> learning_rates,
              kernels::GradientSlots) override {
    const kernels::StepControl control = decision.control();
    if (control.skip != 0) return;
    for (size_t b = 0; b < buckets_.size(); ++b) {
      const parallel::Local& local = buckets_[b].local();
      momentum_[b].mul_(0.9).add_(local.gradients, control.clip);
      local.exact().sub_(momentum_[b], learning_rates.front());
      if (local.masters.defined()) local.weights.copy_(local.masters);
    }
  }
  std::vector<optim::OptimizerState> states() const override { return {{"momentum", momentum_}}; }

 private:
  std::span<parallel::Bucket> buckets_;
  std::vector<at::Tensor> momentum_;
};

std::unique_ptr<optim::Optimizer> make_momentum(const optim::OptimizerSetup& setup) {
  return std::make_unique<Momentum>(setup);
}

TrainState two_networks(at::ScalarType dtype,
                        optim::OptimizerFactory of_the_judge = optim::make_adamw) {
  TrainState state;
  NetworkOptions options;
  options.name = objectives::kMainNetwork;
  options.memory.dtype = dtype;
  options.make_optimizer = optim::make_adamw;
  options.seed = 3;
  options.ema.ema_enabled = true;
  options.ema.ema_decay = 0.9;
  state.networks.push_back(
      make_network(std::make_unique<Matrix>("generator", kValues), options, {}));
  options.name = options.saved_in = kDiscriminator;
  options.make_optimizer = of_the_judge;
  options.ema.ema_enabled = false;
  state.networks.push_back(make_network(std::make_unique<Matrix>("judge", 1), options, {}));
  for (Network& network : state.networks)
    network.schedule.emplace(optim::ScheduleConfig{}, 1e-2, 8);
  return state;
}

/// Trains the steps that the loader has until `last`; the loader's state behind it, and the values
/// of the last step.
struct Trained {
  std::string loader;
  objectives::StepValues values;
};
Trained train(TrainState& state, const objectives::Objective& objective, data::Loader& loader,
              int64_t last) {
  Trained out;
  while (const auto batch = loader.next()) {
    const StepWork work = step_work(*batch, *state.main().model, objective, at::kCPU);
    std::vector<std::vector<double>> rates;
    for (const Network& network : state.networks)
      rates.push_back(learning_rates(network, batch->step - 1, batch->progress_before));
    out.values = train_step(state, objective, *plain_runner(), work.micro_steps, {}, rates);
    for (Network& network : state.networks)
      if (network.ema) network.ema->after_update(batch->step, network.decision->skipped());
    out.loader = batch->state();
    if (batch->step == last) break;
  }
  return out;
}

/// All that a training is, in order.
std::vector<at::Tensor> tensors_of(const TrainState& state) {
  std::vector<at::Tensor> out;
  for (const Network& network : state.networks) {
    for (size_t b = 0; b < network.memory.buckets.size(); ++b) {
      const parallel::Local& local = network.memory.buckets[b].local();
      out.insert(out.end(), {local.weights.clone(), local.exact().clone()});
      for (const optim::OptimizerState& optimizer : network.optimizer->states())
        out.push_back(optimizer.flats[b].clone());
      if (network.ema) out.push_back(network.ema->stored(b).clone());
    }
  }
  return out;
}

TEST(TwoNetworks, take_turns_and_both_learn) {
  const Adversarial objective;
  TrainState state = two_networks(at::kFloat);
  const std::vector<at::Tensor> before = tensors_of(state);
  data::Loader loader = loader_of(objective, 4);
  const Trained first = train(state, objective, loader, 1);
  for (const Network& network : state.networks) {
    EXPECT_EQ(network.decision->control().applied, 1) << network.name;
    EXPECT_GT(network.decision->control().norm, 0) << network.name;
  }
  // every term is there; the loss is that of the first network's phase
  for (const at::Tensor& term : first.values.terms) ASSERT_TRUE(term.defined());
  EXPECT_FLOAT_EQ(first.values.loss.item<float>(),
                  (first.values.terms[Adversarial::kReconstruction] +
                   first.values.terms[Adversarial::kGenerator])
                      .item<float>());
  EXPECT_FLOAT_EQ(static_cast<float>(state.at(kDiscriminator).decision->control().loss),
                  first.values.terms[Adversarial::kJudgement].item<float>());
  train(state, objective, loader, 8);
  const std::vector<at::Tensor> after = tensors_of(state);
  for (size_t i = 0; i < after.size(); ++i) EXPECT_FALSE(after[i].equal(before[i])) << i;
  for (const Network& network : state.networks) {
    for (const nn::Param& param : network.model->params().all())
      EXPECT_TRUE(param.trainable && param.leaf().requires_grad())
          << "only for other phases frozen";
  }
}

TEST(TwoNetworks, add_no_gradient_where_only_that_of_what_lies_between_is_asked_for) {
  const TrainState state = two_networks(at::kFloat);
  for (const Network& network : state.networks)
    for (const parallel::Bucket& bucket : network.memory.buckets)
      bucket.whole().gradients.fill_(1);  // of micro-steps before this one
  const auto& generator = dynamic_cast<const Matrix&>(*state.networks[0].model);
  const auto& judge = dynamic_cast<const Matrix&>(*state.networks[1].model);
  const std::vector<objectives::NamedModel> models = state.models();
  const nn::Batch batch;
  const nn::RunContext run;
  objectives::StepValues values;
  objectives::StepContext context({.models = models, .batch = batch, .run = run}, values);

  const at::Tensor hidden = generator(at::ones({2, kValues}), run);
  const at::Tensor loss = judge(hidden, run).sum();
  const std::vector<at::Tensor> of{hidden};
  const std::vector<at::Tensor> gradients = context.grad_of(loss, of);
  const at::Tensor& weight = judge.params().all()[0].leaf();
  ASSERT_EQ(gradients.size(), 1u);
  EXPECT_TRUE(gradients[0].equal(weight.detach().expand({2, kValues})));
  for (const Network& network : state.networks) {
    for (const nn::Param& param : network.model->params().all())
      EXPECT_TRUE(param.leaf().grad().equal(at::ones_like(param.leaf()))) << param.name;
  }
  context.backward(loss);
  EXPECT_TRUE(weight.grad().allclose(hidden.detach().sum(0, /*keepdim=*/true) + 1));
}

TEST(TwoNetworks, of_many_micro_steps_equal_those_of_one_large_batch) {
  const Adversarial objective;
  TrainState large = two_networks(at::kFloat), small = two_networks(at::kFloat);
  data::Loader one = loader_of(objective, 4), four = loader_of(objective, 1);
  const Trained large_values = train(large, objective, one, 4),
                small_values = train(small, objective, four, 4);
  const auto a = tensors_of(large), b = tensors_of(small);
  for (size_t i = 0; i < a.size(); ++i) {
    const double distance = (a[i] - b[i]).abs().max().item<double>();
    EXPECT_LE(distance, 1e-5 * (a[i].abs().max().item<double>() + 1e-3)) << i;
  }
  for (size_t t = 0; t < large_values.values.terms.size(); ++t) {
    EXPECT_NEAR(large_values.values.terms[t].item<double>(),
                small_values.values.terms[t].item<double>(), 1e-5);
  }
}

TEST(TwoNetworks, know_the_denominator_of_each_term_before_the_first_backward) {
  const Adversarial objective;
  data::Loader loader = loader_of(objective, 1);
  double chosen = 0;
  const auto batch = loader.next();
  for (const data::Batch& micro : batch->micro_steps) {
    EXPECT_EQ(micro.extras.at("noise").lengths, std::vector<int64_t>{kValues});
    chosen += static_cast<double>(micro.extras.at("chosen").values.at(0));
  }
  const auto rows = objectives::denominators_of(objective, *batch, /*ranks=*/1);
  ASSERT_EQ(rows.size(), 4u);
  for (const auto& row : rows) EXPECT_EQ(row, (std::vector{std::max(chosen, 1.0), 4.0, 4.0}));
}

class FolderOfRun : public testing::Test {
 protected:
  FolderOfRun()
      : folder_(fs::temp_directory_path() / ("two_networks_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
  }
  ~FolderOfRun() override { fs::remove_all(folder_); }

  /// 8 steps at once, and 3 and 5 of them with a checkpoint between, which has these files of the
  /// optimisers: the same bits.
  void expect_to_go_on(at::ScalarType dtype, optim::OptimizerFactory of_the_judge,
                       const std::vector<std::string>& optimizer_files) {
    const Adversarial objective;
    TrainState whole = two_networks(dtype, of_the_judge);
    data::Loader loader = loader_of(objective, 2);
    train(whole, objective, loader, 8);

    TrainState first = two_networks(dtype, of_the_judge);
    data::Loader begun = loader_of(objective, 2);
    const std::string at = train(first, objective, begun, 3).loader;
    StateFiles files(first, {.output = folder_, .saved_as = dtype});
    checkpoint::PendingCheckpoint pending(folder_, 3);
    files.write(pending, 3, {{"loader", at}});
    const checkpoint::Checkpoint saved = pending.commit();
    for (const char* file :
         {"model.safetensors", "ema/model.safetensors", "discriminator/model.safetensors"})
      EXPECT_TRUE(fs::exists(saved.path / file)) << file;
    for (const std::string& file : optimizer_files)
      EXPECT_TRUE(fs::exists(saved.path / "resume" / (file + ".safetensors"))) << file;
    std::ifstream values(saved.path / "resume/state.json");
    EXPECT_EQ(nlohmann::json::parse(values).at("networks").at(kDiscriminator).at("applied_updates"),
              3);

    TrainState second = two_networks(dtype, of_the_judge);
    StateFiles(second, {.output = folder_, .saved_as = dtype}).restore(saved);
    second.main().decision->set_counters(3, 0);  // the run keeps those of its first network
    EXPECT_EQ(second.at(kDiscriminator).decision->control().applied, 3);
    data::Loader rest = loader_of(objective, 2);
    rest.restore(at);
    train(second, objective, rest, 8);
    const auto a = tensors_of(whole), b = tensors_of(second);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(a[i].equal(b[i])) << i;

    TrainState early = two_networks(dtype, of_the_judge);
    early.at(kDiscriminator).schedule.reset();
    EXPECT_THROW(StateFiles(early, {.output = folder_, .saved_as = dtype}).restore(saved),
                 c10::Error)
        << "there is no schedule to take its state";
  }

  fs::path folder_;
};

TEST_F(FolderOfRun, of_two_networks_goes_on_to_the_bit) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    expect_to_go_on(dtype, optim::make_adamw,
                    {"first_moment", "second_moment", "discriminator-first_moment",
                     "discriminator-second_moment"});
  }
}

TEST_F(FolderOfRun, whose_optimisers_keep_different_states_goes_on_to_the_bit) {
  expect_to_go_on(at::kBFloat16, make_momentum,
                  {"first_moment", "second_moment", "discriminator-momentum"});
}

TEST_F(FolderOfRun, has_a_place_of_its_own_for_every_network) {
  EXPECT_EQ(model_folders(std::vector<std::string>{"", kDiscriminator}),
            (std::vector<std::string>{"", kDiscriminator, "ema", "discriminator/ema"}));
  for (const char* taken : {"", kEmaFolder, "resume"}) {
    TrainState state = two_networks(at::kFloat);
    state.at(kDiscriminator).saved_in = taken;
    EXPECT_THROW(StateFiles(state, {.output = folder_}), c10::Error) << taken;
  }
}

TEST_F(FolderOfRun, refuses_an_optimiser_whose_state_is_named_as_another_one) {
  class Masters final : public optim::Optimizer {
   public:
    const char* name() const override { return "Masters"; }
    void update(const optim::StepDecision&, std::span<const double>,
                kernels::GradientSlots) override {}
    std::vector<optim::OptimizerState> states() const override { return {{"masters", {}}}; }
  };
  TrainState state = two_networks(at::kFloat);
  state.main().optimizer = std::make_unique<Masters>();
  EXPECT_THROW(StateFiles(state, {.output = folder_}), c10::Error);
}

}  // namespace
}  // namespace lmms::step
