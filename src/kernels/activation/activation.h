#pragma once
/// The activations of MLPs, alone and in front of the product that follows them.
///   silu_glu   h = silu(gate) * up, where u = [gate, up];  Shazeer 2020, eq. 6
///   gelu_tanh  h = u / 2 (1 + tanh(sqrt(2 / pi) (u + 0.044715 u^3)))
///   gelu_erf   h = u / 2 (1 + erf(u / sqrt(2)));           Hendrycks & Gimpel 2016
#include <ATen/core/Tensor.h>

#include "kernels/form.h"
#include "kernels/linear/linear.h"

namespace lmms::kernels {

enum class Activation { silu_glu, gelu_tanh, gelu_erf };

/// u [..., 2 I] (silu_glu) or [..., I] -> h [..., I]. Keeps u.
at::Tensor activation(const at::Tensor& u, Activation kind, Form form = Form::fused);

/// activation(u) W^T + b: keeps u alone. Backward makes h again in the pass that gives du, for one
/// more write of h.
at::Tensor activation_linear(const at::Tensor& u, Activation kind, const LinearWeights& weights,
                             Form form = Form::fused);

}  // namespace lmms::kernels
