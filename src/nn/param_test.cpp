#include "nn/param.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/count_nonzero.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

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
  EXPECT_EQ(p->parts[2].regions[0].inner.first, 6 * 4);
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

TEST(ParamTable, finds_a_part_among_many_by_its_name) {
  ParamTable table;
  constexpr int64_t kExperts = 10000;
  for (int64_t i = 0; i < kExperts; ++i) {
    const std::string expert = "experts." + std::to_string(i);
    table.add_stacked("unit", expert + ".gate_up", {expert + ".gate", expert + ".up"}, {1, 1}, 1,
                      {}, ParamClass::matrix);
    table.add("unit", expert + ".down", {1, 1}, {}, ParamClass::matrix);
    table.add("unit", expert + ".scale", {1}, {}, ParamClass::vector);
  }
  for (const int64_t i : {int64_t{0}, kExperts / 2, kExperts - 1}) {
    const std::string expert = "experts." + std::to_string(i);
    EXPECT_EQ(table.find_part(expert + ".up")->name, expert + ".gate_up");
  }
  EXPECT_EQ(table.find_part("experts.10000.up"), nullptr);
  EXPECT_THROW(table.add("unit", "experts.9999.up", {1}, {}, ParamClass::vector), Error);
}

TEST(ModelMemory, has_a_bucket_for_each_unit_and_for_what_is_frozen_of_it) {
  ParamTable table = two_layers();
  table.freeze("model.layers.10.norm", "");
  const ModelMemory memory = allocate(table, {});
  std::vector<std::pair<std::string, bool>> found;
  for (const auto& bucket : memory.buckets)
    found.emplace_back(bucket.layout().key.unit, bucket.layout().key.trainable);
  EXPECT_EQ(found, (std::vector<std::pair<std::string, bool>>{{"root", true},
                                                              {"model.layers.1", true},
                                                              {"model.layers.10", true},
                                                              {"model.layers.10", false}}));
  for (const Param& p : table.all()) EXPECT_EQ(p.leaf().requires_grad(), p.trainable) << p.name;
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
  const at::Tensor k = apart.all()[1].leaf();
  EXPECT_TRUE(k.equal(together.find_part("model.layers.1.k.weight")->leaf().narrow(0, 4, 2)));
  initialise(apart, alone, 8);
  EXPECT_FALSE(k.equal(together.find_part("model.layers.1.k.weight")->leaf().narrow(0, 4, 2)));
}

TEST(ModelMemory, zeroes_the_row_of_the_pad_token) {
  ParamTable table;
  table.add("root", "embed", {4, 8}, {Init::Law::normal, 0.02, 2}, ParamClass::embedding);
  ModelMemory memory = allocate(table, {});
  initialise(table, memory, 7);
  const at::Tensor sums = table.all()[0].leaf().detach().abs().sum(1);
  for (int64_t row = 0; row < 4; ++row) EXPECT_EQ(sums[row].item<float>() == 0, row == 2) << row;
}

TEST(ModelMemory, has_a_bucket_for_each_mesh) {
  ParamTable table;
  table.add("layer", "router", {4}, {}, ParamClass::vector);
  table.add("layer", "experts", {4}, {}, ParamClass::vector).mesh = "expert";
  const ModelMemory memory = allocate(table, {});
  ASSERT_EQ(memory.buckets.size(), 2u);
  EXPECT_EQ(memory.buckets[0].layout().key.mesh, "dense");
  EXPECT_EQ(memory.buckets[1].layout().key.mesh, "expert");
}

/// A tensor of a checkpoint and the Param that holds it, alone or with others.
struct PartCase {
  const char* name;
  std::vector<int64_t> shape;
  std::vector<Part> parts;
  std::vector<parallel::MatrixPart> matrices;
};

// in_proj_qkvz of 3 key heads: for each, rows of q (2), k (2), v (5) and z (5)
Part heads_part() {
  return interleaved_part("qkvz", 3, {2, 2, 5, 5}, {0, 6, 12, 27}, 7);
}

const PartCase kParts[] = {
    {"rows", {5, 7}, {rows_part("a", {5, 7}, 0, 7)}, {{"a", 0, 5, 7, 7}}},
    {"stacked_and_padded",
     {9, 8},
     {rows_part("a", {3, 7}, 0, 8), rows_part("b", {4, 7}, 4, 8)},
     {{"a", 0, 3, 7, 8}, {"b", 32, 4, 7, 8}}},
    {"vectors",
     {11},
     {rows_part("a", {5}, 0, 1), rows_part("b", {3}, 6, 1)},
     {{"a", 0, 1, 5, 5}, {"b", 6, 1, 3, 3}}},
    {"kernel_of_a_convolution",
     {3, 2, 5},
     {rows_part("a", {3, 2, 5}, 0, 10)},
     {{"a", 0, 3, 10, 10}}},
    {"heads_in_turn",
     {42, 7},
     {heads_part()},
     {{"qkvz", 0, 6, 7, 7},
      {"qkvz", 42, 6, 7, 7},
      {"qkvz", 84, 15, 7, 7},
      {"qkvz", 189, 15, 7, 7}}},
    {"experts_transposed",
     {2, 3, 5},
     {experts_part("down", 2, 5, {3})},
     {{"down", 0, 3, 5, 5}, {"down", 15, 3, 5, 5}}},
    {"experts_of_two_halves_padded",
     {2, 8, 6},
     {experts_part("gate_up", 2, Width(5, 6), {Width(3, 4), Width(3, 4)})},
     {{"gate_up", 0, 3, 5, 6},
      {"gate_up", 48, 3, 5, 6},
      {"gate_up", 24, 3, 5, 6},
      {"gate_up", 72, 3, 5, 6}}},
    {"a_tensor_for_each_expert",
     {2, 4, 5},
     {rows_part("e.0.gate", {2, 5}, 0, 5), rows_part("e.0.up", {2, 5}, 2, 5),
      rows_part("e.1.gate", {2, 5}, 4, 5), rows_part("e.1.up", {2, 5}, 6, 5)},
     {{"e.0.gate", 0, 2, 5, 5},
      {"e.0.up", 10, 2, 5, 5},
      {"e.1.gate", 20, 2, 5, 5},
      {"e.1.up", 30, 2, 5, 5}}},
};

class Parts : public testing::TestWithParam<PartCase> {};

TEST_P(Parts, move_tensors_there_and_back_and_leave_padding_0) {
  ParamTable table;
  const Param& param =
      table.add_parts("unit", "param", GetParam().shape, GetParam().parts, {}, ParamClass::matrix);
  const at::Tensor whole = at::zeros(param.shape);
  int64_t elements = 0;
  for (const Part& part : param.parts) {
    const at::Tensor hub = at::arange(part.elements(), at::kFloat).view(part.hub_shape) + 1;
    part.write(whole, hub);
    EXPECT_TRUE(part.read(whole).equal(hub)) << part.hub_name;
    elements += part.elements();
  }
  EXPECT_EQ(at::count_nonzero(whole).item<int64_t>(), elements);
}

TEST_P(Parts, are_matrices_to_an_optimiser) {
  ParamTable table;
  const Param& param =
      table.add_parts("unit", "param", GetParam().shape, GetParam().parts, {}, ParamClass::matrix);
  const ModelMemory memory = allocate(table, {});
  EXPECT_EQ(memory.buckets[0].segments()[0].entry.matrices, GetParam().matrices);
  // together they hold what the parts hold
  std::vector<int64_t> count(static_cast<size_t>(param.stored_elements()), 0);
  for (const parallel::MatrixPart& m : GetParam().matrices) {
    for (int64_t row = 0; row < m.rows; ++row) {
      for (int64_t column = 0; column < m.columns; ++column)
        ++count.at(static_cast<size_t>(m.first + row * m.stride + column));
    }
  }
  EXPECT_LE(*std::max_element(count.begin(), count.end()), 1);
  EXPECT_EQ(std::count(count.begin(), count.end(), 1), param.elements());
}

INSTANTIATE_TEST_SUITE_P(Cases, Parts, testing::ValuesIn(kParts),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Part, of_heads_in_turn_puts_rows_of_a_kind_together) {
  const at::Tensor whole = at::zeros({42, 7});
  at::Tensor hub = at::zeros({42, 7});
  for (int64_t head = 0; head < 3; ++head) {
    for (int64_t row = 0; row < 14; ++row) hub[head * 14 + row].fill_(100 * head + row);
  }
  heads_part().write(whole, hub);
  const auto first = [&](int64_t row) { return whole[row][6].item<float>(); };
  EXPECT_EQ(first(2), 100);       // q of head 1
  EXPECT_EQ(first(6 + 5), 203);   // k of head 2: its last
  EXPECT_EQ(first(12 + 4), 8);    // v of head 0: its last
  EXPECT_EQ(first(27 + 5), 109);  // z of head 1
}

TEST(Part, of_experts_is_transposed) {
  const at::Tensor whole = at::zeros({2, 8, 6});
  const at::Tensor hub = at::arange(2 * 5 * 6, at::kFloat).view({2, 5, 6});
  experts_part("gate_up", 2, Width(5, 6), {Width(3, 4), Width(3, 4)}).write(whole, hub);
  // expert 1, row 2 of its second half, input 4
  EXPECT_EQ(whole[1][4 + 2][4].item<float>(), hub[1][4][3 + 2].item<float>());
}

TEST(Part, in_one_piece_is_a_view) {
  const at::Tensor whole = at::zeros({9, 8});
  EXPECT_TRUE(rows_part("b", {4, 7}, 4, 8).read(whole).is_alias_of(whole));
  const at::Tensor experts = at::zeros({2, 3, 5});
  EXPECT_TRUE(experts_part("down", 2, 5, {3}).read(experts).is_alias_of(experts));
  const at::Tensor heads = at::zeros({42, 7});
  EXPECT_FALSE(heads_part().read(heads).is_alias_of(heads));
}

TEST(ParamTable, refuses_parts_that_do_not_fill_their_tensor_or_leave_the_param) {
  ParamTable table;
  EXPECT_THROW(
      table.add_parts("unit", "p", {4, 7}, {rows_part("a", {5, 7}, 0, 7)}, {}, ParamClass::matrix),
      c10::Error);
  Part half = rows_part("a", {4, 7}, 0, 7);
  half.regions[0].rows = 2;
  EXPECT_THROW(table.add_parts("unit", "p", {4, 7}, {half}, {}, ParamClass::matrix), c10::Error);
  Part overlapping = rows_part("a", {4, 7}, 0, 7);
  overlapping.regions[0].inner.row = 6;
  EXPECT_THROW(table.add_parts("unit", "p", {4, 7}, {overlapping}, {}, ParamClass::matrix),
               c10::Error);
}

ParamTable every_kind_of_part() {
  ParamTable table;
  for (const PartCase& c : kParts) {
    std::vector<Part> parts = c.parts;
    for (Part& part : parts) part.hub_name = std::string(c.name) + "." + part.hub_name;
    table.add_parts("unit", c.name, c.shape, parts, {Init::Law::normal, 1, -1},
                    c.shape.size() == 1 ? ParamClass::vector : ParamClass::matrix);
  }
  return table;
}

TEST(LocalParts, of_all_shards_are_every_element_once) {
  for (const int64_t count : {1, 2, 3, 4}) {
    ParamTable table = every_kind_of_part();
    std::map<std::string, at::Tensor> seen;
    for (int64_t index = 0; index < count; ++index) {
      const ModelMemory memory =
          allocate(table, {at::kCPU, at::kFloat, at::kFloat, true, {index, count}});
      const parallel::Local& local = memory.buckets[0].local();
      const at::Tensor inside = at::zeros({local.length});
      for (const LocalPart& held : local_parts(table, memory)) {
        at::Tensor& hub = seen[held.part->hub_name];
        if (!hub.defined()) hub = at::zeros(held.part->hub_shape);
        for (const parallel::Region& region : held.regions) {
          parallel::inner_view(inside, region).add_(1);
          parallel::hub_view(hub, region).add_(1);
        }
      }
      EXPECT_LE(inside.max().item<float>(), 1.0f);
    }
    for (const auto& [name, hub] : seen) {
      EXPECT_EQ(hub.min().item<float>(), 1.0f) << name;
      EXPECT_EQ(hub.max().item<float>(), 1.0f) << name;
    }
    EXPECT_EQ(seen.size(), 13u);
  }
}

TEST(ModelMemory, of_several_shards_starts_from_the_numbers_of_one) {
  ParamTable table = every_kind_of_part();
  ModelMemory whole = allocate(table, {at::kCPU, at::kBFloat16, at::kFloat});
  initialise(table, whole, 7);
  for (const int64_t count : {2, 3, 4}) {
    for (int64_t index = 0; index < count; ++index) {
      ModelMemory part =
          allocate(table, {at::kCPU, at::kBFloat16, at::kFloat, true, {index, count}});
      initialise(table, part, 7);
      const parallel::Local &local = part.buckets[0].local(), &all = whole.buckets[0].local();
      const int64_t there = std::clamp<int64_t>(all.length - local.offset, 0, local.length);
      EXPECT_TRUE(
          local.weights.narrow(0, 0, there).equal(all.weights.narrow(0, local.offset, there)));
      EXPECT_TRUE(
          local.masters.narrow(0, 0, there).equal(all.masters.narrow(0, local.offset, there)));
      EXPECT_EQ(
          at::count_nonzero(local.masters.narrow(0, there, local.length - there)).item<int64_t>(),
          0);
    }
  }
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
  EXPECT_EQ(gate_up.parts[1].regions[0].inner.first, 64 * 3);
  EXPECT_EQ(down.parts[0].hub_shape, (std::vector<int64_t>{3, 5}));
  ModelMemory memory = allocate(params, {});
  initialise(params, memory, 1);
  for (const Param* p : {&gate_up, &down}) {
    at::Tensor rest = p->leaf().detach().clone();
    for (const Part& part : p->parts) {
      EXPECT_EQ(part.read(rest).sizes(), at::IntArrayRef(part.hub_shape));
      EXPECT_GT(part.read(rest).abs().min().item<float>(), 0.0f);
      part.read(rest).zero_();
    }
    EXPECT_EQ(rest.abs().max().item<float>(), 0.0f);
  }
}

}  // namespace
}  // namespace lmms::nn
