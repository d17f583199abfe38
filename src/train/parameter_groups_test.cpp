#include "train/parameter_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace lmms::train {
namespace {

using testing::HasSubstr;
using Law = nn::Init::Law;

/// A tower of one layer, whose q, k and v lie in one matrix, and a head.
struct Structure {
  nn::ParamTable params;
  nn::ModelMemory memory;
  explicit Structure(const std::string& frozen = "") {
    params.add_stacked("tower", "visual.qkv.weight",
                       {"visual.q.weight", "visual.k.weight", "visual.v.weight"}, {4, 2, 2}, 4, {},
                       nn::ParamClass::matrix);
    params.add("tower", "visual.norm.weight", {4}, {Law::ones, 0, -1}, nn::ParamClass::vector);
    params.add("root", "head.weight", {6, 4}, {}, nn::ParamClass::matrix);
    if (!frozen.empty()) params.freeze(frozen, "");
    memory = nn::allocate(params, {});
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
  EXPECT_EQ(out.stretches[0], (std::vector<optim::GroupStretch>{{0, gap, 2}, {gap, gap, 1}}));
  EXPECT_TRUE(out.stretches[1].empty());
}

TEST(ParameterGroups, reach_into_a_matrix_that_stacks_several_tensors) {
  const ParameterGroups out = Structure().groups({{"visual.k", 1e-6, std::nullopt}});
  EXPECT_EQ(out.groups[1].elements, 8);
  EXPECT_EQ(out.stretches[0], (std::vector<optim::GroupStretch>{{16, 8, 1}}));
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
}  // namespace lmms::train
