#include "models/patch.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/sum.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/config.h"
#include "models/registry_testing.h"
#include "nn/memory.h"

namespace lmms::models {
namespace {

using testing::HasSubstr;

std::unique_ptr<Model> tiny_model() {
  const nlohmann::json config = {{"model_type", "qwen3"},  {"vocab_size", 32},
                                 {"hidden_size", 16},      {"intermediate_size", 32},
                                 {"num_hidden_layers", 1}, {"num_attention_heads", 2},
                                 {"head_dim", 8},          {"num_key_value_heads", 1}};
  return model_entry(config, "test").make(config, "test");
}

// A patch of a plugin: a gate of `width` in every model.
void add_gate(const PatchRequest& request, Model& model) {
  const auto& values = request.sections.at(0).values;
  const auto* width = std::get_if<int64_t>(&values.at("width").data);
  if (width == nullptr) throw Error(request.where("x.width"), "expected a number");
  model.params().add("gate", "model.gate.weight", {*width, 16}, {nn::Init::Law::ones},
                     nn::ParamClass::matrix);
}

TEST(Patches, of_structure_add_params_that_get_memory_and_values_like_all_others) {
  PatchRegistry registry("patch");
  register_patches(registry);
  registry.add("gate", "a gate", {.structure = add_gate}, "/opt/gate.so");
  const auto model = tiny_model();
  const int64_t before = model->params().elements(/*trainable_only=*/true);
  const std::vector<PatchRequest> requests = {
      {.name = "liger"},
      {.name = "gate", .sections = {{"x", {{"width", config::Value{int64_t{4}}}}}}}};
  patch_structure(registry, requests, *model);
  EXPECT_EQ(model->params().elements(true), before + 4 * 16);
  nn::ModelMemory memory = nn::allocate(model->params(), {});
  nn::initialise(model->params(), memory, 1);
  const nn::Param& gate = *std::ranges::find(model->params().all(), "model.gate.weight",
                                             [](const nn::Param& p) { return p.name; });
  EXPECT_EQ(gate.leaf().sum().item<float>(), 64);
  EXPECT_TRUE(gate.leaf().requires_grad());
  EXPECT_EQ(patched_kernels(registry, requests), nn::KernelSet{});
}

TEST(Patches, that_are_not_known_are_refused_by_name) {
  PatchRegistry registry("patch");
  register_patches(registry);
  const auto model = tiny_model();
  const std::vector<PatchRequest> requests = {{.name = "ligr"}};
  try {
    patch_structure(registry, requests, *model);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("monkey_patch: unknown patch 'ligr'; did you mean 'liger'?"));
  }
}

TEST(Patches, that_are_built_are_registered_and_no_others) {
  PatchRegistry registry("patch");
  register_patches(registry);
  for (const config::Name& name : patch_names())
    EXPECT_EQ(registry.find(name.name) != nullptr, name.built == config::Built::built) << name.name;
}

}  // namespace
}  // namespace lmms::models
