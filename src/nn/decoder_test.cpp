// A decoder is a list of units: it can be cut in front of any layer, and only what
// DecoderState::each shows crosses the cut.
#include "nn/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "nn/memory.h"
#include "nn/param_builder.h"

namespace lmms::nn {
namespace {

constexpr int64_t kTokens = 7, kWidth = 16;
constexpr size_t kLayers = 4;

DecoderConfig tiny() {
  DecoderConfig c;
  c.vocab_size = 11;
  c.hidden_size = kWidth;
  c.intermediate_size = 24;
  c.layers.resize(kLayers);
  c.layers[1].window = 2;
  c.heads = 2;
  c.kv_heads = 1;
  c.head_dim = 8;
  c.qk_norm = true;
  c.initializer_range = 0.3;
  return c;
}

struct Network {
  ParamTable params;
  Decoder decoder;
  ModelMemory memory;

  explicit Network(const DecoderConfig& config = tiny()) : decoder(params, config, "model.") {
    memory = allocate(params, {});
    initialise(params, memory, 5);
  }
  std::vector<at::Tensor> gradients() const {
    std::vector<at::Tensor> all;
    for (const parallel::Bucket& bucket : memory.buckets) all.push_back(bucket.whole().gradients);
    return all;
  }
};

Batch batch() {
  Batch b;
  b.input_ids = at::tensor({1, 4, 4, 9, 2, 0, 7}, at::kInt);
  b.position_ids = at::tensor({0, 1, 2, 3, 0, 1, 2}, at::kInt);
  b.attention = kernels::attention_plan({4, 3}, at::kCPU);
  return b;
}

/// Features of three tokens for the first two layers.
Injection features() {
  const auto of = [](double end) {
    return at::linspace(-1, end, 3 * kWidth).view({3, kWidth}).set_requires_grad(true);
  };
  return {at::tensor({1, 2, 5}, at::kLong), {of(1), of(2)}};
}

at::Tensor loss(const Hidden& out) {
  return (out.hidden * at::linspace(-1, 3, kWidth)).sum();
}

/// What a pass gives, to the bit.
struct Outcome {
  at::Tensor hidden;
  std::vector<at::Tensor> gradients;  // of buckets, then of features

  void expect_equal(const Outcome& other, const std::string& what) const {
    EXPECT_TRUE(hidden.equal(other.hidden)) << what;
    ASSERT_EQ(gradients.size(), other.gradients.size());
    for (size_t i = 0; i < gradients.size(); ++i)
      EXPECT_TRUE(gradients[i].equal(other.gradients[i])) << what << ", gradient " << i;
  }
};

Outcome outcome(const Network& net, const Hidden& out, const Injection& injection) {
  Outcome o{out.hidden.detach(), net.gradients()};
  for (const at::Tensor& t : injection.after_layer) o.gradients.push_back(t.grad());
  return o;
}

Outcome whole(Keep keep, bool with_features) {
  const Network net;
  const Batch b = batch();
  const Injection injection = with_features ? features() : Injection{};
  const RunContext context{keep, {}, {}};
  const Hidden out =
      net.decoder.from_embeddings(net.decoder.embed(b, context), b, context, injection);
  torch::autograd::backward({loss(out)}, {});
  return outcome(net, out, injection);
}

/// The state as another process would build it: tensors of its own, in the places of `each`.
DecoderState received(DecoderState sent, const Batch& b) {
  DecoderState state;
  state.features.resize(sent.features.size());
  state.attention = &b.attention;
  std::vector<at::Tensor> tensors;
  sent.each([&](at::Tensor& t) {
    tensors.push_back(t.defined() ? t.detach().clone().set_requires_grad(t.requires_grad()) : t);
  });
  size_t next = 0;
  state.each([&](at::Tensor& t) { t = tensors[next++]; });
  return state;
}

Outcome cut_in_front_of(size_t layer, Keep keep, bool with_features) {
  const Network net;
  const Batch b = batch(), same_batch = batch();
  const Injection injection = with_features ? features() : Injection{};
  const RunContext context{keep, {}, {}};
  const at::Tensor embedded = net.decoder.embed(b, context);
  DecoderState sent =
      net.decoder.run_layers(net.decoder.enter(embedded, b, injection), 0, layer, context);
  DecoderState entered = received(sent, same_batch);
  const Hidden out =
      net.decoder.leave(net.decoder.run_layers(entered, layer, kLayers, context), context);
  torch::autograd::backward({loss(out)}, {});
  std::vector<at::Tensor> gradients, tops, top_gradients;
  entered.each([&](at::Tensor& t) { gradients.push_back(t.defined() ? t.grad() : t); });
  size_t next = 0;
  sent.each([&](at::Tensor& t) {
    const at::Tensor& gradient = gradients[next++];
    if (!gradient.defined()) return;
    tops.push_back(t);
    top_gradients.push_back(gradient);
  });
  torch::autograd::backward(tops, top_gradients);
  return outcome(net, out, injection);
}

TEST(Decoder, gives_the_same_bits_wherever_its_units_are_cut) {
  for (const Keep keep : kKeeps) {
    for (const bool with_features : {false, true}) {
      const Outcome expected = whole(keep, with_features);
      for (const at::Tensor& gradient : expected.gradients)
        EXPECT_GT(gradient.abs().sum().item<double>(), 0);
      for (size_t layer = 0; layer <= kLayers; ++layer) {
        cut_in_front_of(layer, keep, with_features)
            .expect_equal(expected, "Keep " + std::to_string(static_cast<int>(keep)) +
                                        ", cut in front of layer " + std::to_string(layer));
      }
    }
  }
}

TEST(Decoder, gives_the_same_bits_whatever_is_kept) {
  const Outcome expected = whole(Keep::everything, true);
  for (const Keep keep : kKeeps)
    whole(keep, true).expect_equal(expected, "Keep " + std::to_string(static_cast<int>(keep)));
}

TEST(Decoder, of_features_that_a_layer_added_keeps_none) {
  const Network net;
  const Batch b = batch();
  for (const Keep keep : kKeeps) {
    const RunContext context{keep, {}, {}};
    const DecoderState state = net.decoder.run_layers(
        net.decoder.enter(net.decoder.embed(b, context), b, features()), 0, 1, context);
    ASSERT_EQ(state.features.size(), 2u);
    EXPECT_FALSE(state.features[0].defined());
    EXPECT_TRUE(state.features[1].defined());
  }
}

TEST(Decoder, has_a_window_for_each_layer) {
  DecoderConfig wide = tiny();
  wide.layers[1].window = 0;
  const Network narrow, full(wide);
  const Batch b = batch();
  const auto behind = [&](const Network& net, size_t layers) {
    DecoderState state = net.decoder.enter(net.decoder.embed(b, {}), b);
    state = net.decoder.run_layers(std::move(state), 0, layers, {});
    state.settle();
    return state.hidden;
  };
  EXPECT_TRUE(behind(narrow, 1).equal(behind(full, 1)));
  const at::Tensor differs = (behind(narrow, 2) != behind(full, 2)).any(1);
  EXPECT_TRUE(differs.equal(at::tensor({0, 0, 1, 1, 0, 0, 1}, at::kInt).to(at::kBool)))
      << "the third token of a segment is the first to lose one";
}

TEST(Decoder, counts_products_and_the_pairs_that_see_each_other) {
  Network net;
  const std::vector<int64_t> lengths{4, 3};
  const double tokens = 7, qkv = 16 * 32, output = 16 * 16, mlp = 3 * 16 * 24;
  const double pairs = 10 + 6, in_window = 7 + 5;  // of lengths 4 and 3
  const double matrices = kLayers * (qkv + output + mlp);
  EXPECT_EQ(net.decoder.train_flops(lengths),
            6 * tokens * matrices + 12 * 16 * (3 * pairs + in_window));
  for (Param& p : net.params.all()) p.trainable = p.unit == "model.layers.3";
  EXPECT_EQ(net.decoder.train_flops(lengths),
            2 * tokens * matrices + 4 * 16 * (2 * pairs + in_window) + 12 * 16 * pairs +
                2 * tokens * (qkv + 2 * (output + mlp)))
      << "nothing below the first weight that trains takes a gradient";
}

/// A mixer of another kind: the mean of the tokens so far, mapped.
class Mean final : public Mixer {
 public:
  Linear map;

  at::Tensor operator()(const kernels::Normed& x, const DecoderState& state) const override {
    std::vector<at::Tensor> segments;
    for (const at::Tensor& rows : map(x, state.how).split_with_sizes(state.attention->lengths)) {
      const at::Tensor count = at::arange(1, rows.size(0) + 1, rows.options()).unsqueeze(1);
      segments.push_back(rows.cumsum(0) / count);
    }
    return at::cat(segments);
  }
  bool trains() const override { return map.trains(); }
  void count(ChainFlops& chain, std::span<const int64_t> lengths, double) const override {
    double tokens = 0;
    for (const int64_t n : lengths) tokens += static_cast<double>(n);
    chain.product(*map.weight, tokens);
  }
};

TEST(DecoderLayer, takes_a_mixer_of_any_kind) {
  at::Tensor values, gradients;
  for (const Keep keep : kKeeps) {
    ParamTable params;
    const ParamBuilder build{params, "layer", "", 0.3};
    DecoderLayer layer;
    layer.name = "layer";
    layer.input_norm = build.norm("norm1", kWidth);
    auto mean = std::make_unique<Mean>();
    mean->map = build.linear("mean", kWidth, kWidth, true);
    layer.mixer = std::move(mean);
    layer.post_attention_norm = build.norm("norm2", kWidth);
    layer.mlp = std::make_unique<DenseMlp>(build.glu_mlp("mlp", kWidth, 24, false));
    ModelMemory memory = allocate(params, {});
    initialise(params, memory, 2);

    const Batch b = batch();
    DecoderState state;
    state.hidden = at::linspace(-1, 2, kTokens * kWidth).view({kTokens, kWidth});
    state.attention = &b.attention;
    state = run({.keep = keep}, layer, state);
    state.settle();
    torch::autograd::backward({state.hidden.square().sum()}, {});
    if (!values.defined()) {
      values = state.hidden;
      gradients = memory.buckets[0].whole().gradients;
    }
    EXPECT_TRUE(state.hidden.equal(values));
    EXPECT_TRUE(memory.buckets[0].whole().gradients.equal(gradients));
    ChainFlops chain;
    layer.count(chain, b.attention.lengths, 0);
    EXPECT_EQ(chain.flops, 2 * kTokens * (2 * 16 * 16 + 3 * 3 * 16 * 24));
  }
}

}  // namespace
}  // namespace lmms::nn
