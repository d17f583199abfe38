// Masked diffusion against transformers' Qwen3 under dense masks that see both ways
// (make_dllm.py): loss under both normalisers, every gradient, and what an evaluation tells.
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "objectives/masked_diffusion_testing.h"
#include "optim/adamw.h"
#include "parity_testing.h"
#include "step/device_batch.h"
#include "step/step.h"

namespace lmms {
namespace {

namespace fs = std::filesystem;
using objectives::DiffusionNormalizer;
using parity::Expected;

const fs::path kFolder = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data/dllm";
constexpr int32_t kMask = 63;

/// What was given in place of draws: which tokens are masked, and t of every block.
class GivenMasks {
 public:
  GivenMasks(const Expected& expected, int64_t block_length)
      : lengths_(expected.integers("lengths")),
        ids_(expected.integers("input_ids")),
        masked_(expected.integers("masked")),
        block_length_(block_length) {
    const at::Tensor t = expected["t"].contiguous();
    times_ = {t.const_data_ptr<float>(), t.const_data_ptr<float>() + t.numel()};
  }

  /// The samples as a drawing lays them out, then masked.
  data::RowSamples samples(const data::Drawing& drawing) const {
    data::RowSamples out;
    size_t first = 0, time = 0;
    for (const int32_t length : lengths_) {
      const auto n = static_cast<size_t>(length);
      data::Sample sample;
      sample.text.input_ids.assign(ids_.begin() + static_cast<std::ptrdiff_t>(first),
                                   ids_.begin() + static_cast<std::ptrdiff_t>(first + n));
      sample.text.labels.assign(sample.text.input_ids.begin() + 1, sample.text.input_ids.end());
      sample.text.labels.push_back(data::kIgnore);
      drawing.lay_out(sample);
      mask(sample, first, time);
      const size_t length_of_block = block_length_ > 0 ? static_cast<size_t>(block_length_) : n;
      time += (n + length_of_block - 1) / length_of_block;
      first += n;
      out.push_back(std::make_shared<const data::Sample>(std::move(sample)));
    }
    return out;
  }

 private:
  void mask(data::Sample& sample, size_t first, size_t time) const {
    data::TextPart& text = sample.text;
    size_t at = 0;
    for (const data::SampleSegment& segment : sample.segments) {
      for (int32_t k = 0; k < segment.length; ++k, ++at) {
        if (text.labels[at] == data::kIgnore) continue;
        const auto position =
            text.position_ids.empty() ? at : static_cast<size_t>(text.position_ids[at]);
        sample.counts["maskable"] += 1;
        if (masked_[first + position] == 0) {
          text.labels[at] = data::kIgnore;
          text.weights[at] = 0;
          continue;
        }
        const size_t block = block_length_ > 0 ? position / static_cast<size_t>(block_length_) : 0;
        text.input_ids[at] = kMask;
        text.weights[at] = 1 / times_[time + block];
        sample.counts["masked"] += 1;
      }
    }
  }

  std::vector<int32_t> lengths_, ids_, masked_;
  std::vector<float> times_;
  int64_t block_length_;
};

class MaskedDiffusion : public ::testing::TestWithParam<const char*> {
 protected:
  MaskedDiffusion()
      : expected_{checkpoint::SafetensorsFile::open(kFolder /
                                                    (std::string(GetParam()) + ".safetensors"))
                      .take()},
        network_(parity::load(kFolder)) {
    if (std::string(GetParam()) == "blocks") block_length_ = expected_.integers("block_length")[0];
  }

  std::unique_ptr<objectives::Objective> objective(DiffusionNormalizer normalizer) const {
    objectives::ObjectiveSetup setup{.model = *network_.model, .tokenizer = &tokenizer_};
    setup.config.masked_diffusion.normalizer = normalizer;
    setup.config.masked_diffusion.mask_token = "[MASK]";
    setup.config.masked_diffusion.block_length = block_length_;
    return masked_diffusion(setup);
  }

  data::StepBatch step_of(const objectives::Objective& objective, bool packed) const {
    const data::RowSamples samples =
        GivenMasks(expected_, block_length_).samples(*objective.drawing());
    data::StepBatch step;
    if (packed) {
      step.micro_steps.push_back(data::collate({&samples, 1}, 1, 0));
    } else {
      for (const auto& sample : samples) {
        const data::RowSamples alone{sample};
        step.micro_steps.push_back(data::collate({&alone, 1}, 1, 0));
      }
    }
    for (const data::Batch& micro : step.micro_steps) {
      step.supervised_tokens += micro.supervised_tokens;
      for (const auto& [name, count] : micro.counts) step.counts[name] += count;
    }
    return step;
  }

  double backward(const objectives::Objective& objective, bool packed) {
    for (parallel::Bucket& bucket : network_.memory.buckets) bucket.zero_gradients();
    const data::StepBatch step = step_of(objective, packed);
    const auto denominators = denominators_of(objective, step, 1);
    const std::vector<objectives::NamedModel> models{
        {objectives::kMainNetwork, network_.model.get()}};
    objectives::StepValues values;
    values.terms.resize(objective.terms().size());
    for (size_t i = 0; i < step.micro_steps.size(); ++i) {
      const nn::Batch batch =
          step::to_device(step.micro_steps[i], denominators[i].front(), 64, at::kCPU);
      objectives::StepContext context(
          {.models = models, .batch = batch, .run = {}, .denominators = denominators[i]}, values);
      objective.phases().front().run(context);
    }
    return values.loss.item<double>();
  }

  text::Tokenizer tokenizer_ = objectives::letters(64);
  Expected expected_;
  step::Network network_;
  int64_t block_length_ = 0;
};

TEST_P(MaskedDiffusion, loss_and_every_gradient_are_those_of_the_formula) {
  for (const bool packed : {true, false}) {
    const double theirs = expected_["loss_tokens"].item<double>();
    const double loss = backward(*objective(DiffusionNormalizer::tokens), packed);
    EXPECT_LE(std::abs(loss - theirs), parity::kLossBound * theirs) << packed;
    parity::expect_gradients(parity::gradients(network_), expected_.gradients());
  }
}

TEST_P(MaskedDiffusion, divided_by_the_masked_tokens_where_asked) {
  const double theirs = expected_["loss_masked"].item<double>();
  const double loss = backward(*objective(DiffusionNormalizer::masked), true);
  EXPECT_LE(std::abs(loss - theirs), parity::kLossBound * theirs);
  auto gradients = expected_.gradients();
  const double factor = theirs / expected_["loss_tokens"].item<double>();
  for (auto& [name, gradient] : gradients) gradient = gradient * factor;
  parity::expect_gradients(parity::gradients(network_), gradients);
}

TEST_P(MaskedDiffusion, evaluations_tell_loss_nll_and_accuracy) {
  const c10::NoGradGuard no_grad;
  for (const auto normalizer : {DiffusionNormalizer::tokens, DiffusionNormalizer::masked}) {
    const auto made = objective(normalizer);
    const data::StepBatch step = step_of(*made, true);
    const nn::Batch batch = step::to_device(step.micro_steps.front(), 1, 64, at::kCPU);
    const std::vector<objectives::NamedModel> models{
        {objectives::kMainNetwork, network_.model.get()}};
    const std::vector<double> undivided(made->terms().size(), 1.0);
    objectives::StepValues values;
    values.terms.resize(made->terms().size());
    objectives::StepContext context({.models = models,
                                     .batch = batch,
                                     .run = {},
                                     .denominators = undivided,
                                     .gradients = false},
                                    values);
    made->evaluate(context);
    size_t compared = 0;
    for (size_t t = 0; t < made->terms().size(); ++t) {
      const objectives::Term& term = made->terms()[t];
      const double ours = values.terms[t].item<double>() / count_of(term, step);
      std::string name = term.name;
      if (name == "bound") name = "loss_tokens";
      if (name == "loss")
        name = normalizer == DiffusionNormalizer::tokens ? "loss_tokens" : "loss_masked";
      const double theirs = expected_[name].item<double>();
      EXPECT_LE(std::abs(ours - theirs), parity::kLossBound * std::abs(theirs)) << term.name;
      ++compared;
    }
    EXPECT_EQ(compared, normalizer == DiffusionNormalizer::tokens ? 3u : 4u);
  }
}

// Seen: 1.4e-7. The masks of both come of Philox.
TEST(MaskedCurve, of_a_short_training_on_real_text_is_that_of_torch) {
  std::ifstream in(kFolder / "curve.json");
  const nlohmann::json stored = nlohmann::json::parse(in);
  const nlohmann::json& settings = stored.at("settings");
  optim::OptimizerConfig config;
  config.adam_beta1 = settings.at("beta1");
  config.adam_beta2 = settings.at("beta2");
  config.adam_epsilon = settings.at("eps");
  config.weight_decay = settings.at("weight_decay");
  config.max_grad_norm = settings.at("max_grad_norm");
  step::TrainState state;
  step::Network& network = state.networks.emplace_back(parity::load(kFolder));
  network.name = objectives::kMainNetwork;
  network.decision =
      std::make_unique<optim::StepDecision>(network.memory.buckets, config.max_grad_norm);
  network.optimizer = optim::make_adamw({network.memory.buckets, config});
  const text::Tokenizer tokenizer = objectives::letters(64);
  objectives::ObjectiveSetup setup{.model = *network.model, .tokenizer = &tokenizer};
  setup.config.masked_diffusion.mask_token = "[MASK]";
  setup.config.masked_diffusion.t_min = settings.at("t_min");
  setup.config.masked_diffusion.t_max = settings.at("t_max");
  const auto objective = masked_diffusion(setup);
  const auto runner = step::plain_runner();
  const std::vector<std::vector<double>> rates{{settings.at("learning_rate").get<double>()}};
  const std::vector<double> losses = stored.at("losses");
  double farthest = 0;
  int64_t ordinal = 0;
  for (const double theirs : losses) {
    data::RowSamples row;
    for (const std::string text : stored.at("texts")) {
      data::Sample sample;
      for (const char c : text) sample.text.input_ids.push_back(c == ' ' ? 26 : c - 'a');
      sample.text.labels.assign(sample.text.input_ids.begin() + 1, sample.text.input_ids.end());
      sample.text.labels.push_back(data::kIgnore);
      objective->drawing()->lay_out(sample);
      objective->drawing()->draw(sample,
                                 data::DrawKey(settings.at("seed").get<uint64_t>(), ordinal++));
      row.push_back(std::make_shared<const data::Sample>(std::move(sample)));
    }
    const data::Batch batch = data::collate({&row, 1}, 1, 0);
    const double tokens = batch.counts.at("maskable");
    const std::vector<step::MicroStep> micro_steps{
        {step::to_device(batch, tokens, 64, at::kCPU), {tokens, tokens, tokens}}};
    const double loss =
        step::train_step(state, *objective, *runner, micro_steps, {}, rates).loss.item<double>();
    farthest = std::max(farthest, std::abs(loss - theirs) / theirs);
  }
  EXPECT_LE(farthest, 2e-6);
  EXPECT_EQ(losses.size(), 40u);
  EXPECT_LT(losses.back(), 0.75 * losses.front());  // it learns
}

INSTANTIATE_TEST_SUITE_P(Cases, MaskedDiffusion, ::testing::Values("full", "blocks"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace lmms
