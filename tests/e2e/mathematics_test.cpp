// What must not change the result, and what must.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "checkpoint/hf_folder.h"
#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace fs = std::filesystem;

/// Loss and gradient norm of every step.
struct Curve {
  std::vector<double> loss, norm;
};

Curve curve(const Project& project, const std::string& output, Words words) {
  words.push_back("trainer_args.output_dir=" + output);
  words.push_back("trainer_args.save_strategy=no");
  project.train_to_the_end(words);
  const auto rows = metrics(project / output);
  return {column(rows, "loss"), column(rows, "grad_norm")};
}

void expect_close(const std::vector<double>& a, const std::vector<double>& b, double relative) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(a[i], b[i], relative * std::abs(a[i])) << "step " << i + 1;
}

std::vector<float> floats(const checkpoint::TensorView& view) {
  std::vector<float> values(view.bytes.size() / sizeof(float));
  std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
  return values;
}

/// The largest difference of two fp32 models, element by element.
double largest_difference(const fs::path& a, const fs::path& b) {
  const auto index_a = checkpoint::HfFolder::open(a).take().weights().take();
  const auto index_b = checkpoint::HfFolder::open(b).take().weights().take();
  double largest = 0;
  for (const auto& [name, view] : index_a.tensors()) {
    const auto x = floats(*view), y = floats(*index_b.find(name));
    for (size_t i = 0; i < x.size(); ++i)
      largest = std::max(largest, static_cast<double>(std::abs(x[i] - y[i])));
  }
  return largest;
}

TEST(Accumulation, equals_one_large_batch) {
  const Project project;
  const Words words{"trainer_args.learning_rate=1e-3"};
  const Curve large = curve(project, "large", words);
  Words small = words;
  small.push_back("trainer_args.per_device_train_batch_size=1");
  small.push_back("trainer_args.gradient_accumulation_steps=4");
  const Curve accumulated = curve(project, "small", small);
  expect_close(large.loss, accumulated.loss, 2e-6);
  expect_close(large.norm, accumulated.norm, 2e-5);
  EXPECT_LT(largest_difference(project / "large", project / "small"), 1e-4);
}

TEST(Rows, of_a_step_may_be_more_than_those_of_a_micro_step) {
  const Project project;
  const Curve product = curve(project, "product", {});
  const Curve rows =
      curve(project, "rows",
            {"trainer_args.per_device_train_batch_size=2", "trainer_args.global_rows=4"});
  expect_close({product.loss.begin(), product.loss.begin() + 3},
               {rows.loss.begin(), rows.loss.begin() + 3}, 1e-5);
}

TEST(Packing, of_one_row_trains_what_its_samples_train_unpacked) {
  const Project project;
  // all 40 samples fit into one row, and into one step without packing
  const Words one{"trainer_args.per_device_train_batch_size=40", "trainer_args.num_train_epochs=1"};
  const Curve rows = curve(project, "rows", one);
  const Curve packed =
      curve(project, "packed",
            {"trainer_args.per_device_train_batch_size=1", "trainer_args.num_train_epochs=1",
             "dataset_config.packing=true", "dataset_config.packing_length=8192"});
  ASSERT_EQ(packed.loss.size(), 1u);
  expect_close(rows.loss, packed.loss, 2e-6);
  expect_close(rows.norm, packed.norm, 2e-5);
}

class Strategy : public testing::TestWithParam<const char*> {};

TEST_P(Strategy, trains_every_sample_once_an_epoch) {
  const Project project;
  const Curve trained = curve(project, "out",
                              {"dataset_config.packing=true", "dataset_config.packing_length=160",
                               "trainer_args.per_device_train_batch_size=2",
                               std::string("dataset_config.packing_strategy=") + GetParam()});
  const auto rows = metrics(project / "out");
  double samples = 0;
  for (double n : column(rows, "samples")) samples += n;
  EXPECT_EQ(samples, 80);
  for (double n : column(rows, "tokens")) EXPECT_LE(n, 2 * 160);
  EXPECT_LT(trained.loss.back(), trained.loss.front());
}

INSTANTIATE_TEST_SUITE_P(Packing, Strategy,
                         testing::Values("first_fit", "best_fit", "balanced", "sequential"));

TEST(GradientCheckpointing, changes_no_bit) {
  const Project project;
  for (const std::string bf16 : {"false", "true"}) {
    const Words words{"trainer_args.bf16=" + bf16, "trainer_args.resume_from_checkpoint=false"};
    const Curve kept = curve(project, "kept", words);
    Words recomputed = words;
    recomputed.push_back("trainer_args.gradient_checkpointing=true");
    const Curve second_run = curve(project, "recomputed", recomputed);
    EXPECT_EQ(kept.loss, second_run.loss);
    EXPECT_EQ(kept.norm, second_run.norm);
    EXPECT_EQ(weights(project / "kept"), weights(project / "recomputed"));
  }
}

TEST(Freezing, leaves_frozen_weights_as_they_were) {
  const Project project;
  curve(project, "out",
        {"~model_config.load_from_config",
         "model_config.load_from_pretrained_path=" + pretrained().string(),
         "trainer_args.freeze_modules=[model.embed_tokens, model.layers.0]",
         "trainer_args.weight_decay=0.1"});
  const auto before = checkpoint::HfFolder::open(pretrained()).take().weights().take();
  const auto after = checkpoint::HfFolder::open(project / "out").take().weights().take();
  for (const auto& [name, view] : before.tensors()) {
    const bool frozen =
        name.starts_with("model.embed_tokens") || name.starts_with("model.layers.0.");
    EXPECT_EQ(std::ranges::equal(view->bytes, after.find(name)->bytes), frozen) << name;
  }
}

TEST(Freezing, of_a_module_that_is_not_there_names_the_nearest) {
  const Project project;
  const Ended ended = project.train({"trainer_args.freeze_modules=[model.embed_token]"});
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("model.embed_tokens"));
  const Ended all = project.train({"trainer_args.freeze_modules=[model]"});
  EXPECT_EQ(all.exit, 2);
  EXPECT_THAT(all.err, HasSubstr("nothing would be trained"));
}

TEST(CompatLoss, is_the_mean_of_the_means_of_micro_steps) {
  const Project project;
  const Words words{"trainer_args.max_steps=1", "trainer_args.per_device_train_batch_size=1",
                    "trainer_args.gradient_accumulation_steps=4"};
  Words compat = words;
  compat.push_back("compat=[loss]");
  const double theirs = curve(project, "theirs", compat).loss.front();
  const double ours = curve(project, "ours", words).loss.front();
  EXPECT_NE(theirs, ours);

  // one sample a step, at a learning rate of 0, gives the loss of each sample by itself
  const auto single = [&] {
    curve(project, "single",
          {"trainer_args.max_steps=4", "trainer_args.learning_rate=0",
           "trainer_args.per_device_train_batch_size=1"});
    return metrics(project / "single");
  }();
  double mean = 0, sum = 0, tokens = 0;
  for (const auto& row : single) {
    mean += row["loss"].get<double>() / 4;
    sum += row["loss"].get<double>() * row["supervised_tokens"].get<double>();
    tokens += row["supervised_tokens"].get<double>();
  }
  EXPECT_NEAR(theirs, mean, 2e-6 * mean);
  EXPECT_NEAR(ours, sum / tokens, 2e-6 * ours);
}

TEST(CompatLabels, trains_control_tokens_too) {
  const Project project;
  curve(project, "ours", {"trainer_args.max_steps=1"});
  curve(project, "theirs", {"trainer_args.max_steps=1", "compat=labels"});
  const auto ours = metrics(project / "ours").front(), theirs = metrics(project / "theirs").front();
  EXPECT_EQ(ours["tokens"], theirs["tokens"]);
  EXPECT_GT(theirs["supervised_tokens"], ours["supervised_tokens"]);
}

TEST(CompatDecay, shrinks_norms_too) {
  const Project project;
  const auto norm_after = [&](const std::string& output, const Words& more) {
    Words words{"trainer_args.max_steps=1", "trainer_args.weight_decay=10",
                "trainer_args.learning_rate=1e-6"};
    words.insert(words.end(), more.begin(), more.end());
    curve(project, output, words);
    const auto index = checkpoint::HfFolder::open(project / output).take().weights().take();
    return floats(*index.find("model.norm.weight"));
  };
  // the update moves a weight by 1e-6 at most, its decay by another 1e-5
  for (float w : norm_after("ours", {})) EXPECT_NEAR(w, 1.0f, 2e-6);
  for (float w : norm_after("theirs", {"compat=[decay]"})) EXPECT_NEAR(w, 1.0f - 1e-5f, 2e-6);
}

TEST(Seed, draws_the_weights_and_data_seed_the_order) {
  const Project project;
  const Words words{"trainer_args.max_steps=2"};
  const auto first_loss = [&](const std::string& output, const std::string& word) {
    return curve(project, output, {"trainer_args.max_steps=1", word}).loss.front();
  };
  const double base = first_loss("a", "trainer_args.seed=42");
  EXPECT_EQ(first_loss("b", "dataset_config.data_seed=42"), base);
  EXPECT_NE(first_loss("c", "trainer_args.seed=7"), base);
  EXPECT_NE(first_loss("d", "dataset_config.data_seed=7"), base);
  EXPECT_EQ(first_loss("e", "trainer_args.data_seed=42"), base);
}

/// A copy of the pretrained checkpoint with one element of a weight replaced.
void poison(const fs::path& folder, float value) {
  fs::copy(pretrained(), folder);
  const auto index = checkpoint::HfFolder::open(folder).take().weights().take();
  const auto* view = index.find("model.norm.weight");
  std::string bytes = weights(folder);
  const std::string part(reinterpret_cast<const char*>(view->bytes.data()), view->bytes.size());
  const size_t at = bytes.find(part);
  ASSERT_NE(at, std::string::npos);
  std::memcpy(bytes.data() + at, &value, sizeof(value));
  write_atomically(folder / "model.safetensors", bytes);
}

// Finite, but the sums that it enters are not.
constexpr float kTooLarge = 3e38f;

TEST(NonFinite, steps_are_skipped_and_counted_until_the_run_ends) {
  const Project project;
  poison(project / "poisoned", kTooLarge);
  const Ended ended = project.train(
      {"~model_config.load_from_config", "model_config.load_from_pretrained_path=poisoned",
       "trainer_args.max_skipped_steps=4", "trainer_args.save_steps=2"});
  EXPECT_EQ(ended.exit, 1);
  EXPECT_THAT(ended.err, HasSubstr("4 steps in a row had a non-finite loss or gradient"));
  EXPECT_THAT(ended.err, HasSubstr("trainer_args.max_skipped_steps"));
  const auto rows = metrics(project / "out");
  ASSERT_EQ(rows.size(), 4u);
  for (const auto& row : rows) {
    EXPECT_EQ(row["skipped"], true);
    EXPECT_TRUE(row["grad_norm"].is_null());
  }
  // what was saved on the way holds the weights untouched
  EXPECT_EQ(weights(project / "out/checkpoint-2"), weights(project / "poisoned"));
  EXPECT_FALSE(fs::exists(project / "out/model.safetensors"));
}

TEST(NonFinite, steps_in_a_row_are_counted_over_a_stop) {
  const Project project;
  poison(project / "poisoned", kTooLarge);
  const Words words{"~model_config.load_from_config",
                    "model_config.load_from_pretrained_path=poisoned",
                    "trainer_args.max_skipped_steps=5", "trainer_args.save_steps=3"};
  EXPECT_EQ(project.train(words).exit, 1);
  EXPECT_THAT(checkpoints(project / "out"), ElementsAre("checkpoint-3"));
  EXPECT_EQ(project.train(words).exit, 1);
  EXPECT_THAT(column(metrics(project / "out"), "step"), ElementsAre(1, 2, 3, 4, 5));
}

TEST(NonFinite, after_an_absurd_learning_rate_leaves_the_last_checkpoint) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=3"});
  const std::string good = weights(project / "out/checkpoint-3");
  const Ended ended =
      project.train({"trainer_args.max_steps=20", "trainer_args.learning_rate=1e38",
                     "trainer_args.max_grad_norm=0", "trainer_args.max_skipped_steps=2",
                     "trainer_args.save_steps=100", "trainer_args.lr_scheduler_type=constant"});
  EXPECT_EQ(ended.exit, 1) << ended.err;
  EXPECT_EQ(weights(project / "out/checkpoint-3"), good);
  EXPECT_THAT(checkpoints(project / "out"), ElementsAre("checkpoint-3"));
}

TEST(NonFinite, weights_are_refused_at_the_start_by_name) {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    const Project project;
    poison(project / "poisoned", value);
    const Ended ended = project.train(
        {"~model_config.load_from_config", "model_config.load_from_pretrained_path=poisoned"});
    EXPECT_EQ(ended.exit, 2);
    EXPECT_THAT(ended.err, HasSubstr("poisoned: model.norm.weight holds a NaN or an infinity"));
  }
}

TEST(NonFinite, steps_alone_end_a_run_shorter_than_max_skipped_steps_without_a_model) {
  const Project project;
  poison(project / "poisoned", kTooLarge);
  const Words words{"~model_config.load_from_config",
                    "model_config.load_from_pretrained_path=poisoned", "trainer_args.max_steps=3"};
  for (int start = 0; start < 2; ++start) {
    const Ended ended = project.train(words);
    EXPECT_EQ(ended.exit, 1);
    EXPECT_THAT(ended.err, HasSubstr("no step has changed a weight: 3 had a non-finite loss"));
    EXPECT_FALSE(fs::exists(project / "out/model.safetensors"));
    EXPECT_THAT(checkpoints(project / "out"), IsEmpty());
  }
}

TEST(NonFinite, weights_that_an_update_makes_are_never_saved) {
  for (const char* bf16 : {"trainer_args.bf16=false", "trainer_args.bf16=true"}) {
    const Project project;
    project.train_to_the_end({"trainer_args.max_steps=1", bf16});
    const Ended ended =
        project.train({"trainer_args.max_steps=2", "trainer_args.learning_rate=1e38", bf16,
                       "trainer_args.lr_scheduler_type=constant"});
    EXPECT_EQ(ended.exit, 1);
    EXPECT_THAT(ended.err, HasSubstr("holds a NaN or an infinity: the model is not saved"));
    EXPECT_THAT(checkpoints(project / "out"), ElementsAre("checkpoint-1"));
    EXPECT_TRUE(weights(project / "out") == weights(project / "out/checkpoint-1"));
  }
}

TEST(NonFinite, float16_that_cannot_hold_a_weight_is_not_saved) {
  const Project project;
  poison(project / "large", 65520.0f);  // the least that float16 rounds to infinity
  const Ended ended =
      project.train({"~model_config.load_from_config",
                     "model_config.load_from_pretrained_path=large", "trainer_args.max_steps=1",
                     "trainer_args.learning_rate=0", "trainer_args.save_dtype=float16"});
  EXPECT_EQ(ended.exit, 1) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("model.norm.weight"));
  EXPECT_THAT(ended.err, HasSubstr("float16"));
  EXPECT_THAT(checkpoints(project / "out"), IsEmpty());
}

TEST(NonFinite, steps_at_the_end_are_told_beside_the_model) {
  const Project project;
  const Ended ended =
      project.train({"trainer_args.max_steps=2", "trainer_args.bf16=true",
                     "trainer_args.learning_rate=1e30", "trainer_args.lr_scheduler_type=constant"});
  EXPECT_EQ(ended.exit, 0) << ended.err;
  EXPECT_THAT(ended.err,
              HasSubstr("updates skipped at the end because loss or gradient was not finite: 1;"));
}

TEST(NonFinite, polynomial_decay_of_no_learning_rate_is_none) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=3", "trainer_args.learning_rate=0",
                            "trainer_args.lr_scheduler_type=polynomial",
                            "trainer_args.lr_scheduler_kwargs={lr_end: 0}",
                            "trainer_args.save_steps=1"});
  EXPECT_THAT(column(metrics(project / "out"), "learning_rate"), Each(0.0));
  EXPECT_TRUE(weights(project / "out") == weights(project / "out/checkpoint-1"));
}

}  // namespace
}  // namespace lmms::e2e
