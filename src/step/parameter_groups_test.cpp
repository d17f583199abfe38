#include "step/parameter_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace lmms::step {
namespace {

using testing::HasSubstr;
using Law = nn::Init::Law;

/// A tower of one layer, whose q, k and v lie in one matrix, and a head.
struct Structure {
  nn::ParamTable params;
  nn::ModelMemory memory;
  explicit Structure(const std::string& frozen = "", parallel::Shard shard = {}) {
    params.add_stacked("tower", "visual.qkv.weight",
                       {"visual.q.weight", "visual.k.weight", "visual.v.weight"}, {4, 2, 2}, 4, {},
                       nn::ParamClass::matrix);
    params.add("tower", "visual.norm.weight", {4}, {Law::ones, 0, -1}, nn::ParamClass::vector);
    params.add("root", "head.weight", {6, 4}, {}, nn::ParamClass::matrix);
    if (!frozen.empty()) params.freeze(frozen, "");
    memory = nn::allocate(params, {at::kCPU, at::kFloat, at::kFloat, /*masters=*/true, shard});
  }
  ParameterGroups groups(std::vector<optim::ModuleRate> entries) const {
    optim::OptimizerConfig config;
    config.learning_rate = 1e-3;
    config.weight_decay = 0.1;
    config.learning_rates = std::move(entries);
    return parameter_groups(params, memory, config, "a.yaml:3:5: trainer_args.learning_rates");
  }
  std::string refusal(std::vector<optim::ModuleRate> entries) const {
    try {
      groups(std::move(entries));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
};

TEST(ParameterGroups, give_a_weight_to_the_first_entry_that_fits) {
  const Structure model;
  const ParameterGroups out =
      model.groups({{"visual.norm", 2e-6, std::nullopt}, {"visual", std::nullopt, 0.0}});
  ASSERT_EQ(out.groups.size(), 3u);
  EXPECT_EQ(out.groups[0].elements, 24);
  EXPECT_EQ(out.groups[1].elements, 4);
  EXPECT_EQ(out.groups[1].learning_rate, 2e-6);
  EXPECT_EQ(out.groups[1].weight_decay, 0.1);
  EXPECT_EQ(out.groups[2].elements, 32);
  EXPECT_EQ(out.groups[2].learning_rate, 1e-3);
  EXPECT_EQ(out.groups[2].weight_decay, 0.0);
  const int64_t gap = parallel::kAlignment;  // the matrix with the gap behind it, then the norm
  EXPECT_EQ(out.ranges[0], (std::vector<optim::GroupRange>{{0, gap, 2}, {gap, gap, 1}}));
  EXPECT_TRUE(out.ranges[1].empty());
}

TEST(ParameterGroups, reach_into_a_matrix_that_stacks_several_tensors) {
  const ParameterGroups out = Structure().groups({{"visual.k", 1e-6, std::nullopt}});
  EXPECT_EQ(out.groups[1].elements, 8);
  EXPECT_EQ(out.ranges[0], (std::vector<optim::GroupRange>{{16, 8, 1}}));
}

// The group of every element of the buckets; 0: in no range.
std::vector<std::vector<int32_t>> by_element(const ParameterGroups& groups,
                                             const nn::ModelMemory& memory) {
  std::vector<std::vector<int32_t>> out;
  for (size_t b = 0; b < memory.buckets.size(); ++b) {
    auto& list = out.emplace_back(static_cast<size_t>(memory.buckets[b].local().length), 0);
    for (const optim::GroupRange& s : groups.ranges[b]) {
      for (int64_t i = s.offset; i < s.offset + s.length; ++i) {
        EXPECT_EQ(list.at(static_cast<size_t>(i)), 0);
        list.at(static_cast<size_t>(i)) = s.group;
      }
    }
  }
  return out;
}

TEST(ParameterGroups, of_all_shards_are_those_of_one) {
  const std::vector<optim::ModuleRate> entries{
      {"visual.k", 1e-6, std::nullopt}, {"visual.norm", 1e-6, std::nullopt}, {"head", 1e-5, 0.0}};
  const Structure alone;
  const ParameterGroups expected = alone.groups(entries);
  const auto whole = by_element(expected, alone.memory);
  for (const int64_t count : {2, 3, 4}) {
    std::vector<std::vector<int32_t>> together(whole.size());
    for (int64_t index = 0; index < count; ++index) {
      const Structure shard("", {index, count});
      const ParameterGroups groups = shard.groups(entries);
      for (size_t g = 0; g < groups.groups.size(); ++g)
        EXPECT_EQ(groups.groups[g].elements, expected.groups[g].elements);
      const auto part = by_element(groups, shard.memory);
      for (size_t b = 0; b < part.size(); ++b)
        together[b].insert(together[b].end(), part[b].begin(), part[b].end());
    }
    for (size_t b = 0; b < whole.size(); ++b) {
      ASSERT_GE(together[b].size(), whole[b].size());
      for (size_t i = 0; i < whole[b].size(); ++i) EXPECT_EQ(together[b][i], whole[b][i]) << i;
    }
  }
}

// Ranges of the parts, as names of one letter.
std::string ranges_text(nn::ParamTable& params) {
  const nn::ModelMemory memory = nn::allocate(params, {});
  std::string text;
  for (const TrainedPart& p : trained_parts(params, memory)) {
    text += p.part->hub_name + std::to_string(p.range.offset) + "+" +
            std::to_string(p.range.length) + " ";
  }
  return text;
}

TEST(TrainedParts, take_the_padding_behind_them_and_come_in_pieces_where_they_are_cut) {
  nn::ParamTable padded;
  padded.add_parts("unit", "w", {8, 6},
                   {nn::rows_part("a", {3, 5}, 0, 6), nn::rows_part("b", {3, 5}, 4, 6)}, {},
                   nn::ParamClass::matrix);
  EXPECT_EQ(ranges_text(padded), "a0+24 b24+232 ");
  nn::ParamTable cut;  // rows of a: 0, 1 and 4, 5; of b: 2, 3
  cut.add_parts("unit", "w", {6, 5},
                {nn::interleaved_part("a", 2, {1, 1}, {0, 4}, 5), nn::rows_part("b", {2, 5}, 2, 5)},
                {}, nn::ParamClass::matrix);
  EXPECT_EQ(ranges_text(cut), "a0+10 b10+10 a20+236 ");
}

TEST(TrainedRanges, join_neighbours_that_are_taken) {
  const Structure model;
  const auto ranges = trained_ranges(model.params, model.memory, [](const nn::Part& part) {
    return part.hub_name != "visual.q.weight" && part.hub_name != "head.weight";
  });
  const int64_t gap = parallel::kAlignment;
  EXPECT_EQ(ranges[0], (std::vector<parallel::Range>{{16, 2 * gap - 16}}));
  EXPECT_TRUE(ranges[1].empty());
}

TEST(ParameterGroups, refuse_an_entry_that_no_weight_belongs_to_and_say_why) {
  const std::string at = "a.yaml:3:5: trainer_args.learning_rates[";
  EXPECT_THAT(
      Structure().refusal({{"visul", 1.0, std::nullopt}}),
      HasSubstr(at + "0].modules: the model has no module 'visul'; did you mean 'visual'?"));
  EXPECT_THAT(Structure().refusal({{"visul.*", 1.0, std::nullopt}}),
              HasSubstr("did you mean 'visual'?"));
  EXPECT_THAT(
      Structure().refusal({{"visual", 1.0, std::nullopt}, {"visual.q", 1.0, std::nullopt}}),
      HasSubstr(at + "1].modules: every weight of 'visual.q' belongs to an entry before it"));
  EXPECT_THAT(Structure("visual").refusal({{"visual.q", 1.0, std::nullopt}}),
              HasSubstr(at + "0].modules: every weight of 'visual.q' is frozen"));
}

}  // namespace
}  // namespace lmms::step
