#pragma once
/// Cross entropy of a linear head without the [T, V] matrix of logits.
#include <ATen/core/Tensor.h>

namespace lmms::kernels {

struct LinearLossOptions {
  /// Bytes that one chunk's logits may take (fp32 ones of the composition, bf16 ones of the fused
  /// path); the chunk has at least one row. 0: a size that is fast, 256 MiB and 1.2 GiB; or, fused,
  /// one chunk where that saves fp32 sums of dW of the same size.
  int64_t chunk_bytes = 0;
  /// If defined ([V, H]), dW is added here during every forward under grad mode, and autograd sees
  /// no gradient of W. The result, which requires grad even if h does not, must then reach backward
  /// unscaled (weights carry every factor): the gradient of h is handed on as it is, and an
  /// upstream gradient other than 1 is a fault.
  at::Tensor weight_gradient;
  /// Where backward records that fault: int32 scalar on the device of h, `|= scaled_loss`
  /// (StepFault) in two small launches, without waiting. Undefined: backward reads the upstream
  /// gradient on the host, which waits for a GPU, and throws Error. Meta tensors are not checked.
  at::Tensor fault;
  double label_smoothing = 0;  ///< e in [0, 1): share of the target spread over the vocabulary
  double z_loss = 0;           ///< z >= 0: factor of lse^2, which holds the logits near a sum of 1
};

/// sum_n weights[n] * ((1 - e) * (lse_n - x[n, targets[n]]) + e * mean_v(lse_n - x[n, v])
///                     + z * lse_n^2),  x = h W^T,  lse_n = log sum_v exp(x[n, v]); fp32 scalar.
/// h [N, H] and W [V, H] of one dtype; targets [N] int64 in [0, V) and weights [N] fp32,
/// contiguous. N may be 0. Under grad mode the gradients are made in the forward, chunk by chunk
/// (as Liger's fused linear cross entropy does: Hsu et al. 2024), with softmax and sums in fp32;
/// without it none are made. dW adds up in fp32 over the chunks, in the slot itself if that is
/// fp32, and is rounded once. FLOPs: 2 * N * V * H, three times that with both gradients. Value and
/// gradients have the same bits in every run. The fused path reads each logit once and writes its
/// gradient once; the composition takes what that refuses.
at::Tensor linear_loss(const at::Tensor& h, const at::Tensor& W, const at::Tensor& targets,
                       const at::Tensor& weights, const LinearLossOptions& options = {});

/// Whether the fused path takes a head of this dtype and vocabulary: bf16 on a GPU with clusters of
/// blocks (compute capability 9.0 and later) or on meta tensors, V at most kSoftmaxGradientWidth.
bool linear_loss_is_fused(at::Device device, at::ScalarType dtype, int64_t V);

/// The composition of ATen's kernels: the meaning of the op.
at::Tensor linear_loss_reference(const at::Tensor& h, const at::Tensor& W,
                                 const at::Tensor& targets, const at::Tensor& weights,
                                 const LinearLossOptions& options = {});

}  // namespace lmms::kernels
