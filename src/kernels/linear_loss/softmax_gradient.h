#pragma once
/// What lies between the products of linear_loss: from a chunk's logits to its losses and to the
/// gradient of the logits, in place.
#include <cstdint>

struct CUstream_st;

namespace lmms::kernels {

/// losses[n] = weights[n] * ((1 - e) * (lse - x[t]) + e * (lse - mean_v x[v]) + z * lse^2)
/// with x = logits[n], t = targets[n], lse = log sum_v exp(x[v]), e = label_smoothing, z = z_loss;
/// if `gradient`, x[v] becomes
///   weights[n] * (softmax(x)[v] * (1 + 2 * z * lse) - (1 - e) * [v == t] - e / V).
/// logits [N, V] bf16, rows `stride` elements apart (a multiple of 8) and 16-byte aligned, what
/// lies between V and the next multiple of 8 is overwritten; targets [N] int64 in [0, V); weights
/// and losses [N] fp32. Statistics are fp32; the bits are the same in every run. Bytes moved: 4 * N
/// * V (2 * N * V without gradient).
struct SoftmaxGradientArgs {
  void* logits = nullptr;
  const int64_t* targets = nullptr;
  const float* weights = nullptr;
  float* losses = nullptr;
  int64_t N = 0, V = 0, stride = 0;
  float label_smoothing = 0, z_loss = 0;
  bool gradient = true;
};

/// The longest row that fits into the registers of eight blocks of threads.
inline constexpr int64_t kSoftmaxGradientWidth = 8 * 8 * 10 * 512;

/// Whether the current GPU has clusters of blocks (compute capability 9.0 and later).
bool softmax_gradient_runs_here();
void softmax_gradient_cuda(const SoftmaxGradientArgs& args, CUstream_st* stream);

}  // namespace lmms::kernels
