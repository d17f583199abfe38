#include "data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "data/assign.h"
#include "data/collate.h"
#include "data/loader_testing.h"

namespace lmms::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Unpacked, step_k_trains_samples_kL_to_kL_plus_L_minus_1_of_each_epochs_order) {
  const auto data = made_dataset(random_lengths(10, 9));
  const auto steps = run(data, {.packing = {}, .policies = {}, .global_rows = 4, .epochs = 2});
  ASSERT_EQ(steps.size(), 6u);
  for (int64_t k = 0; k < 6; ++k) {
    std::vector<int32_t> expected;
    for (int64_t p = k % 3 * 4; p < std::min<int64_t>(10, (k % 3 + 1) * 4); ++p) {
      expected.push_back(static_cast<int32_t>(data->place(k / 3, p).row));
    }
    const auto& step = steps[static_cast<size_t>(k)];
    EXPECT_EQ(samples_of(step), expected);
    EXPECT_EQ(step.step, k + 1);
    EXPECT_EQ(step.rows, static_cast<int64_t>(expected.size()));
    EXPECT_DOUBLE_EQ(step.progress, static_cast<double>(k + 1) / 6);
    EXPECT_DOUBLE_EQ(step.progress_before, static_cast<double>(k) / 6);
  }
  EXPECT_DOUBLE_EQ(steps[1].epoch, 0.8);
  EXPECT_DOUBLE_EQ(steps[2].epoch, 1.0);
  EXPECT_DOUBLE_EQ(steps[5].epoch, 2.0);
}

TEST(Unpacked, drop_last_leaves_out_the_smaller_step_of_every_epoch) {
  const auto data = made_dataset(random_lengths(10, 9));
  LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 4, .epochs = 2};
  options.drop_last = true;
  const auto steps = run(data, options);
  ASSERT_EQ(steps.size(), 4u);
  for (const auto& step : steps) EXPECT_EQ(step.rows, 4);
  EXPECT_EQ(samples_of(steps[2])[0], data->place(1, 0).row);
  EXPECT_DOUBLE_EQ(steps[1].epoch, 1.0);
}

TEST(Unpacked, counts_its_steps_beforehand) {
  const auto data = made_dataset(random_lengths(100, 9));
  const auto steps = [&](double epochs, int64_t max_steps, int64_t rows) {
    LoaderOptions options{.packing = {}, .policies = {}, .global_rows = rows, .epochs = epochs};
    options.max_steps = max_steps;
    const auto total = *make_loader(data, options).total_steps();
    EXPECT_EQ(static_cast<int64_t>(run(data, options).size()), total);
    return total;
  };
  EXPECT_EQ(steps(1, -1, 8), 13);
  EXPECT_EQ(steps(0.5, -1, 8), 7);
  EXPECT_EQ(steps(1.1, -1, 1), 110);  // not 111: 100 x 1.1 misses 110 by rounding alone
  EXPECT_EQ(steps(3, 40, 8), 40);
  EXPECT_EQ(steps(0.001, -1, 8), 1);
}

TEST(Unpacked, a_skipped_sample_leaves_its_place_empty) {
  LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 2, .epochs = 1};
  options.policies = {
      .on_bad_sample = OnBadSample::skip, .on_overlong = OnOverlong::drop, .max_length = 8};
  const auto steps = run(made_dataset({3, -1, 9, 4, 0, 1, 5, 8}, false), options);
  ASSERT_EQ(steps.size(), 4u);
  EXPECT_THAT(samples_of(steps[0]), ElementsAre(0));
  EXPECT_THAT(samples_of(steps[1]), ElementsAre(3));
  EXPECT_THAT(samples_of(steps[2]), ElementsAre());
  EXPECT_THAT(samples_of(steps[3]), ElementsAre(6, 7));
  const auto& counts = steps[3].skipped;
  EXPECT_EQ(counts.total(), 4);
  EXPECT_EQ(counts.of(SkipReason::bad).first_where, "made:2");
  EXPECT_EQ(counts.of(SkipReason::bad).first_what, "rotten");
  EXPECT_EQ(counts.of(SkipReason::overlong).first_what, "9 tokens, the limit is 8");
  EXPECT_EQ(counts.of(SkipReason::empty).first_where, "made:5");
  EXPECT_EQ(counts.of(SkipReason::unsupervised).first_where, "made:6");
  EXPECT_EQ(steps[0].skipped.total(), 1);
  EXPECT_THAT(counts.text(), HasSubstr("4 records skipped: 1 bad (first: made:2: rotten), "));
}

TEST(Unpacked, a_step_without_samples_is_a_step_with_a_dummy_batch) {
  LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 2, .epochs = 1};
  options.policies.on_bad_sample = OnBadSample::skip;
  options.pad_multiple = 4;
  const auto steps = run(made_dataset({-1, -1, 3, 3}, false), options);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].tokens, 0);
  EXPECT_EQ(steps[0].rows, 0);
  ASSERT_EQ(steps[0].micro_steps.size(), 2u);
  EXPECT_EQ(steps[0].micro_steps[0].rows, 0);
  EXPECT_EQ(steps[0].micro_steps[0].tokens(), 0);
}

TEST(Unpacked, deals_rows_to_micro_steps) {
  LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 5, .epochs = 1};
  options.rows_per_micro_step = 2;
  const auto steps = run(made_dataset({2, 3, 4, 5, 6}, false), options);
  ASSERT_EQ(steps.size(), 1u);
  const auto& micro = steps[0].micro_steps;
  ASSERT_EQ(micro.size(), 3u);
  EXPECT_THAT(micro[0].input_ids, ElementsAre(0, 0, 1, 1, 1));
  EXPECT_EQ(micro[0].rows, 2);
  EXPECT_EQ(micro[2].rows, 1);
  EXPECT_EQ(steps[0].tokens, 20);
  EXPECT_EQ(steps[0].supervised_tokens, 15);
}

TEST(Packed, every_sample_is_trained_once_an_epoch_and_no_row_is_too_long) {
  const auto data = made_dataset(random_lengths(203, 30));
  for (const auto strategy : {PackingStrategy::first_fit, PackingStrategy::best_fit,
                              PackingStrategy::balanced, PackingStrategy::sequential}) {
    LoaderOptions options{
        .packing = packing(32, strategy), .policies = {}, .global_rows = 4, .epochs = 3};
    const auto steps = run(data, options);
    std::map<int32_t, int> seen;
    int64_t samples = 0;
    for (const auto& step : steps) {
      for (const auto id : samples_of(step)) ++seen[id];
      for (const auto& batch : step.micro_steps) EXPECT_LE(batch.tokens(), 32);
      EXPECT_TRUE(step.rows == 4 || &step == &steps.back());
      samples += step.samples;
    }
    EXPECT_EQ(samples, 3 * 203);
    EXPECT_EQ(seen.size(), 203u);
    for (const auto& [id, count] : seen) EXPECT_EQ(count, 3) << id;
    EXPECT_DOUBLE_EQ(steps.back().progress, 1.0);
    EXPECT_DOUBLE_EQ(steps.back().epoch, 3.0);
    for (size_t k = 1; k < steps.size(); ++k) {
      EXPECT_EQ(steps[k].progress_before, steps[k - 1].progress);
      EXPECT_GT(steps[k].progress, steps[k - 1].progress);
    }
  }
}

TEST(Packed, lane_l_reads_samples_l_l_plus_L_and_so_on_of_the_order) {
  const auto data = made_dataset(random_lengths(50, 20));
  LoaderOptions options{.packing = packing(24, PackingStrategy::sequential),
                        .policies = {},
                        .global_rows = 3,
                        .epochs = 4};
  // A sequential lane keeps its order, and row i of a whole step is that of lane i.
  std::vector<int64_t> cursor = {0, 1, 2};
  const auto steps = run(data, options);
  for (size_t k = 0; k + 12 < steps.size(); ++k) {
    ASSERT_EQ(steps[k].micro_steps.size(), 3u);
    for (size_t lane = 0; lane < 3; ++lane) {
      const auto& batch = steps[k].micro_steps[lane];
      for (const auto& segment : batch.segments) {
        const int64_t t = cursor[lane];
        EXPECT_EQ(batch.input_ids[static_cast<size_t>(segment.start)],
                  data->place(t / 50, t % 50).row);
        cursor[lane] += 3;
      }
    }
  }
}

TEST(Packed, rows_are_isolated_segments_with_positions_of_their_own) {
  LoaderOptions options{.packing = packing(16), .policies = {}, .global_rows = 1, .epochs = 1};
  options.pad_multiple = 8;
  options.pad_id = 99;
  const auto steps = run(made_dataset({5, 6, 2}, false), options);
  ASSERT_EQ(steps.size(), 1u);
  const auto& batch = steps[0].micro_steps[0];
  ASSERT_EQ(batch.segments.size(), 4u);
  EXPECT_EQ(batch.tokens(), 16);
  EXPECT_EQ(batch.valid_tokens, 13);
  EXPECT_EQ(batch.supervised_tokens, 4 + 5 + 1);
  EXPECT_EQ(batch.segments[1].start, 5);
  EXPECT_EQ(batch.segments[1].length, 6);
  EXPECT_EQ(batch.segments[3].sample, -1);
  EXPECT_EQ(batch.segments[3].length, 3);
  EXPECT_THAT(batch.position_ids, ElementsAre(0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 0, 1, 0, 1, 2));
  EXPECT_THAT(batch.weights, ElementsAre(1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0));
  EXPECT_THAT(batch.labels, ElementsAre(0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 2, 0, 0, 0, 0));
  EXPECT_EQ(batch.input_ids.back(), 99);
  EXPECT_EQ(steps[0].tokens, 13);
}

TEST(Packed, max_steps_repeats_the_data_as_often_as_needed) {
  LoaderOptions options{.packing = packing(10), .policies = {}, .global_rows = 2, .epochs = 1};
  options.max_steps = 50;
  const auto data = made_dataset({4, 5, 6});
  const auto steps = run(data, options);
  ASSERT_EQ(steps.size(), 50u);
  for (const auto& step : steps) EXPECT_EQ(step.rows, 2);
  EXPECT_GT(steps.back().epoch, 10.0);
  EXPECT_DOUBLE_EQ(steps[24].progress, 0.5);
  EXPECT_EQ(make_loader(data, options).total_steps(), 50);
}

TEST(Packed, only_the_last_step_is_smaller_and_drop_last_drops_it) {
  const auto data = made_dataset(random_lengths(101, 30));
  LoaderOptions options{.packing = packing(32), .policies = {}, .global_rows = 8, .epochs = 1};
  const auto steps = run(data, options);
  EXPECT_EQ(make_loader(data, options).total_steps(), std::nullopt);
  options.drop_last = true;
  const auto dropped = run(data, options);
  EXPECT_EQ(dropped.size(), steps.back().rows < 8 ? steps.size() - 1 : steps.size());
  for (const auto& step : dropped) EXPECT_EQ(step.rows, 8);
}

TEST(Packed, fewer_samples_than_lanes_make_one_small_step) {
  LoaderOptions options{.packing = packing(32), .policies = {}, .global_rows = 8, .epochs = 1};
  const auto data = made_dataset({3, 4, 5});
  const auto steps = run(data, options);
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].samples, 3);
  options.drop_last = true;
  auto loader = make_loader(data, options);
  EXPECT_THROW(loader.next(), Error);
}

TEST(Packed, fractions_of_an_epoch_read_that_share_of_the_samples) {
  LoaderOptions options{.packing = packing(32), .policies = {}, .global_rows = 4, .epochs = 1.25};
  int64_t samples = 0;
  for (const auto& step : run(made_dataset(random_lengths(80, 20)), options)) {
    samples += step.samples;
  }
  EXPECT_EQ(samples, 100);
}

TEST(Packed, truncates_overlong_samples_where_asked) {
  LoaderOptions options{.packing = packing(8), .policies = {}, .global_rows = 1, .epochs = 1};
  options.policies.on_overlong = OnOverlong::truncate;
  for (const int64_t kept_bytes : {int64_t{1} << 20, int64_t{0}}) {
    options.kept_text_bytes = kept_bytes;
    const auto steps = run(made_dataset({12, 3}, false), options);
    ASSERT_EQ(steps.size(), 2u);
    EXPECT_EQ(steps[0].tokens, 8);
    EXPECT_EQ(steps[0].supervised_tokens, 8);  // the cut position keeps its target
    EXPECT_EQ(steps[1].skipped.total(), 0);
    EXPECT_EQ(steps[1].skipped.truncated.count, 1);
    EXPECT_EQ(steps[1].skipped.truncated.first_what, "12 tokens cut to 8");
  }
}

TEST(Policies, fail_ends_the_run_at_the_step_of_the_record) {
  LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 2, .epochs = 1};
  auto loader = make_loader(made_dataset({3, 3, 3, 3, -1, 3, 3, 3}, false), options);
  EXPECT_TRUE(loader.next());
  EXPECT_TRUE(loader.next());
  try {
    loader.next();
    FAIL() << "the third step holds a rotten record";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault().text(),
              "made:5: rotten\n    fix: correct the record, or set dataset_config.on_bad_sample: "
              "skip");
    EXPECT_EQ(error.exit(), Exit::bad_input);
  }
  EXPECT_FALSE(loader.next());
}

TEST(Policies, overlong_records_fail_where_asked) {
  LoaderOptions options{.packing = packing(8), .policies = {}, .global_rows = 1, .epochs = 1};
  options.policies.on_overlong = OnOverlong::fail;
  auto loader = make_loader(made_dataset({3, 9}, false), options);
  EXPECT_THAT([&] { loader.next(); },
              testing::ThrowsMessage<Error>(HasSubstr("made:2: 9 tokens, the limit is 8")));
}

TEST(Policies, a_data_set_without_a_single_trainable_record_is_an_error) {
  LoaderOptions options{.packing = packing(8), .policies = {}, .global_rows = 2, .epochs = 1};
  options.max_steps = 100;
  auto loader = make_loader(made_dataset({9, 10, 1, 11}), options);
  EXPECT_THAT([&] { loader.next(); },
              testing::ThrowsMessage<Error>(HasSubstr("cannot be trained")));
}

TEST(Policies, the_shorter_of_max_length_and_packing_length_counts) {
  LoaderOptions options{.packing = packing(8), .policies = {}, .global_rows = 1, .epochs = 1};
  options.policies.max_length = 5;
  const auto steps = run(made_dataset({6, 5}, false), options);
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_THAT(samples_of(steps[0]), ElementsAre(1));
}

TEST(Loader, refuses_options_that_make_no_step) {
  const auto data = made_dataset({3, 3, 3});
  LoaderOptions options{.packing = {}, .policies = {}, .global_rows = 4, .epochs = 1};
  options.drop_last = true;
  EXPECT_THAT([&] { make_loader(data, options); },
              testing::ThrowsMessage<Error>(HasSubstr("an epoch has 3 rows, a step needs 4")));
  options = {.packing = {}, .policies = {}, .global_rows = 0};
  EXPECT_THROW(make_loader(data, options), Error);
  options = {.packing = {}, .policies = {}, .global_rows = 1, .epochs = 0};
  EXPECT_THROW(make_loader(data, options), Error);
  options = {.packing = packing(int64_t{1} << 30), .policies = {}, .global_rows = 4};
  options.rows_per_micro_step = 2;
  EXPECT_THAT([&] { make_loader(data, options); },
              testing::ThrowsMessage<Error>(HasSubstr("2 rows of 1073741824 tokens")));
  options = {.packing = packing(0), .policies = {}};
  EXPECT_THROW(make_loader(data, options), Error);
}

TEST(Loader, gives_the_same_bits_for_every_number_of_threads) {
  const auto data = rough_data();
  for (auto options : kinds_of_runs()) {
    options.threads = 1;
    const auto expected = run(data, options);
    for (const int threads : {2, 4}) {
      options.threads = threads;
      options.steps_ahead = threads;
      const auto steps = run(data, options);
      ASSERT_EQ(steps.size(), expected.size());
      for (size_t k = 0; k < steps.size(); ++k) expect_equal(steps[k], expected[k]);
    }
  }
}

TEST(Loader, goes_on_after_every_step_as_if_uninterrupted) {
  const auto data = rough_data();
  for (auto options : kinds_of_runs()) {
    options.threads = 2;
    const auto expected = run(data, options);
    ASSERT_GT(expected.size(), 10u);
    for (size_t k = 0; k < expected.size(); ++k) {
      options.threads = 1 + static_cast<int>(k % 4);
      options.kept_text_bytes = k % 2 ? 0 : 1 << 20;
      auto loader = make_loader(data, options);
      loader.restore(expected[k].state());
      for (size_t next = k + 1; next < std::min(expected.size(), k + 6); ++next) {
        const auto step = loader.next();
        ASSERT_TRUE(step);
        expect_equal(*step, expected[next]);
      }
    }
    auto loader = make_loader(data, options);
    loader.restore(expected.back().state());
    EXPECT_FALSE(loader.next());
  }
}

TEST(Loader, can_go_back_while_it_runs) {
  const auto data = rough_data();
  const auto options = kinds_of_runs()[0];
  auto loader = make_loader(data, options);
  const auto first = loader.next();
  const auto second = loader.next();
  loader.next();
  loader.restore(first->state());
  expect_equal(*loader.next(), *second);
}

TEST(Loader, makes_samples_again_that_measuring_did_not_keep) {
  const auto data = made_dataset(random_lengths(60, 30));
  auto options = kinds_of_runs()[0];
  const auto expected = run(data, options);
  Loader second(data, std::make_shared<MadeProcessor>(/*keeps=*/false), options);
  for (const auto& step : expected) expect_equal(*second.next(), step);
}

LoaderOptions with_patches(int64_t patches) {
  LoaderOptions options{.packing = packing(100), .policies = {}, .global_rows = 1, .epochs = 1};
  options.packing->media = {{kVision, patches}};
  return options;
}

TEST(Patches, limit_a_row_as_tokens_do) {
  const auto steps = run(images_dataset({60, 60, 30, 0, 10, 40}), with_patches(100));
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_THAT(samples_of(steps[0]), ElementsAre(0, 2, 3, 4));
  EXPECT_THAT(samples_of(steps[1]), ElementsAre(1, 5));
}

TEST(Patches, of_one_sample_beyond_the_limit_go_by_the_policy_for_overlong_ones) {
  auto options = with_patches(50);
  const auto data = images_dataset({60, 50});
  const auto steps = run(data, options);
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_THAT(samples_of(steps[0]), ElementsAre(1));
  EXPECT_THAT(
      steps[0].skipped.text(),
      HasSubstr("1 overlong (first: made:1: 60 patches of images and videos, a row takes 50"));
  const auto failure = [&](OnOverlong policy) {
    options.policies.on_overlong = policy;
    try {
      run(data, options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("trained");
  };
  EXPECT_THAT(failure(OnOverlong::fail), HasSubstr("raise dataset_config.packing_patches"));
  EXPECT_THAT(failure(OnOverlong::truncate), HasSubstr("media cannot be cut"));
}

TEST(Patches, are_kept_in_the_state_and_limit_the_bins_that_go_on) {
  const auto data = images_dataset({60, 60, 30, 50, 10, 40, 70, 20, 5, 5});
  for (const auto strategy : {PackingStrategy::first_fit, PackingStrategy::best_fit,
                              PackingStrategy::balanced, PackingStrategy::sequential}) {
    auto options = with_patches(100);
    options.packing->strategy = strategy;
    const auto whole = run(data, options);
    ASSERT_GT(whole.size(), 2u);
    for (size_t k = 0; k + 1 < whole.size(); ++k) {
      auto loader = make_loader(data, options);
      loader.restore(whole[k].state());
      expect_equal(*loader.next(), whole[k + 1]);
    }
    auto other = options;
    other.packing->media[kVision].patches = 99;
    EXPECT_THROW(make_loader(data, other).restore(whole[0].state()), Error);
  }
}

TEST(Patches, are_not_asked_of_a_state_of_a_time_without_them) {
  const auto data = made_dataset(random_lengths(60, 30));
  const auto options = kinds_of_runs()[0];
  const auto steps = run(data, options);
  auto state = nlohmann::json::parse(steps[3].state());
  for (auto& lane : state["lanes"]) {
    for (const char* bins : {"open", "closed"}) {
      for (auto& bin : lane[bins]) {
        for (auto& item : bin) item.erase(4);
      }
    }
  }
  auto loader = make_loader(data, options);
  loader.restore(state.dump());
  expect_equal(*loader.next(), steps[4]);
}

TEST(LoaderState, is_refused_under_another_order_and_says_what_differs) {
  const auto data = made_dataset(random_lengths(60, 30));
  const auto options = kinds_of_runs()[0];
  const auto state = run(data, options)[3].state();
  EXPECT_EQ(Loader::global_rows_of(state).take(), 3);
  const auto refusal = [&](const std::shared_ptr<const Dataset>& other, const LoaderOptions& now) {
    auto loader = make_loader(other, now);
    try {
      loader.restore(state);
    } catch (const Error& error) {
      return error.fault().text();
    }
    return std::string("restored");
  };
  auto other = options;
  other.global_rows = 4;
  EXPECT_THAT(refusal(data, other), HasSubstr("global_rows: 3 in the checkpoint, 4 now"));
  other = options;
  other.packing->length = 33;
  EXPECT_THAT(refusal(data, other), HasSubstr("packing: "));
  EXPECT_THAT(refusal(made_dataset(random_lengths(61, 30)), options), HasSubstr("sources: "));
  EXPECT_THAT(refusal(made_dataset(random_lengths(60, 30), true, 43), options),
              HasSubstr("data_seed: 42 in the checkpoint, 43 now"));
  other = options;
  other.epochs = 7;
  other.threads = 3;
  other.policies.max_length = 20;
  EXPECT_EQ(refusal(data, other), "restored");
}

TEST(LoaderState, refuses_every_text_that_is_not_a_state) {
  const auto data = made_dataset(random_lengths(60, 30));
  const auto options = kinds_of_runs()[0];
  const auto state = run(data, options)[3].state();
  auto loader = make_loader(data, options);
  const auto restores = [&](const std::string& text) {
    try {
      loader.restore(text);
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  EXPECT_TRUE(restores(state));
  for (const char* text : {"", "{}", "[]", "null", "{\"version\": 1}"})
    EXPECT_FALSE(restores(text));
  EXPECT_FALSE(Loader::global_rows_of("{}"));
  EXPECT_FALSE(Loader::global_rows_of("[1"));
  auto fields = nlohmann::json::parse(state);
  const auto broken = [&](const char* pointer, const nlohmann::json& value) {
    auto copy = fields;
    copy[nlohmann::json::json_pointer(pointer)] = value;
    return !restores(copy.dump());
  };
  EXPECT_TRUE(broken("/version", 2));
  EXPECT_TRUE(broken("/step", -1));
  EXPECT_TRUE(broken("/step", "x"));
  EXPECT_TRUE(broken("/lanes", nlohmann::json::array()));
  EXPECT_TRUE(broken("/lanes/0/read", -5));
  EXPECT_TRUE(broken("/lanes/0/open/0/0/0", 1));        // an ordinal of another lane
  EXPECT_TRUE(broken("/lanes/0/open/0/0/0", 3000000));  // one that was not read
  EXPECT_TRUE(broken("/lanes/0/open/0/0/1", 100));      // longer than the row
  EXPECT_TRUE(broken("/lanes/0/open/0", nlohmann::json::array()));
  std::mt19937 random(2);
  for (int round = 0; round < 500; ++round) {
    auto damaged = state;
    damaged[random() % damaged.size()] = static_cast<char>(random());
    restores(damaged);  // refused, or harmless
  }
}

TEST(LoaderState, notices_a_record_that_changed_under_it) {
  const auto options = kinds_of_runs()[0];
  const auto state = run(made_dataset(random_lengths(60, 20, 1)), options)[3].state();
  auto loader = make_loader(made_dataset(random_lengths(60, 20, 2)), options);
  loader.restore(state);
  EXPECT_THAT(
      [&] {
        while (loader.next()) continue;
      },
      testing::ThrowsMessage<Error>(HasSubstr("when its row was planned")));
}

TEST(Loader, gives_up_what_is_queued_when_it_ends) {
  std::atomic<int64_t> reads = 0;
  std::vector<Dataset::Part> parts(1);
  parts[0].summary = {
      .path = "slow", .format = "", .weight = 1, .rows = 100000, .samples_per_epoch = 100000};
  parts[0].source = std::make_unique<MadeSource>("slow", 100000, [&reads](int64_t row) {
    ++reads;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return Result<nlohmann::json>(nlohmann::json{{"id", row}, {"length", 4}});
  });
  LoaderOptions options{.packing = packing(64), .policies = {}, .global_rows = 8, .epochs = 1};
  options.threads = 4;  // 64 records are measured ahead
  auto loader = std::make_unique<Loader>(std::make_shared<const Dataset>(std::move(parts), true, 1),
                                         std::make_shared<MadeProcessor>(), options);
  ASSERT_TRUE(loader->next());
  const int64_t before = reads;
  loader.reset();
  EXPECT_LT(reads - before, 32);
}

TEST(Assign, deals_round_robin_and_fills_micro_steps_in_order) {
  const std::vector<RowDescriptor> rows(7);
  const auto places = assign(rows, 2, 2);
  std::vector<std::pair<int, int>> seen;
  for (const auto& place : places) seen.emplace_back(place.rank, place.micro_step);
  EXPECT_THAT(seen, ElementsAre(std::pair(0, 0), std::pair(1, 0), std::pair(0, 0), std::pair(1, 0),
                                std::pair(0, 1), std::pair(1, 1), std::pair(0, 1)));
  EXPECT_EQ(micro_steps_of(7, 2, 2), 2);
  EXPECT_EQ(micro_steps_of(0, 2, 2), 1);
  EXPECT_EQ(micro_steps_of(9, 2, 2), 3);
}

}  // namespace
}  // namespace lmms::data
