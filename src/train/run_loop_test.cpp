// The loop with objectives that the program does not have.
#include "train/run_loop.h"

#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint/finished.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "train/registries.h"
#include "train/runner.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// The cross entropy of the next token, and how large hidden states are.
template <bool scales_the_result>
class TokensAndSizes final : public objectives::Objective {
 public:
  explicit TokensAndSizes(const objectives::ObjectiveOptions&) {}
  const char* name() const override { return "tokens and sizes"; }
  void check(const models::Model&, const std::string&) const override {}
  const std::vector<objectives::Phase>& phases() const override { return phases_; }
  const std::vector<objectives::Term>& terms() const override { return terms_; }

 private:
  static void run(objectives::StepContext& context) {
    const models::LanguageModel& lm = *context.model(objectives::kMainNetwork).language_model();
    const nn::Batch& batch = context.batch();
    const at::Tensor h = kernels::select_rows(lm.hidden(batch, context.run()).hidden,
                                              batch.supervised);  // [N, H]
    const at::Tensor tokens =
        lm.loss(h, batch.targets, batch.weights, context.loss_options(), context.run());
    const at::Tensor sizes = h.square().mean(-1).mul(0.01 / context.denominator(1)).sum();
    context.add(0, tokens);
    context.add(1, sizes);
    context.backward((scales_the_result ? tokens * 0.5 : tokens) + sizes);
  }

  std::vector<objectives::Phase> phases_{{objectives::kMainNetwork, run}};
  std::vector<objectives::Term> terms_{{.name = "cross_entropy"}, {.name = "sizes"}};
};

template <class T>
std::unique_ptr<objectives::Objective> make(const objectives::ObjectiveSetup& setup) {
  return std::make_unique<T>(setup.options);
}

const Registries& registries() {
  static const Registries made = [] {
    Registries all = built_in_registries();
    all.objectives.add("sizes_trainer", "", {.make = make<TokensAndSizes<false>>});
    all.objectives.add("scaling_trainer", "", {.make = make<TokensAndSizes<true>>});
    return all;
  }();
  return made;
}

class RunLoop : public testing::Test {
 protected:
  RunLoop() : folder_(fs::temp_directory_path() / ("run_loop_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
    for (const char* name : {"train.jsonl", "eval.jsonl"}) {
      std::ofstream out(folder_ / name);
      for (int i = 1; i <= 8; ++i) {
        const auto turn = [](const char* role, const std::string& text) {
          return nlohmann::json{{"role", role}, {"content", text}};
        };
        out << nlohmann::json{{"messages",
                               {turn("user", "Count."), turn("assistant", std::string(i, '1'))}}}
            << '\n';
      }
    }
  }
  ~RunLoop() override { fs::remove_all(folder_); }

  Exit train_by(const std::string& trainer_type) const {
    const std::vector<std::string> words{
        "model_config.load_from_config={model_type: qwen3, config: {vocab_size: 4096, hidden_size: "
        "32, intermediate_size: 64, num_hidden_layers: 1, num_attention_heads: 2, "
        "num_key_value_heads: 1, head_dim: 16, max_position_embeddings: 512, "
        "tie_word_embeddings: true}}",
        "dataset_config.dataset_type=vision",
        "dataset_config.dataset_format=jsonl",
        "dataset_config.dataset_path=" + (folder_ / "train.jsonl").string(),
        "dataset_config.eval_dataset_path=" + (folder_ / "eval.jsonl").string(),
        "dataset_config.processor_config={processor_name: " LMMS_SOURCE_DIR
        "/examples/chat_tiny/tokenizer, processor_type: qwen2}",
        "trainer_args.output_dir=" + (folder_ / "out").string(),
        "trainer_args.per_device_train_batch_size=2",
        "trainer_args.gradient_accumulation_steps=2",
        "trainer_args.max_steps=3",
        "trainer_args.eval_strategy=steps",
        "trainer_args.eval_steps=3",
        "trainer_args.disable_tqdm=true",
        "trainer_args.use_cpu=true"};
    LoadedConfig loaded = load_train_config(words);
    loaded.registries = &registries();
    loaded.config.trainer_type = trainer_type;
    return train(loaded, {});
  }
  std::vector<nlohmann::json> rows() const {
    std::vector<nlohmann::json> out;
    std::ifstream in(folder_ / "out/metrics.jsonl");
    for (std::string line; std::getline(in, line);) out.push_back(nlohmann::json::parse(line));
    return out;
  }
  fs::path folder_;
};

TEST_F(RunLoop, shows_every_term_of_an_objective_of_several) {
  EXPECT_EQ(train_by("sizes_trainer"), Exit::done);
  const auto rows = this->rows();
  ASSERT_EQ(rows.size(), 4u);
  for (size_t i = 0; i < 3; ++i) {
    const double tokens = rows[i].at("cross_entropy"), sizes = rows[i].at("sizes");
    EXPECT_GT(sizes, 0);
    EXPECT_NEAR(rows[i].at("loss").get<double>(), tokens + sizes, 1e-5);
  }
  EXPECT_NEAR(
      rows[3].at("eval_loss").get<double>(),
      rows[3].at("eval_cross_entropy").get<double>() + rows[3].at("eval_sizes").get<double>(),
      1e-9);
}

TEST_F(RunLoop, whose_first_batch_is_bad_leaves_the_folder_as_it_was) {
  std::ofstream(folder_ / "train.jsonl") << "{\"messages\": [\n";
  EXPECT_THAT([&] { train_by("sizes_trainer"); },
              testing::ThrowsMessage<Error>(HasSubstr("train.jsonl:1: ")));
  EXPECT_FALSE(fs::exists(folder_ / "out/journal.jsonl"));
  EXPECT_FALSE(fs::exists(folder_ / "out" / checkpoint::kConfigFile));
}

TEST_F(RunLoop, ends_where_a_loss_was_scaled_after_it_was_computed) {
  EXPECT_THAT([&] { train_by("scaling_trainer"); },
              testing::ThrowsMessage<Error>(
                  HasSubstr("step 1: a loss term was scaled after it was computed: factors belong "
                            "into its weights")));
  EXPECT_TRUE(rows().empty()) << "nothing was updated";
}

}  // namespace
}  // namespace lmms::train
