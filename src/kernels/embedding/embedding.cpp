#include "kernels/embedding/embedding.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "kernels/device.h"
#include "kernels/dims.h"
#include "kernels/embedding/embedding_gradient.h"
#include "kernels/form.h"
#include "kernels/on_device.h"
#include "kernels/work.h"

namespace lmms::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

bool takes(const at::Tensor& t) {
  return (t.scalar_type() == at::kBFloat16 || t.scalar_type() == at::kFloat) && t.is_contiguous();
}

bool is_fused(const at::Tensor& W, const at::Tensor& slot) {
  return has_kernels(W) && W.is_contiguous() && (!slot.defined() || takes(slot)) &&
         W.size(1) % 8 == 0;
}

// slot += the gradient, without zeroing it.
void add_gradient(const at::Tensor& dy, const EmbeddingPlan& plan, at::Tensor& slot) {
  const at::Tensor rows = dy.contiguous();
  const int64_t H = dy.size(1);
  at::Tensor partials = at::empty({plan.partials, H}, dy.options().dtype(at::kFloat));
  record_pass({rows, rows, rows}, 0.6);  // a row of the slot is read and written for most tokens
  if (!dy.is_cuda()) return;
  EmbeddingGradientArgs args;
  args.dy = rows.const_data_ptr();
  args.slot = slot.mutable_data_ptr();
  args.partials = partials.mutable_data_ptr<float>();
  args.order = plan.order.const_data_ptr<int32_t>();
  args.pieces = plan.pieces.const_data_ptr<int32_t>();
  args.runs = plan.runs.const_data_ptr<int32_t>();
  args.piece_count = plan.pieces.size(0);
  args.run_count = plan.runs.size(0);
  args.H = H;
  args.dy_is_bf16 = dy.scalar_type() == at::kBFloat16;
  args.slot_is_bf16 = slot.scalar_type() == at::kBFloat16;
  embedding_gradient_cuda(args, current_stream());
  check_last_launch("embedding_gradient");
}

// ATen's has no form for meta tensors.
at::Tensor rows_of(const at::Tensor& W, const at::Tensor& ids) {
  if (!W.is_meta()) return at::embedding(W, ids);
  const at::Tensor rows = at::empty({ids.numel(), W.size(1)}, W.options());
  record_pass({rows, rows}, 0.8);
  return rows;
}

struct Embedding : torch::autograd::Function<Embedding> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& W, const at::Tensor& ids,
                            const at::Tensor& order, const at::Tensor& pieces,
                            const at::Tensor& runs, int64_t partials,
                            const std::optional<at::Tensor>& slot) {
    ctx->save_for_backward({order, pieces, runs});
    ctx->saved_data["partials"] = partials;
    ctx->saved_data["shape"] = W.sizes().vec();
    ctx->saved_data["dtype"] = static_cast<int64_t>(W.scalar_type());
    if (slot) ctx->saved_data["slot"] = *slot;
    return rows_of(W, ids);
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto saved = ctx->get_saved_variables();
    const EmbeddingPlan plan{saved[0], saved[1], saved[2], ctx->saved_data["partials"].toInt()};
    const at::Tensor& dy = grads[0];
    const auto slot = ctx->saved_data.find("slot");
    if (slot != ctx->saved_data.end()) {
      at::Tensor into = slot->second.toTensor();
      add_gradient(dy, plan, into);
      return tensor_list(7);
    }
    at::Tensor dW = at::zeros(
        ctx->saved_data["shape"].toIntVector(),
        dy.options().dtype(static_cast<at::ScalarType>(ctx->saved_data["dtype"].toInt())));
    add_gradient(dy, plan, dW);
    tensor_list out(7);
    out[0] = dW;
    return out;
  }
};

// Positions by id, equal ids in order: a radix sort, 0.2 ms for 32k ids where std::stable_sort
// takes 3.
std::vector<int32_t> sorted_by(std::span<const int32_t> ids) {
  constexpr int kBits = 11;
  constexpr uint32_t kDigits = 1u << kBits;
  std::vector<int32_t> order(ids.size()), next(ids.size());
  std::iota(order.begin(), order.end(), 0);
  const uint32_t most =
      ids.empty() ? 0 : static_cast<uint32_t>(*std::max_element(ids.begin(), ids.end()));
  for (int shift = 0; shift < 32 && most >> shift != 0; shift += kBits) {
    const auto digit = [&](int32_t t) {
      return static_cast<uint32_t>(ids[static_cast<size_t>(t)]) >> shift & (kDigits - 1);
    };
    std::array<size_t, kDigits + 1> begin{};
    for (int32_t t : order) ++begin[digit(t) + 1];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    for (int32_t t : order) next[begin[digit(t)]++] = t;
    order.swap(next);
  }
  return order;
}

}  // namespace

EmbeddingPlan embedding_plan(std::span<const int32_t> ids, at::Device device) {
  const std::vector<int32_t> order = sorted_by(ids);
  const auto id_at = [&](int64_t i) {
    return ids[static_cast<size_t>(order[static_cast<size_t>(i)])];
  };
  std::vector<int32_t> pieces, runs;
  int64_t partials = 0;
  const auto T = static_cast<int64_t>(ids.size());
  for (int64_t begin = 0; begin < T;) {
    const int32_t id = id_at(begin);
    int64_t end = begin;
    while (end < T && id_at(end) == id) ++end;
    const bool several = end - begin > kEmbeddingPiece;
    const int64_t first = partials;
    for (int64_t at = begin; at < end; at += kEmbeddingPiece) {
      const int64_t length = std::min(kEmbeddingPiece, end - at);
      for (int64_t x : {at, length, int64_t{id}, several ? partials++ : int64_t{-1}})
        pieces.push_back(static_cast<int32_t>(x));
    }
    if (several) {
      for (int64_t x : {first, partials - first, int64_t{id}, int64_t{0}})
        runs.push_back(static_cast<int32_t>(x));
    }
    begin = end;
  }
  EmbeddingPlan plan;
  plan.order = on_device(order, at::kInt, device);
  plan.pieces = on_device(pieces, at::kInt, device).view({-1, 4});
  plan.runs = on_device(runs, at::kInt, device).view({-1, 4});
  plan.partials = partials;
  return plan;
}

at::Tensor embedding(const at::Tensor& W, const at::Tensor& ids, const EmbeddingPlan& plan,
                     const at::Tensor& slot) {
  (void)dims<2>(W, "W");
  const bool wants = at::GradMode::is_enabled() && W.requires_grad();
  if (!wants || !is_fused(W, slot)) return rows_of(W, ids);
  return Embedding::apply(W, ids, plan.order, plan.pieces, plan.runs, plan.partials,
                          slot.defined() ? std::optional(slot) : std::nullopt);
}

}  // namespace lmms::kernels
