#include "models/tensor_io.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <map>

#include "checkpoint/hf_folder.h"

namespace lmms::models {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// Weights of every form: stacked, padded, transposed, cut by head, of one expert each; in two
/// units of which one is frozen. Odd sizes.
struct Structure {
  nn::ParamTable params;
  nn::ModelMemory memory;

  Structure(at::ScalarType dtype, parallel::Shard shard) {
    using nn::ParamClass;
    const nn::Init init{nn::Init::Law::normal, 1, -1};
    const nn::Width inner(5, 64);
    params.add_stacked("layer", "qkv", {"q", "k", "v"}, {9, 3, 3}, 17, init, ParamClass::matrix);
    params.add_stacked("layer", "qkv.bias", {"q.bias", "k.bias"}, {9, 3}, {}, init,
                       ParamClass::vector);
    params.add_stacked("layer", "gate_up", {"gate", "up"}, {inner, inner}, 17, init,
                       ParamClass::matrix);
    params.add_stacked("layer", "down", {"down"}, {17}, inner, init, ParamClass::matrix);
    params.add_parts("layer", "heads", {42, 17},
                     {nn::interleaved_part("heads", 3, {2, 2, 5, 5}, {0, 6, 12, 27}, 17)}, init,
                     ParamClass::matrix);
    params.add_parts("layer", "experts", {3, 10, 17},
                     {nn::experts_part("experts", 3, 17, {nn::Width(4, 5), nn::Width(4, 5)})}, init,
                     ParamClass::matrix);
    params.add_parts(
        "layer", "each", {2, 11, 17},
        {nn::rows_part("each.0", {11, 17}, 0, 17), nn::rows_part("each.1", {11, 17}, 11, 17)}, init,
        ParamClass::matrix);
    params.add("layer", "norm", {17}, init, ParamClass::vector);
    params.add("tower", "patches", {13, 3, 2, 5}, init, ParamClass::matrix);
    params.freeze("patches", "test");
    memory = nn::allocate(params, {at::kCPU, dtype, at::kFloat, /*masters=*/true, shard});
  }
  FlatOf weights() {
    return [this](size_t b) { return memory.buckets[b].local().weights; };
  }
  FlatOf exact() {
    return [this](size_t b) { return memory.buckets[b].local().exact(); };
  }
};

class TensorFiles : public testing::TestWithParam<int64_t> {
 protected:
  TensorFiles()
      : folder_(fs::path(testing::TempDir()) / ("tensor_io." + std::to_string(GetParam()))) {
    fs::create_directories(folder_);
    nn::initialise(source_.params, source_.memory, 5);
  }
  ~TensorFiles() override { fs::remove_all(folder_); }

  checkpoint::TensorIndex files(std::vector<checkpoint::TensorSource> tensors) const {
    const fs::path path = folder_ / "model.safetensors";
    checkpoint::write_safetensors(path, std::move(tensors));
    return checkpoint::TensorIndex::open({path}).take();
  }
  checkpoint::TensorIndex saved() {
    return files(sources(source_.params, source_.memory, source_.exact(), at::kFloat));
  }
  std::vector<std::unique_ptr<Structure>> ranks(at::ScalarType dtype) const {
    std::vector<std::unique_ptr<Structure>> out;
    for (int64_t i = 0; i < GetParam(); ++i)
      out.push_back(std::make_unique<Structure>(dtype, parallel::Shard{i, GetParam()}));
    return out;
  }
  // What the ranks hold together, beside what one alone holds; longer by zeros.
  static void expect_the_whole(const std::vector<at::Tensor>& shards, const at::Tensor& whole) {
    const at::Tensor together = at::cat(shards);
    ASSERT_GE(together.numel(), whole.numel());
    EXPECT_TRUE(together.narrow(0, 0, whole.numel()).equal(whole));
    EXPECT_FALSE(
        together.narrow(0, whole.numel(), together.numel() - whole.numel()).any().item<bool>());
  }

  fs::path folder_;
  Structure source_{at::kFloat, {}};
};

TEST_P(TensorFiles, fill_the_shards_of_all_ranks_with_the_bits_of_one) {
  const checkpoint::TensorIndex index = saved();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    Structure alone(dtype, {});
    EXPECT_TRUE(load_weights(alone.params, alone.memory, index, "files").empty());
    EXPECT_TRUE(alone.exact()(0).equal(source_.exact()(0)));
    auto all = ranks(dtype);
    for (const auto& rank : all) load_weights(rank->params, rank->memory, index, "files");
    for (size_t b = 0; b < alone.memory.buckets.size(); ++b) {
      std::vector<at::Tensor> weights, exact;
      for (const auto& rank : all) {
        weights.push_back(rank->weights()(b));
        exact.push_back(rank->exact()(b));
      }
      expect_the_whole(weights, alone.weights()(b));
      expect_the_whole(exact, alone.exact()(b));
    }
  }
}

TEST_P(TensorFiles, are_the_union_of_what_ranks_hold) {
  const checkpoint::TensorIndex index = saved();
  std::map<std::string, at::Tensor> together;
  for (const auto& rank : ranks(at::kFloat)) {
    load_weights(rank->params, rank->memory, index, "files");
    for (const nn::LocalPart& held : nn::local_parts(rank->params, rank->memory)) {
      at::Tensor& hub = together[held.part->hub_name];
      if (!hub.defined()) hub = at::full(held.part->hub_shape, -1e9f);
      parallel::read_into(hub, rank->exact()(held.bucket), held.regions);
    }
  }
  EXPECT_EQ(together.size(), index.tensors().size());
  for (const auto& [name, hub] : together)
    EXPECT_TRUE(hub.equal(to_tensor(*index.find(name), name))) << name;
}

TEST_P(TensorFiles, resume_each_rank_with_its_share_of_the_state) {
  auto saving = slots(source_.params, source_.memory, source_.exact());
  std::vector<std::vector<std::byte>> bytes;
  for (const checkpoint::TensorSlot& slot : saving) {
    auto& of_slot = bytes.emplace_back();
    slot.save([&](std::span<const std::byte> piece) {
      of_slot.insert(of_slot.end(), piece.begin(), piece.end());
    });
  }
  std::vector<at::Tensor> shards;
  for (const auto& rank : ranks(at::kFloat)) {
    const auto loading = slots(rank->params, rank->memory, rank->exact());
    ASSERT_EQ(loading.size(), bytes.size());
    for (size_t i = 0; i < loading.size(); ++i) {
      EXPECT_EQ(loading[i].shape, saving[i].shape);
      loading[i].load(bytes[i]);
    }
    shards.push_back(rank->exact()(0));
  }
  expect_the_whole(shards, source_.exact()(0));
}

TEST_P(TensorFiles, name_a_number_that_is_not_finite_on_the_rank_that_holds_it) {
  const checkpoint::TensorIndex index = saved();
  for (const char* name : {"up", "heads", "experts", "each.1"}) {
    size_t found = 0;
    for (const auto& rank : ranks(at::kFloat)) {
      load_weights(rank->params, rank->memory, index, "files");
      const auto finite = [&] {
        return first_not_finite(rank->params, rank->memory, rank->weights(), at::kFloat);
      };
      EXPECT_EQ(finite(), std::nullopt);
      for (const nn::LocalPart& held : nn::local_parts(rank->params, rank->memory)) {
        if (held.part->hub_name != name || held.regions.empty()) continue;
        parallel::inner_view(rank->weights()(held.bucket), held.regions.back())
            .fill_(std::numeric_limits<float>::infinity());
        EXPECT_EQ(finite(), name);
        ++found;
      }
    }
    EXPECT_GE(found, 1u);
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, TensorFiles, testing::Values(1, 2, 3, 4));

TEST(TensorSources, are_written_by_a_rank_that_holds_them_whole) {
  Structure part(at::kFloat, {0, 2});
  size_t written = 0, refused = 0;
  for (const auto& source : sources(part.params, part.memory, part.weights(), at::kFloat)) {
    try {
      source.produce([](std::span<const std::byte>) {});
      ++written;
    } catch (const c10::Error& e) {
      EXPECT_THAT(e.what(), HasSubstr(source.name + ": this rank holds "));
      ++refused;
    }
  }
  EXPECT_GE(written, 1u);
  EXPECT_GE(refused, 1u);
}

}  // namespace
}  // namespace lmms::models
