#include "nn/head.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "nn/memory.h"

namespace lmms::nn {
namespace {

DecoderConfig tiny() {
  DecoderConfig c;
  c.vocab_size = 11;
  c.hidden_size = 8;
  c.intermediate_size = 8;
  c.layers.resize(1);
  c.heads = c.kv_heads = 1;
  c.head_dim = 8;
  c.initializer_range = 0.3;
  return c;
}

struct Network {
  ParamTable params;
  Decoder decoder;
  Head head;
  ModelMemory memory;

  explicit Network(bool tied)
      : decoder(params, tiny(), "m.model."), head(add_head(params, decoder, tied, "m.")) {
    memory = allocate(params, {});
    initialise(params, memory, 5);
  }
};

at::Tensor hidden() {
  return at::linspace(-1, 2, 3 * 8).view({3, 8});
}

TEST(Head, is_the_embedding_or_a_unit_of_its_own) {
  const Network tied(true), untied(false);
  EXPECT_EQ(tied.head.weight, tied.decoder.embedding().weight);
  EXPECT_TRUE(tied.params.tied());
  EXPECT_EQ(untied.head.weight->name, "m.lm_head.weight");
  EXPECT_EQ(untied.head.weight->unit, "m.lm_head");
  EXPECT_FALSE(untied.params.tied());
}

TEST(Head, gives_logits_the_log_probabilities_of_targets_and_their_loss) {
  const at::Tensor targets = at::tensor({3, 0, 10}, at::kLong), weights = at::tensor({0.5, 1., 0.});
  for (const bool tied : {false, true}) {
    const Network net(tied);
    const at::Tensor h = hidden().set_requires_grad(true);
    const at::Tensor logits = at::linear(h, net.head.weight->leaf()).detach();
    const at::Tensor expected =
        at::log_softmax(logits, 1).gather(1, targets.unsqueeze(1)).squeeze(1);
    EXPECT_TRUE(net.head.logits(h, {}).equal(logits));
    const at::Tensor p = net.head.log_probabilities(h, targets, {});
    EXPECT_FALSE(p.requires_grad());
    EXPECT_LE((p - expected).abs().max().item<float>(), 1e-6f);
    const at::Tensor loss = net.head.loss(h, targets, weights.to(at::kFloat), {}, {});
    EXPECT_NEAR(loss.item<float>(), -(expected * weights).sum().item<float>(), 1e-6f);
    torch::autograd::backward({loss}, {});
    EXPECT_GT(h.grad().abs().sum().item<float>(), 0);
    EXPECT_GT(net.head.weight->leaf().grad().abs().sum().item<float>(), 0) << "in its slot";
  }
}

TEST(Head, of_no_positions_gives_none) {
  const Network net(true);
  const at::Tensor none = hidden().narrow(0, 0, 0), targets = at::tensor({1}, at::kLong);
  EXPECT_EQ(net.head.log_probabilities(none, targets.narrow(0, 0, 0), {}).numel(), 0);
  EXPECT_EQ(net.head.logits(none, {}).sizes(), (at::IntArrayRef{0, 11}));
}

TEST(Head, that_is_frozen_costs_no_gradient_of_its_own) {
  Network net(false);
  const double product = 2.0 * 4 * 11 * 8;
  EXPECT_EQ(net.head.train_flops(4, true), 3 * product);
  const_cast<Param*>(net.head.weight)->trainable = false;
  EXPECT_EQ(net.head.train_flops(4, true), 2 * product);
  EXPECT_EQ(net.head.train_flops(4, false), product);
}

}  // namespace
}  // namespace lmms::nn
