#pragma once
/// LayerNorm whose scale and shift a condition gives, and the gated addition before it (adaLN):
///   x' = x + gate * delta
///   y  = (x' - mean) * rstd * (1 + scale) + shift,   rstd = 1 / sqrt(mean_d (x' - mean)^2 + eps)
/// gate, scale and shift are rows of [S, D], chosen by token; a token that has none (TokenRows)
/// takes zeros. All in fp32 but what enters and leaves. Source: Peebles & Xie 2022, section 3.2.
#include <ATen/core/Tensor.h>

#include "kernels/form.h"
#include "kernels/modulation/token_rows.h"
#include "kernels/norm/norm.h"

namespace lmms::kernels {

/// [S, D] fp32 with columns side by side: parts of one [S, 6 D], for example.
struct Modulation {
  at::Tensor shift, scale;
  TokenRows rows;
  double eps = 1e-6;
  Form form = Form::fused;
};

/// y, and x' as its `sum`. x and delta [T, D] of one dtype. Undefined `delta` (then `gate` too): x'
/// is x, carried on. `gate` as shift and scale. Keeps x', its statistics [T] and delta for
/// backward; y can be made again of x'. Gradients of gate, shift and scale are sums over the tokens
/// of a row in an order that is fixed by T: the same bits in every run.
Normed modulated_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& gate,
                      const Modulation& modulation);

/// x' alone.
at::Tensor gated_sum(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& gate,
                     const TokenRows& rows, Form form = Form::fused);

}  // namespace lmms::kernels
