// Masks that become tokens, step by step, against transformers' models made bidirectional.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "generate/generation.h"
#include "models/registry_testing.h"
#include "step/load_network.h"

namespace lmms::generate {
namespace {

using Ids = std::vector<int32_t>;
const std::filesystem::path kData = std::filesystem::path(LMMS_SOURCE_DIR) / "tests/parity/data";

TEST(MaskedDiffusionGeneration, steps_equal_those_of_transformers_models_that_see_both_sides) {
  const auto rows = nlohmann::json::parse(std::ifstream(kData / "dllm_generation.json"));
  ASSERT_GE(rows.size(), 5u);
  for (const nlohmann::json& row : rows) {
    const step::Network network = step::load_network(
        models::built_in_models(), kData / "qwen_text" / row["case"].get<std::string>(), at::kFloat,
        at::kCPU);
    GenerationOptions options;
    options.max_new_tokens = row["length"];
    options.unmasking = UnmaskingOptions{.mask_id = row["mask"],
                                         .trained_block = row["trained_block"],
                                         .block_length = row["block"],
                                         .steps = row["steps"],
                                         .guidance = row["guidance"]};
    std::vector<Ids> drafts;
    GenerationHooks hooks;
    hooks.draft = [&](size_t, std::span<const int32_t> ids) {
      drafts.emplace_back(ids.begin(), ids.end());
    };
    const data::Sample prompt = text_prompt(row["prompt"].get<Ids>());
    const auto out =
        generate({*network.model, at::kCPU, {}}, std::span(&prompt, 1), options, hooks);
    const auto expected = row["drafts"].get<std::vector<Ids>>();
    ASSERT_EQ(drafts.size(), expected.size()) << row["case"];
    for (size_t s = 0; s < expected.size(); ++s)
      EXPECT_EQ(drafts[s], expected[s]) << row["case"] << ", step " << s;
    EXPECT_EQ(out[0].ids, expected.back());
    EXPECT_EQ(out[0].steps, row["steps"].get<int64_t>());
  }
}

}  // namespace
}  // namespace lmms::generate
