// The kernels bound by memory against their plain meaning, on a GPU, in fp32 and bf16, at odd
// sizes.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "kernels/activation/activation.h"
#include "kernels/attention/attention.h"
#include "kernels/gpu_testing.h"
#include "kernels/linear/linear.h"
#include "kernels/norm/norm.h"
#include "kernels/op_testing.h"
#include "kernels/qkv_attention/qkv_attention.h"

namespace lmms::kernels {
namespace {

using testing::expect_as_good_as;
using testing::Op;
using testing::random;
using testing::Tensors;

constexpr double kEps = 1e-6;

/// The op with its inputs on the GPU, as one of inputs and a result on the host.
Op on_gpu(const Op& op) {
  return [op](const Tensors& host) {
    Tensors device;
    for (const at::Tensor& t : host) device.push_back(t.to(at::kCUDA));
    return op(device).to(at::kCPU);
  };
}

class OnGpu : public testing::GpuTestWith<at::ScalarType> {};

at::Tensor plain_norm(const at::Tensor& x, const at::Tensor& w) {
  const at::ScalarType wide = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor xf = x.to(wide);
  return w * (xf * (xf.pow(2).mean(-1, true) + kEps).rsqrt()).to(x.scalar_type());
}

TEST_P(OnGpu, norms_match_their_definitions) {
  for (const auto& [T, D] : {std::pair<int64_t, int64_t>{1, 8},
                             {3, 24},
                             {1000, 128},
                             {7, 1000},
                             {65, 1024},
                             {33, 1152},
                             {70, 1280},
                             {9, 2048},
                             {301, 4096},
                             {5, 10240},
                             {3, 5120},
                             {4, 7}}) {
    SCOPED_TRACE(std::to_string(T) + " x " + std::to_string(D));
    const Tensors in{random("x", {T, D}, GetParam()), random("r", {T, D}, GetParam()),
                     random("w", {D}, GetParam()), random("b", {D}, GetParam())};
    const auto both = [](const Normed& n) { return at::cat({n.y, n.sum}, -1); };
    const Tensors rms(in.begin(), in.end() - 1);
    expect_as_good_as(
        on_gpu([&](const Tensors& t) {
          return both(add_norm(t[0], t[1], {{t[2], {}}, {}, kEps}));
        }),
        [](const Tensors& t) {
          const at::Tensor sum = t[0] + t[1];
          return at::cat({plain_norm(sum, t[2]), sum}, -1);
        },
        rms);
    expect_as_good_as(
        on_gpu([&](const Tensors& t) {
          return both(add_norm(t[0], t[1], {{t[2], {}}, {t[3], {}}, kEps}));
        }),
        [D = D](const Tensors& t) {
          const at::Tensor sum = t[0] + t[1];
          return at::cat({at::layer_norm(sum, {D}, t[2], t[3], kEps), sum}, -1);
        },
        in);
    // without an addition, x carried on
    expect_as_good_as(on_gpu([&](const Tensors& t) {
                        return both(add_norm(t[0], {}, {{t[1], {}}, {}, kEps}));
                      }),
                      [](const Tensors& t) {
                        return at::cat({plain_norm(t[0], t[1]), t[0]}, -1);
                      },
                      {in[0], in[2]});
  }
}

TEST_P(OnGpu, a_norm_made_again_has_the_same_bits) {
  const at::Tensor x = random("x", {77, 1024}, GetParam()).to(at::kCUDA),
                   r = random("r", {77, 1024}, GetParam()).to(at::kCUDA),
                   w = random("w", {1024}, GetParam()).to(at::kCUDA);
  const Normed n = add_norm(x, r, {{w, {}}, {}, kEps});
  EXPECT_TRUE(n.again.make(n.again.kept, n.again.number).equal(n.y));
}

TEST_P(OnGpu, gradients_of_weights_go_into_their_slots) {
  for (const at::ScalarType slot : {at::kFloat, at::kBFloat16}) {
    if (GetParam() == at::kFloat && slot == at::kBFloat16) continue;  // no run has these
    const at::Tensor x = random("x", {300, 64}, GetParam()).to(at::kCUDA),
                     w = random("w", {64}, GetParam()).to(at::kCUDA).set_requires_grad(true),
                     W = random("W", {32, 64}, GetParam()).to(at::kCUDA).set_requires_grad(true),
                     b = random("b", {32}, GetParam()).to(at::kCUDA).set_requires_grad(true);
    const auto run = [&](const Weight& norm_weight, const Weight& weight, const Weight& bias) {
      const Normed n = add_norm(x, {}, {norm_weight, {}, kEps});
      return linear(n.y, {weight, bias}, n.again).to(at::kFloat).sum();
    };
    const Tensors expected = torch::autograd::grad({run({w, {}}, {W, {}}, {b, {}})}, {w, W, b}, {});
    const auto options = at::TensorOptions().dtype(slot).device(at::kCUDA);
    const Tensors slots{at::zeros({64}, options), at::zeros({32, 64}, options),
                        at::zeros({32}, options)};
    for (int i = 0; i < 2; ++i) {  // gradients add up
      torch::autograd::backward({run({w, slots[0]}, {W, slots[1]}, {b, slots[2]})}, {});
    }
    for (size_t i = 0; i < slots.size(); ++i) {
      EXPECT_LE(testing::relative_error(slots[i].to(at::kCPU), expected[i].to(at::kCPU) * 2), 8e-3);
      EXPECT_FALSE((i == 0 ? w : i == 1 ? W : b).grad().defined());
    }
  }
}

TEST_P(OnGpu, activations_match_their_definitions) {
  for (const auto& [T, I] : {std::pair<int64_t, int64_t>{1, 8}, {3, 7}, {33, 96}, {500, 3456}}) {
    SCOPED_TRACE(std::to_string(T) + " x " + std::to_string(I));
    const Tensors wide{random("gate_up", {T, 2 * I}, GetParam()) * 4.0},
        one{random("u", {T, I}, GetParam()) * 4.0};
    expect_as_good_as(
        on_gpu([](const Tensors& t) { return activation(t[0], Activation::silu_glu); }),
        [I = I](const Tensors& t) {
          return at::silu(t[0].narrow(-1, 0, I)) * t[0].narrow(-1, I, I);
        },
        wide);
    for (const auto& [kind, name] :
         {std::pair{Activation::gelu_tanh, "tanh"}, std::pair{Activation::gelu_erf, "none"}}) {
      expect_as_good_as(
          on_gpu([k = kind](const Tensors& t) { return activation(t[0], k); }),
          [n = name](const Tensors& t) { return at::gelu(t[0], n); }, one);
    }
    const Tensors with_product{wide[0], random("W", {40, I}, GetParam()),
                               random("b", {40}, GetParam())};
    expect_as_good_as(
        on_gpu([](const Tensors& t) {
          return activation_linear(t[0], Activation::silu_glu, {{t[1], {}}, {t[2], {}}});
        }),
        [I = I](const Tensors& t) {
          return at::linear(at::silu(t[0].narrow(-1, 0, I)) * t[0].narrow(-1, I, I), t[1], t[2]);
        },
        with_product, 2);
  }
}

struct AttentionCase {
  std::vector<int64_t> lengths;
  int64_t heads, kv_heads, head_dim;
  bool norm, rotates;
  Mask mask;
};

TEST_P(OnGpu, qkv_attention_matches_its_plain_form) {
  for (const AttentionCase& c : {AttentionCase{{3}, 1, 1, 64, true, true, Mask::causal},
                                 {{5, 130, 1, 64}, 4, 2, 128, true, true, Mask::causal},
                                 {{77, 3}, 4, 4, 80, false, true, Mask::full},
                                 {{33, 64}, 2, 2, 72, false, false, Mask::full},
                                 {{200}, 6, 2, 64, false, true, Mask::causal}}) {
    SCOPED_TRACE(c.head_dim);
    int64_t T = 0;
    for (int64_t n : c.lengths) T += n;
    const int64_t D = c.head_dim;
    const at::Tensor angle = random("angle", {T, D / 2}) * 7.0;
    const auto run = [&](const Tensors& t, bool keep, Form form) {
      QkvAttention how;
      how.treatment = {c.heads, c.kv_heads, D, {}, {}, kEps, {}, {}};
      if (c.norm) {
        how.treatment.q_norm = {t[1], {}};
        how.treatment.k_norm = {t[2], {}};
      }
      if (c.rotates) {
        how.treatment.cos = angle.cos().to(t[0].device());
        how.treatment.sin = angle.sin().to(t[0].device());
      }
      how.shape = {c.mask, 0, 1 / std::sqrt(static_cast<double>(D))};
      how.keep_treated = keep;
      how.form = form;
      return qkv_attention(t[0] * 1.0, attention_plan(c.lengths, t[0].device()), how);
    };
    Tensors in{random("qkv", {T, (c.heads + 2 * c.kv_heads) * D}, GetParam())};
    if (c.norm) {
      in.push_back(random("q_norm", {D}, GetParam()) + 2.0);
      in.push_back(random("k_norm", {D}, GetParam()) + 2.0);
    }
    for (const bool keep : {false, true}) {
      expect_as_good_as(
          on_gpu([&](const Tensors& t) { return run(t, keep, Form::fused); }),
          [&](const Tensors& t) { return run(t, keep, Form::plain); }, in, 2);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, OnGpu, ::testing::Values(at::kFloat, at::kBFloat16));

}  // namespace
}  // namespace lmms::kernels
