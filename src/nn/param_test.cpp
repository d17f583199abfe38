#include "nn/param.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "nn/memory.h"

namespace lmms::nn {
namespace {

using testing::HasSubstr;

ParamTable two_layers() {
  ParamTable table;
  table.add("root", "model.embed.weight", {6, 4}, {}, ParamClass::embedding);
  for (const std::string layer : {"model.layers.1", "model.layers.10"}) {
    table.add_stacked(layer, layer + ".qkv.weight",
                      {layer + ".q.weight", layer + ".k.weight", layer + ".v.weight"}, {4, 2, 2}, 4,
                      {}, ParamClass::matrix);
    table.add(layer, layer + ".norm.weight", {4}, {Init::Law::ones, 0, -1}, ParamClass::vector);
  }
  return table;
}

std::string message_of_freezing(const std::string& module) {
  ParamTable table = two_layers();
  try {
    table.freeze(module, "a.yaml:3:5: trainer_args.freeze_modules");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(ParamTable, stacks_tensors_of_the_checkpoint_in_rows) {
  const ParamTable table = two_layers();
  const Param* p = table.find_part("model.layers.1.v.weight");
  ASSERT_NE(p, nullptr);
  EXPECT_EQ(p->name, "model.layers.1.qkv.weight");
  EXPECT_EQ(p->parts[2].first_row, 6);
  EXPECT_EQ(p->parts[2].hub_shape, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(table.find_part("model.layers.1.qkv.weight"), nullptr);
  EXPECT_EQ(table.elements(), 24 + 2 * (32 + 4));
}

TEST(ParamTable, refuses_two_tensors_of_one_name) {
  ParamTable table = two_layers();
  EXPECT_THROW(table.add("root", "model.layers.1.k.weight", {2, 4}, {}, ParamClass::matrix), Error);
}

TEST(ParamTable, freezes_whole_modules_by_dotted_name) {
  ParamTable table = two_layers();
  table.freeze("model.layers.1", "");  // and not model.layers.10
  for (const Param& p : table.all()) EXPECT_EQ(p.trainable, p.unit != "model.layers.1") << p.name;
  EXPECT_EQ(table.elements(/*trainable_only=*/true), 24 + 36);
}

TEST(ParamTable, freezes_a_single_tensor_by_its_full_name) {
  ParamTable table = two_layers();
  table.freeze("model.layers.1.norm.weight", "");
  EXPECT_EQ(table.elements(true), table.elements() - 4);
}

TEST(ParamTable, fits_a_pattern_by_whole_names_and_stars) {
  ParamTable table = two_layers();
  table.also_known("model.", "language.");
  const char* q = "model.layers.10.q.weight";
  for (const char* fits : {"model", "model.layers.10", "model.layers.10.q.weight", "*.q", "*",
                           "model.layers.*.q", "model.*.weight", "language.layers", "*1*"})
    EXPECT_TRUE(table.fits(q, fits)) << fits;
  for (const char* other : {"", "mode", "model.layers.1", "layers.10", "*.k", "model.layers.*.norm",
                            "*.weight.", "language.layers.1", "q"})
    EXPECT_FALSE(table.fits(q, other)) << other;
}

TEST(ParamTable, reads_names_that_no_module_has) {
  ParamTable table = two_layers();
  table.also_known("model.", "language.");
  table.also_read("model.", "");
  const char* q = "model.layers.10.q.weight";
  EXPECT_THAT(table.other_names(q),
              testing::ElementsAre("language.layers.10.q.weight", "layers.10.q.weight"));
  EXPECT_TRUE(table.fits(q, "language.layers"));
  EXPECT_FALSE(table.fits(q, "layers"));
}

TEST(ParamTable, knows_whether_the_head_is_the_embedding) {
  ParamTable table = two_layers();
  EXPECT_FALSE(table.tied());  // no language model
  table.set_head({"lm_head.weight", "model.layers.10.q.weight"});
  EXPECT_TRUE(table.tied());
  table.set_head({"model.layers.1.q.weight", "model.layers.10.q.weight"});
  EXPECT_FALSE(table.tied());
}

TEST(ParamTable, freezes_what_fits_a_pattern_with_stars) {
  ParamTable table = two_layers();
  table.freeze("*.norm", "");
  EXPECT_EQ(table.elements(true), table.elements() - 8);
}

TEST(ParamTable, names_the_nearest_module_where_none_has_the_name) {
  EXPECT_THAT(message_of_freezing("model.layer.1"), HasSubstr("did you mean 'model.layers.1'?"));
  EXPECT_THAT(message_of_freezing("model.layer.1"),
              HasSubstr("a.yaml:3:5: trainer_args.freeze_modules: the model has no module"));
}

TEST(ParamTable, refuses_to_freeze_a_part_of_one_matrix) {
  EXPECT_THAT(message_of_freezing("model.layers.1.k"),
              HasSubstr("in one matrix with model.layers.1.q.weight, model.layers.1.k.weight"));
}

TEST(ModelMemory, has_a_bucket_for_each_unit_and_for_what_is_frozen_of_it) {
  ParamTable table = two_layers();
  table.freeze("model.layers.10.norm", "");
  const ModelMemory memory = allocate(table, {});
  std::vector<std::pair<std::string, bool>> found;
  for (const auto& bucket : memory.buckets)
    found.emplace_back(bucket.layout().unit, bucket.layout().trainable);
  EXPECT_EQ(found, (std::vector<std::pair<std::string, bool>>{{"root", true},
                                                              {"model.layers.1", true},
                                                              {"model.layers.10", true},
                                                              {"model.layers.10", false}}));
  for (const Param& p : table.all()) EXPECT_EQ(p.value.requires_grad(), p.trainable) << p.name;
}

TEST(ModelMemory, starts_from_numbers_that_hang_on_names_alone) {
  ParamTable together = two_layers();
  ModelMemory memory = allocate(together, {});
  initialise(together, memory, 7);
  // the same tensor, stored alone and in another order
  ParamTable apart;
  apart.add("x", "other", {3}, {}, ParamClass::vector);
  apart.add("x", "model.layers.1.k.weight", {2, 4}, {}, ParamClass::matrix);
  ModelMemory alone = allocate(apart, {});
  initialise(apart, alone, 7);
  const at::Tensor k = apart.all()[1].value;
  EXPECT_TRUE(k.equal(together.find_part("model.layers.1.k.weight")->value.narrow(0, 4, 2)));
  initialise(apart, alone, 8);
  EXPECT_FALSE(k.equal(together.find_part("model.layers.1.k.weight")->value.narrow(0, 4, 2)));
}

TEST(ModelMemory, zeroes_the_row_of_the_pad_token) {
  ParamTable table;
  table.add("root", "embed", {4, 8}, {Init::Law::normal, 0.02, 2}, ParamClass::embedding);
  ModelMemory memory = allocate(table, {});
  initialise(table, memory, 7);
  const at::Tensor sums = table.all()[0].value.detach().abs().sum(1);
  for (int64_t row = 0; row < 4; ++row) EXPECT_EQ(sums[row].item<float>() == 0, row == 2) << row;
}

TEST(Padding, is_no_part_of_a_weight_and_stays_0) {
  EXPECT_EQ(inner_width(3420).stored, 3456);
  EXPECT_EQ(inner_width(3420).hub, 3420);
  EXPECT_EQ(inner_width(4304).stored, 4304);
  ParamTable params;
  const Width inner = inner_width(5);
  params.add_stacked("unit", "gate_up", {"gate", "up"}, {inner, inner}, 3, {}, ParamClass::matrix);
  params.add_stacked("unit", "down", {"down"}, {3}, inner, {}, ParamClass::matrix);
  const Param &gate_up = params.all()[0], &down = params.all()[1];
  EXPECT_EQ(gate_up.elements(), 2 * 5 * 3);
  EXPECT_EQ(gate_up.stored_elements(), 2 * 64 * 3);
  EXPECT_EQ(gate_up.parts[1].first_row, 64);
  EXPECT_EQ(down.parts[0].hub_shape, (std::vector<int64_t>{3, 5}));
  ModelMemory memory = allocate(params, {});
  initialise(params, memory, 1);
  for (const Param* p : {&gate_up, &down}) {
    at::Tensor rest = p->value.detach().clone();
    for (const Part& part : p->parts) {
      EXPECT_EQ(part.in(rest).sizes(), at::IntArrayRef(part.hub_shape));
      EXPECT_GT(part.in(rest).abs().min().item<float>(), 0.0f);
      part.in(rest).zero_();
    }
    EXPECT_EQ(rest.abs().max().item<float>(), 0.0f);
  }
}

}  // namespace
}  // namespace lmms::nn
