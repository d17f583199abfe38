#pragma once
/// Rows of a table by token id, and their gradient straight into its slot with the same bits in
/// every run.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace lmms::kernels {

/// Who adds up what, made on the host, which knows the ids. All on one device, int32.
struct EmbeddingPlan {
  at::Tensor order;   ///< [T] positions, sorted by id; equal ids in the order of their positions
  at::Tensor pieces;  ///< [P, 4]: begin in `order`, length, id, slot among the partial sums or -1
  at::Tensor runs;    ///< [R, 4]: first partial sum, number of them, id, 0; ids of several pieces
  int64_t partials = 0;
};

/// Positions that one block of threads adds up; an id that occurs more often has several pieces.
inline constexpr int64_t kEmbeddingPiece = 64;

EmbeddingPlan embedding_plan(std::span<const int32_t> ids, at::Device device);

/// y[t] = W[ids[t]], [T, H]. W [V, H], ids [T] int32 in [0, V).
/// Backward: dW[v] = sum over t with ids[t] == v of dy[t], added up in fp32 in the order of the
/// positions and rounded once. `slot`: W's own .grad ([V, H] fp32 or bf16), if it has one already:
/// dW is then added there without a [V, H] of its own, and autograd sees no gradient of W. Bytes
/// moved by backward, U distinct ids: (T + 2 U) * H numbers. The plan is that of `ids`. On a GPU or
/// meta tensors with H a multiple of 8 our kernels; else ATen's, whose gradient autograd adds to
/// W.grad.
at::Tensor embedding(const at::Tensor& W, const at::Tensor& ids, const EmbeddingPlan& plan,
                     const at::Tensor& slot = {});

}  // namespace lmms::kernels
