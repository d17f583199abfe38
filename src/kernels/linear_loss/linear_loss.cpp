#include "kernels/linear_loss/linear_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/dims.h"

namespace lmms::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

struct Chunks {
  int64_t rows;   // of one chunk
  int64_t count;  // of chunks
};

Chunks chunks(int64_t N, int64_t V, int64_t bytes) {
  const int64_t rows = std::clamp<int64_t>(bytes / (4 * V), 1, std::max<int64_t>(N, 1));
  return {rows, (N + rows - 1) / rows};
}

// The loss of one chunk (fp64 scalar); `logits` [n, V] fp32 becomes exp(logits - max), `sum` [n, 1]
// its row sums.
at::Tensor chunk_loss(at::Tensor& logits, const at::Tensor& target, const at::Tensor& weight,
                      at::Tensor& sum) {
  logits.sub_(logits.amax(1, /*keepdim=*/true));
  const at::Tensor picked = logits.gather(1, target);  // [n, 1]
  logits.exp_();
  sum = logits.sum(1, /*keepdim=*/true);
  return ((sum.log() - picked) * weight).sum(at::kDouble);
}

struct LinearLoss : torch::autograd::Function<LinearLoss> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& h, const at::Tensor& W,
                            const at::Tensor& targets, const at::Tensor& weights,
                            int64_t chunk_bytes, const std::optional<at::Tensor>& into,
                            bool wants_dh, bool own) {
    const auto [N, H] = dims<2>(h, "h");
    const int64_t V = W.size(0);
    const auto [rows, count] = chunks(N, V, chunk_bytes);
    const bool wants_dW = own || into.has_value();
    at::Tensor dW = into.value_or(at::Tensor());
    at::Tensor dh = wants_dh ? at::empty_like(h) : at::Tensor();
    // several chunks add up in fp32, whatever the dtype of W and of the slot is
    const at::Tensor slot = dW;
    const bool widen = wants_dW && count > 1 && (own ? W : slot).scalar_type() != at::kFloat;
    if (own || widen) {
      dW = at::zeros({V, H}, W.options().dtype(widen ? at::kFloat : W.scalar_type()));
    }

    at::Tensor total = at::zeros({}, h.options().dtype(at::kDouble));
    for (int64_t c = 0; c < count; ++c) {
      const int64_t begin = c * rows, n = std::min(rows, N - begin);
      const at::Tensor hc = h.narrow(0, begin, n);
      const at::Tensor target = targets.narrow(0, begin, n).unsqueeze(1);  // [n, 1]
      const at::Tensor weight = weights.narrow(0, begin, n).unsqueeze(1);  // [n, 1]
      at::Tensor logits = at::linear(hc, W).to(at::kFloat);                // [n, V]
      at::Tensor sum;
      total += chunk_loss(logits, target, weight, sum);
      if (!wants_dh && !wants_dW) continue;
      // d loss / d logits = weight * (softmax - onehot)
      logits.mul_(weight / sum);
      logits.scatter_(1, target, logits.gather(1, target) - weight);
      const at::Tensor d = logits.to(h.scalar_type());
      if (wants_dh) {
        at::Tensor out = dh.narrow(0, begin, n);
        at::mm_out(out, d, W);
      }
      if (!wants_dW) continue;
      if (dW.scalar_type() == d.scalar_type()) {
        dW.addmm_(d.t(), hc);
      } else {
        dW.add_(d.t().mm(hc));
      }
    }
    if (own) dW = dW.to(W.scalar_type());
    if (slot.defined() && widen) slot.add_(dW);
    ctx->save_for_backward({dh, own ? dW : at::Tensor()});
    return total.to(at::kFloat);
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto scaled = [&](const at::Tensor& g) {
      return g.defined() ? g * grads[0].to(g.scalar_type()) : g;
    };
    return {scaled(saved[0]), scaled(saved[1]), {}, {}, {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor linear_loss(const at::Tensor& h, const at::Tensor& W, const at::Tensor& targets,
                       const at::Tensor& weights, const LinearLossOptions& options) {
  if (at::GradMode::is_enabled()) {
    const at::Tensor& slot = options.weight_gradient;
    const bool wants_dh = h.requires_grad(), own = W.requires_grad() && !slot.defined();
    if (wants_dh || own || slot.defined()) {
      return LinearLoss::apply(h, own ? W : W.detach(), targets, weights, options.chunk_bytes,
                               slot.defined() ? std::optional(slot) : std::nullopt, wants_dh, own);
    }
  }
  const auto [N, H] = dims<2>(h, "h");
  const auto [rows, count] = chunks(N, W.size(0), options.chunk_bytes);
  at::Tensor total = at::zeros({}, h.options().dtype(at::kDouble));
  for (int64_t c = 0; c < count; ++c) {
    const int64_t begin = c * rows, n = std::min(rows, N - begin);
    at::Tensor logits = at::linear(h.narrow(0, begin, n), W).to(at::kFloat), sum;
    total += chunk_loss(logits, targets.narrow(0, begin, n).unsqueeze(1),
                        weights.narrow(0, begin, n).unsqueeze(1), sum);
  }
  return total.to(at::kFloat);
}

}  // namespace lmms::kernels
