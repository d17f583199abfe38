#include "data/draws.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "core/ranks_testing.h"
#include "data/loader_testing.h"

namespace lmms::data {
namespace {

using testing::HasSubstr;

constexpr int32_t kMask = 1000;

/// A masked diffusion's draw: a time for each sample, a mask for each token with that probability;
/// the masked ones are trained, each with the weight 1 / time.
class MaskTokens final : public Drawing {
 public:
  explicit MaskTokens(double least = 0.1) : least_(least) {}
  std::string name() const override { return "masks, times from " + std::to_string(least_); }
  void draw(Sample& sample, const DrawKey& key) const override {
    const double time = least_ + (1 - least_) * key.uniform(rng::Purpose::time, 0);
    TextPart& text = sample.text;
    text.weights.assign(text.input_ids.size(), 0);
    for (size_t t = 0; t < text.input_ids.size(); ++t) {
      text.labels[t] = kIgnore;
      if (key.uniform(rng::Purpose::corruption, static_cast<int64_t>(t)) > time) continue;
      text.labels[t] = text.input_ids[t];
      text.input_ids[t] = kMask;
      text.weights[t] = static_cast<float>(1 / time);
    }
    sample.counts["tokens"] += static_cast<double>(text.input_ids.size());
    sample.counts["samples"] += 1;
    sample.extras["time"] = {static_cast<float>(time)};
    if (key.uniform(rng::Purpose::condition, 0) < 0.25) sample.extras["dropped"] = {1};
    auto& noise = sample.extras["noise"];
    for (int64_t i = 0; i < 3; ++i)
      noise.push_back(static_cast<float>(key.normal(rng::Purpose::noise, i)));
  }

 private:
  double least_;
};

std::vector<LoaderOptions> masked_runs() {
  std::vector<LoaderOptions> kinds = kinds_of_runs();
  for (LoaderOptions& kind : kinds) {
    kind.global_rows = 4;
    kind.rows_per_micro_step = 1;
    kind.draws = {std::make_shared<MaskTokens>(), 11};
  }
  return kinds;
}

TEST(DrawKey, gives_every_sample_purpose_and_element_numbers_of_its_own) {
  const DrawKey key(7, 3);
  EXPECT_EQ(key.uniform(rng::Purpose::time, 5), DrawKey(7, 3).uniform(rng::Purpose::time, 5));
  EXPECT_NE(key.uniform(rng::Purpose::time, 5), key.uniform(rng::Purpose::time, 4));
  EXPECT_NE(key.uniform(rng::Purpose::time, 5), key.uniform(rng::Purpose::noise, 5));
  EXPECT_NE(key.uniform(rng::Purpose::time, 5), DrawKey(8, 3).uniform(rng::Purpose::time, 5));
  EXPECT_NE(key.uniform(rng::Purpose::time, 5),
            DrawKey(7, 3 + (int64_t{1} << 32)).uniform(rng::Purpose::time, 5));
  double uniform = 0, normal = 0, square = 0;
  constexpr int64_t kElements = 20000;
  for (int64_t i = 0; i < kElements; ++i) {
    uniform += key.uniform(rng::Purpose::corruption, i) / kElements;
    const double x = key.normal(rng::Purpose::noise, i);
    normal += x / kElements;
    square += x * x / kElements;
  }
  EXPECT_NEAR(uniform, 0.5, 0.01);
  EXPECT_NEAR(normal, 0, 0.03);
  EXPECT_NEAR(square, 1, 0.05);
}

TEST(Draws, reach_ids_weights_extras_and_the_counts_of_a_step) {
  LoaderOptions options{.packing = packing(64), .policies = {}, .global_rows = 2, .epochs = 1};
  options.draws = {std::make_shared<MaskTokens>(), 11};
  const auto steps = run(made_dataset(random_lengths(40, 20)), options);
  ASSERT_GT(steps.size(), 2u);
  int64_t masked = 0, tokens = 0;
  for (const StepBatch& step : steps) {
    EXPECT_EQ(step.counts.at("tokens"), static_cast<double>(step.tokens));
    EXPECT_EQ(step.counts.at("samples"), static_cast<double>(step.samples));
    int64_t trained = 0;
    for (const Batch& batch : step.micro_steps) {
      EXPECT_EQ(batch.counts.at("tokens"), static_cast<double>(batch.tokens()));
      const RaggedExtra& times = batch.extras.at("time");
      EXPECT_EQ(times.lengths, std::vector<int64_t>(static_cast<size_t>(batch.samples), 1));
      EXPECT_EQ(batch.extras.at("noise").values.size(), static_cast<size_t>(3 * batch.samples));
      for (const Segment& segment : batch.segments) {
        const float weight = 1 / times.values[static_cast<size_t>(segment.sample)];
        for (int32_t i = segment.start; i < segment.start + segment.length; ++i) {
          const auto t = static_cast<size_t>(i);
          const bool mask = batch.input_ids[t] == kMask;
          EXPECT_EQ(batch.weights[t] != 0, mask);
          if (mask) {
            EXPECT_FLOAT_EQ(batch.weights[t], weight);
          }
          trained += mask;
        }
      }
    }
    EXPECT_EQ(step.supervised_tokens, trained);
    masked += trained;
    tokens += step.tokens;
  }
  EXPECT_GT(masked, tokens / 3);
  EXPECT_LT(masked, tokens * 4 / 5);
}

TEST(Draws, are_the_same_for_every_number_of_threads_and_wherever_samples_are_made_anew) {
  const auto data = rough_data();
  for (LoaderOptions options : masked_runs()) {
    options.threads = 1;
    const auto expected = run(data, options);
    ASSERT_GT(expected.size(), 3u);
    for (const int threads : {2, 3, 4}) {
      options.threads = threads;
      options.kept_text_bytes = threads == 3 ? 0 : 1 << 20;
      const bool keeps = threads != 2;
      Loader loader(data, std::make_shared<MadeProcessor>(keeps), options);
      const auto steps = run(loader);
      ASSERT_EQ(steps.size(), expected.size());
      for (size_t k = 0; k < steps.size(); ++k) expect_equal(steps[k], expected[k]);
    }
  }
}

TEST(Draws, are_the_same_for_every_number_of_ranks_and_go_on_in_the_middle) {
  const auto data = rough_data();
  for (const LoaderOptions& options : masked_runs()) {
    const auto alone = run(data, options);
    const size_t middle = alone.size() / 2;
    for (const int32_t count : {1, 2, 3, 4}) {
      RanksInThreads(count).run([&](Ranks& ranks) {
        LoaderOptions of_rank = options;
        of_rank.ranks = ranks.open_channel("data");
        auto loader = make_loader(data, of_rank);
        loader.restore(alone[middle].state());
        for (size_t k = middle + 1; k < alone.size(); ++k) {
          const auto step = loader.next();
          ASSERT_TRUE(step);
          EXPECT_EQ(step->counts, alone[k].counts);
          EXPECT_EQ(step->state(), alone[k].state());
          const auto& rows = alone[k].micro_steps;
          for (size_t m = 0; m < step->micro_steps.size(); ++m) {
            const auto row = m * static_cast<size_t>(count) + static_cast<size_t>(ranks.rank());
            if (row < rows.size() && rows[row].rows > 0)
              expect_equal(step->micro_steps[m], rows[row]);
          }
        }
      });
    }
  }
}

TEST(Draws, differ_between_epochs_and_seeds) {
  LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 1, .epochs = 2};
  options.draws = {std::make_shared<MaskTokens>(), 11};
  const auto data = made_dataset({30}, false);
  const auto steps = run(data, options);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_NE(steps[0].micro_steps[0].weights, steps[1].micro_steps[0].weights);
  options.draws.seed = 12;
  EXPECT_NE(run(data, options)[0].micro_steps[0].weights, steps[0].micro_steps[0].weights);
}

TEST(Draws, under_another_name_or_seed_or_none_do_not_go_on) {
  LoaderOptions options = masked_runs()[0];
  const auto data = rough_data();
  const std::string state = run(data, options)[1].state();
  const auto refusal = [&](const SeededDrawing& draws) {
    options.draws = draws;
    try {
      make_loader(data, options).restore(state);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("restored");
  };
  EXPECT_EQ(refusal({std::make_shared<MaskTokens>(), 11}), "restored");
  EXPECT_THAT(refusal({std::make_shared<MaskTokens>(), 12}), HasSubstr("draws: {"));
  EXPECT_THAT(refusal({std::make_shared<MaskTokens>(0.2), 11}), HasSubstr("times from 0.2"));
  EXPECT_THAT(refusal({}), HasSubstr("none now"));
}

class Lengthen final : public Drawing {
 public:
  std::string name() const override { return "one more"; }
  void draw(Sample& sample, const DrawKey&) const override {
    sample.text.input_ids.push_back(1);
    sample.text.labels.push_back(1);
  }
};

TEST(Draws, must_keep_the_length_of_a_sample) {
  LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 1, .epochs = 1};
  options.draws = {std::make_shared<Lengthen>(), 0};
  auto loader = make_loader(made_dataset({5}), options);
  EXPECT_THAT([&] { loader.next(); }, testing::ThrowsMessage<Error>(HasSubstr(
                                          "the objective's draw (one more) made 6 tokens of 5")));
}

}  // namespace
}  // namespace lmms::data
