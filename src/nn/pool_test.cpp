// The weights of units may stand anywhere between forward and backward: shards are gathered into a
// pool of two buffers before a unit's forward and before its backward, and what the buffers held is
// lost in between.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "nn/decoder.h"
#include "nn/memory.h"

namespace lmms::nn {
namespace {

constexpr size_t kLayers = 3;

DecoderConfig config() {
  DecoderConfig c;
  c.vocab_size = 11;
  c.hidden_size = 16;
  c.intermediate_size = 20;  // padded in memory
  c.layers.resize(kLayers);
  c.heads = 4;
  c.kv_heads = 2;
  c.head_dim = 8;
  c.qkv_bias = true;
  c.qk_norm = true;
  c.initializer_range = 0.3;
  return c;
}

/// A decoder on one of `ranks` ranks.
struct Model {
  ParamTable params;
  Decoder decoder;
  ModelMemory memory;

  Model(at::ScalarType dtype, parallel::Shard shard) : decoder(params, config(), "model.") {
    memory = allocate(params, {at::kCPU, dtype, at::kFloat, /*masters=*/true, shard});
    initialise(params, memory, 3);
  }
  size_t bucket_of(const std::string& unit) const {
    for (size_t b = 0; b < memory.buckets.size(); ++b) {
      if (memory.buckets[b].layout().key.unit == unit) return b;
    }
    throw std::out_of_range(unit);
  }
};

/// Two buffers that hold the weights of the units that were gathered last; garbage before.
class Pool {
 public:
  /// The first of `ranks` computes.
  Pool(std::vector<std::unique_ptr<Model>>& ranks, at::ScalarType dtype) : ranks_(ranks) {
    int64_t size = 0;
    for (const parallel::Bucket& bucket : ranks.front()->memory.buckets)
      size = std::max(size, bucket.size());
    for (at::Tensor& buffer : buffers_) buffer = at::empty({size}, dtype);
  }

  void gather(const std::string& unit) {
    const size_t b = ranks_.front()->bucket_of(unit);
    const size_t place = next_++ % buffers_.size();
    if (held_[place]) held_[place]->release();
    spoil(place);
    parallel::Bucket& bucket = ranks_.front()->memory.buckets[b];
    bucket.point_at(buffers_[place]);
    held_[place] = &bucket;
    if (!brings_numbers) return;
    for (const auto& rank : ranks_) {
      const parallel::Local& local = rank->memory.buckets[b].local();
      buffers_[place].narrow(0, local.offset, local.length).copy_(local.weights);
    }
  }
  void spoil_all() {
    for (size_t i = 0; i < buffers_.size(); ++i) spoil(i);
  }

  bool brings_numbers = true;
  int64_t gathers() const { return static_cast<int64_t>(next_); }

 private:
  void spoil(size_t i) { buffers_[i].fill_(std::numeric_limits<float>::quiet_NaN()); }

  std::vector<std::unique_ptr<Model>>& ranks_;
  std::array<at::Tensor, 2> buffers_;
  std::array<parallel::Bucket*, 2> held_{};
  size_t next_ = 0;
};

/// Calls `before` once, before the first gradient of these tensors flows on: before the backward of
/// the unit that they came from.
void before_backward(std::initializer_list<at::Tensor> outputs, std::function<void()> before) {
  const auto called = std::make_shared<bool>(false);
  for (const at::Tensor& output : outputs) {
    if (!output.defined() || !output.requires_grad()) continue;
    output.register_hook([called, before](const at::Tensor&) {
      if (!*called) before();
      *called = true;
    });
  }
}

struct Outcome {
  at::Tensor loss;
  std::vector<at::Tensor> gradients;
};

Outcome train(Model& model, Keep keep, Pool* pool, bool brings_numbers = true) {
  Batch batch;
  batch.input_ids = at::tensor(std::vector<int>{1, 7, 3, 3, 10, 0, 2}, at::kInt);
  batch.position_ids = at::tensor(std::vector<int>{0, 1, 2, 3, 0, 1, 2}, at::kInt);
  batch.attention = kernels::attention_plan({4, 3}, at::kCPU);
  const RunContext context{.keep = keep};
  const auto unit = [](size_t layer) { return "model.layers." + std::to_string(layer); };
  const auto gather = [pool](const std::string& name) {
    if (pool) pool->gather(name);
  };
  gather("model.root");
  DecoderState state = model.decoder.enter(model.decoder.embed(batch, context), batch);
  for (size_t i = 0; i < kLayers; ++i) {
    gather(unit(i));
    state = model.decoder.run_layers(std::move(state), i, i + 1, context);
    before_backward({state.hidden, state.delta}, [=] { gather(unit(i)); });
  }
  gather("model.root");
  const at::Tensor out = model.decoder.leave(state, context).hidden;
  before_backward({out}, [=] { gather("model.root"); });
  if (pool) {
    pool->spoil_all();
    pool->brings_numbers = brings_numbers;
  }
  Outcome outcome{(out * out).to(at::kFloat).sum(), {}};
  torch::autograd::backward({outcome.loss}, {});
  for (const Param& p : model.params.all()) outcome.gradients.push_back(p.leaf().grad());
  return outcome;
}

class PoolOfBuffers : public testing::TestWithParam<std::tuple<Keep, at::ScalarType>> {
 protected:
  std::vector<std::unique_ptr<Model>> ranks(int64_t count) const {
    std::vector<std::unique_ptr<Model>> out;
    for (int64_t i = 0; i < count; ++i)
      out.push_back(std::make_unique<Model>(dtype(), parallel::Shard{i, count}));
    return out;
  }
  Keep keep() const { return std::get<0>(GetParam()); }
  at::ScalarType dtype() const { return std::get<1>(GetParam()); }
};

TEST_P(PoolOfBuffers, gives_the_bits_of_weights_that_stay) {
  Model alone(dtype(), {});
  const Outcome expected = train(alone, keep(), nullptr);
  auto two = ranks(2);
  Pool pool(two, dtype());
  const Outcome found = train(*two.front(), keep(), &pool);
  EXPECT_EQ(pool.gathers(), 2 * (static_cast<int64_t>(kLayers) + 1) + 1);
  EXPECT_TRUE(found.loss.equal(expected.loss));
  ASSERT_EQ(found.gradients.size(), expected.gradients.size());
  for (size_t i = 0; i < found.gradients.size(); ++i) {
    const std::string& name = alone.params.all()[i].name;
    EXPECT_TRUE(found.gradients[i].equal(expected.gradients[i])) << name;
    EXPECT_GT(found.gradients[i].abs().max().item<float>(), 0.0f) << name;
  }
}

TEST_P(PoolOfBuffers, spoils_what_is_not_gathered_again) {
  auto two = ranks(2);
  Pool pool(two, dtype());
  const Outcome found = train(*two.front(), keep(), &pool, /*brings_numbers=*/false);
  bool spoilt = false;
  for (const at::Tensor& gradient : found.gradients)
    spoilt = spoilt || gradient.isnan().any().item<bool>();
  EXPECT_TRUE(spoilt);
}

INSTANTIATE_TEST_SUITE_P(EveryKeep, PoolOfBuffers,
                         testing::Combine(testing::ValuesIn(kKeeps),
                                          testing::Values(at::kFloat, at::kBFloat16)));

}  // namespace
}  // namespace lmms::nn
