#pragma once
/// Rotary position embedding in the half-split layout of transformers: with x = [x1, x2] along the
/// head's dimension, y = [x1 * cos - x2 * sin, x2 * cos + x1 * sin]. Source: Su et al. 2021, eq.
/// 34; layout of GPT-NeoX.
namespace at {
class Tensor;
}

namespace lmms::kernels {

/// x [T, H, D]; cos, sin [T, D / 2] of x's dtype -> [T, H, D]. Keeps only cos and sin: backward is
/// the inverse rotation.
at::Tensor rope(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

}  // namespace lmms::kernels
