// Generation against transformers: greedy tokens, what ends a sequence, what sampling leaves; and
// what must not change them.
#include "generate/generation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "models/registry_testing.h"
#include "step/load_network.h"

namespace lmms::generate {
namespace {

using Ids = std::vector<int32_t>;
const std::filesystem::path kData = std::filesystem::path(LMMS_SOURCE_DIR) / "tests/parity/data";

const nlohmann::json& stored() {
  static const nlohmann::json json =
      nlohmann::json::parse(std::ifstream(kData / "generation.json"));
  return json;
}

step::Network load(const std::string& name) {
  return step::load_network(models::built_in_models(), kData / "qwen_text" / name, at::kFloat,
                            at::kCPU);
}

std::vector<Generated> run(const step::Network& network, const std::vector<Ids>& prompts,
                           const GenerationOptions& options, const GenerationHooks& hooks = {}) {
  std::vector<data::Sample> samples;
  for (const Ids& ids : prompts) samples.push_back(text_prompt(ids));
  return generate({*network.model, at::kCPU, {}}, samples, options, hooks);
}

std::vector<Ids> prompts_of(const nlohmann::json& rows) {
  std::vector<Ids> prompts;
  for (const auto& row : rows) prompts.push_back(row["prompt"].get<Ids>());
  return prompts;
}

GenerationOptions greedy(int64_t tokens) {
  GenerationOptions options;
  options.max_new_tokens = tokens;
  return options;
}

class Greedy : public testing::TestWithParam<std::string> {};

TEST_P(Greedy, tokens_equal_transformers_alone_and_in_a_batch_of_uneven_prompts) {
  const nlohmann::json& rows = stored()["greedy"][GetParam()];
  const step::Network network = load(GetParam());
  const std::vector<Ids> prompts = prompts_of(rows);
  const auto together = run(network, prompts, greedy(24));
  for (size_t b = 0; b < prompts.size(); ++b) {
    const Ids expected = rows[b]["ids"].get<Ids>();
    EXPECT_EQ(together[b].ids, expected) << "in the batch, prompt " << b;
    EXPECT_FALSE(together[b].finished);
    EXPECT_EQ(run(network, {prompts[b]}, greedy(24))[0].ids, expected) << "alone, prompt " << b;
  }
}

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const auto& [name, rows] : stored()["greedy"].items()) names.push_back(name);
  return names;
}
INSTANTIATE_TEST_SUITE_P(Models, Greedy, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param; });

TEST(Generation, a_sequence_ends_with_a_stop_token_while_others_go_on) {
  const nlohmann::json& stopped = stored()["stopped"];
  const step::Network network = load(stopped["case"]);
  GenerationOptions options = greedy(24);
  options.stop_ids = stopped["eos"].get<Ids>();
  const auto out = run(network, prompts_of(stopped["rows"]), options);
  int finished = 0;
  for (size_t b = 0; b < out.size(); ++b) {
    EXPECT_EQ(out[b].ids, stopped["rows"][b]["ids"].get<Ids>()) << b;
    EXPECT_EQ(out[b].finished, stopped["rows"][b]["finished"].get<bool>()) << b;
    finished += out[b].finished ? 1 : 0;
  }
  EXPECT_GE(finished, 1);
  EXPECT_LT(finished, 3);
}

TEST(Generation, a_repetition_penalty_is_that_of_transformers) {
  const nlohmann::json& penalised = stored()["penalised"];
  const step::Network network = load(penalised["case"]);
  GenerationOptions options = greedy(24);
  options.sampling.repetition_penalty = penalised["penalty"];
  const auto out = run(network, prompts_of(penalised["rows"]), options);
  for (size_t b = 0; b < out.size(); ++b)
    EXPECT_EQ(out[b].ids, penalised["rows"][b]["ids"].get<Ids>()) << b;
}

TEST(Generation, tokens_reach_the_hook_one_by_one_and_a_stop_ends_all) {
  const step::Network network = load("qwen3_untied");
  const std::vector<Ids> prompts = prompts_of(stored()["greedy"]["qwen3_untied"]);
  std::vector<Ids> streamed(prompts.size());
  int asked = 0;
  GenerationHooks hooks;
  hooks.token = [&](size_t b, int32_t id) { streamed[b].push_back(id); };
  hooks.stop = [&] { return ++asked > 5; };
  const auto out = run(network, prompts, greedy(24), hooks);
  for (size_t b = 0; b < prompts.size(); ++b) {
    EXPECT_EQ(out[b].ids.size(), 5u);
    EXPECT_EQ(streamed[b], out[b].ids);
  }
}

TEST(Generation, a_kept_prefix_changes_no_token) {
  for (const char* name : {"qwen3_untied", "qwen2_sliding_yarn"}) {
    const step::Network network = load(name);
    const Ids first = stored()["greedy"][name][2]["prompt"].get<Ids>();
    KeptPrefix kept;
    GenerationHooks hooks;
    hooks.kept = &kept;
    const Ids answer = run(network, {first}, greedy(6), hooks)[0].ids;
    EXPECT_EQ(answer, run(network, {first}, greedy(6))[0].ids);
    // goes on after the answer, then departs inside of it, then is the same again, then a prefix
    Ids longer = first;
    longer.insert(longer.end(), answer.begin(), answer.end());
    longer.insert(longer.end(), {3, 1, 4});
    Ids other = first;
    other.insert(other.end(), {answer[0], 7, 7});
    for (const Ids& prompt : {longer, other, other, Ids(first.begin(), first.begin() + 2)}) {
      EXPECT_EQ(run(network, {prompt}, greedy(9), hooks)[0].ids,
                run(network, {prompt}, greedy(9))[0].ids);
      EXPECT_EQ(kept.cache.lengths()[0], static_cast<int64_t>(kept.ids.size()));
    }
  }
}

TEST(Generation, sampling_leaves_the_probabilities_of_transformers) {
  for (const auto& row : stored()["sampling"]) {
    const SamplingOptions options{
        .temperature = row["temperature"], .top_k = row["top_k"], .top_p = row["top_p"]};
    const at::Tensor logits = at::tensor(row["logits"].get<std::vector<float>>()).unsqueeze(0);
    const Candidates from = candidates(logits, options);
    const at::Tensor ours = at::zeros_like(logits).scatter(1, from.ids, from.probabilities);
    const at::Tensor theirs = at::tensor(row["probabilities"].get<std::vector<float>>());
    EXPECT_LE((ours[0] - theirs).abs().max().item<float>(), 1e-6) << row.dump().substr(0, 60);
    EXPECT_TRUE((ours[0] > 0).equal(theirs > 0)) << row.dump().substr(0, 60);
  }
}

TEST(Generation, draws_depend_on_seed_and_place_alone_and_follow_the_probabilities) {
  const step::Network network = load("qwen3_untied");
  const Ids prompt = {5, 9};
  GenerationOptions options = greedy(1);
  options.sampling = {.temperature = 1.0, .top_k = 4, .seed = 11};
  const size_t n = 400;
  const std::vector<Ids> same(n, prompt);
  const auto first = run(network, same, options), again = run(network, same, options);
  std::map<int32_t, int> counts;
  for (size_t b = 0; b < n; ++b) {
    EXPECT_EQ(first[b].ids, again[b].ids);
    ++counts[first[b].ids[0]];
  }
  EXPECT_LE(counts.size(), 4u);
  EXPECT_GE(counts.size(), 2u);
  const auto fewer = run(network, {prompt, prompt, prompt}, options);
  for (size_t b = 0; b < 3; ++b) EXPECT_EQ(fewer[b].ids, first[b].ids);
  options.sampling.seed = 12;
  const auto other = run(network, same, options);
  EXPECT_TRUE(std::any_of(other.begin(), other.end(), [&](const Generated& g) {
    return g.ids != first[static_cast<size_t>(&g - other.data())].ids;
  }));
}

TEST(Generation, an_empty_prompt_and_an_unknown_id_are_errors) {
  const step::Network network = load("qwen3_untied");
  EXPECT_THROW(run(network, {{1}, {}}, greedy(1)), Error);
  EXPECT_THROW(run(network, {{1, 96}}, greedy(1)), Error);
  EXPECT_THROW(run(network, {{-1}}, greedy(1)), Error);
}

TEST(Generation, no_new_tokens_asked_for_are_none) {
  const step::Network network = load("qwen3_untied");
  EXPECT_TRUE(run(network, {{1, 2}}, greedy(0))[0].ids.empty());
}

}  // namespace
}  // namespace lmms::generate
