#include "kernels/linear_loss/linear_loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <memory>

#include "kernels/device.h"
#include "kernels/dims.h"
#include "kernels/linear_loss/softmax_gradient.h"
#include "kernels/meta_device.h"
#include "kernels/recompute.h"
#include "kernels/step_control/step_control.h"
#include "kernels/work.h"

namespace lmms::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

struct Chunks {
  int64_t rows;   // of one chunk
  int64_t count;  // of chunks
};

// What one call works on.
struct Head {
  const at::Tensor& h;  // [N, H]
  const at::Tensor& W;  // [V, H]
  const at::Tensor& targets;
  const at::Tensor& weights;
  double label_smoothing, z_loss;
  int64_t chunk_bytes;
  bool narrow = false;  // dW is wanted in less than fp32: several chunks need fp32 sums beside it
};

// Rows [begin, begin + n) of a head.
struct Rows {
  at::Tensor h;        // [n, H]
  at::Tensor targets;  // [n]
  at::Tensor weights;  // [n]
};

Rows rows_of(const Head& head, int64_t begin, int64_t n) {
  return {head.h.narrow(0, begin, n), head.targets.narrow(0, begin, n),
          head.weights.narrow(0, begin, n)};
}

// Takes a chunk to its losses, and (if dh or dW is wanted) to the gradients of its logits.
class Path {
 public:
  virtual ~Path() = default;
  virtual Chunks chunks() const = 0;
  /// Computes the losses of a chunk; if `gradient`, returns d loss / d logits [n, V].
  virtual at::Tensor losses(int64_t begin, const Rows& rows, bool gradient) = 0;
  /// dW (+)= d^T h.
  virtual void add_weight_gradient(at::Tensor& dW, const at::Tensor& d, const Rows& rows,
                                   bool first) = 0;
  virtual void hidden_gradient(at::Tensor out, const at::Tensor& d) = 0;
  virtual at::Tensor total() = 0;
};

// The composition of ATen's kernels, with fp32 logits.
class Composition : public Path {
 public:
  explicit Composition(const Head& head)
      : head_(head), total_(at::zeros({}, head.h.options().dtype(at::kDouble))) {}

  Chunks chunks() const override {
    constexpr int64_t kBytes = int64_t{256} << 20;
    const int64_t N = head_.h.size(0), V = head_.W.size(0);
    const int64_t bytes = head_.chunk_bytes > 0 ? head_.chunk_bytes : kBytes;
    const int64_t rows = std::clamp<int64_t>(bytes / (4 * V), 1, std::max<int64_t>(N, 1));
    return {rows, (N + rows - 1) / rows};
  }

  at::Tensor losses(int64_t, const Rows& rows, bool gradient) override {
    const at::Tensor target = rows.targets.unsqueeze(1);  // [n, 1]
    const at::Tensor weight = rows.weights.unsqueeze(1);  // [n, 1]
    const double e = head_.label_smoothing, z = head_.z_loss;
    at::Tensor x = at::linear(rows.h, head_.W).to(at::kFloat);  // [n, V]
    const at::Tensor max = x.amax(1, /*keepdim=*/true);         // [n, 1]
    x.sub_(max);
    const at::Tensor picked = x.gather(1, target);  // [n, 1]
    const at::Tensor mean = e > 0 ? x.mean(1, /*keepdim=*/true) : at::Tensor();
    x.exp_();
    const at::Tensor sum = x.sum(1, /*keepdim=*/true);
    at::Tensor loss = sum.log() - picked;
    if (e > 0) loss = loss * (1 - e) + (sum.log() - mean) * e;
    const at::Tensor lse = z > 0 ? sum.log() + max : at::Tensor();
    if (z > 0) loss = loss + lse.square() * z;
    total_ += (loss * weight).sum(at::kDouble);
    if (!gradient) return {};
    // d loss / d x = weight * (softmax * (1 + 2 z lse) - (1 - e) * onehot - e / V)
    x.mul_(z > 0 ? weight * (lse * (2 * z) + 1) / sum : weight / sum);
    if (e > 0) x.sub_(weight * (e / static_cast<double>(head_.W.size(0))));
    x.scatter_(1, target, x.gather(1, target) - (e > 0 ? weight * (1 - e) : weight));
    return x.to(head_.h.scalar_type());
  }
  void add_weight_gradient(at::Tensor& dW, const at::Tensor& d, const Rows& rows,
                           bool first) override {
    if (first) dW.zero_();
    if (dW.scalar_type() == d.scalar_type()) {
      dW.addmm_(d.t(), rows.h);
    } else {
      dW.add_(d.t().mm(rows.h));
    }
  }
  void hidden_gradient(at::Tensor out, const at::Tensor& d) override {
    at::mm_out(out, d, head_.W);
  }
  at::Tensor total() override { return total_.to(at::kFloat); }

 private:
  const Head& head_;
  at::Tensor total_;
};

// bf16 logits whose gradient takes their place; dW adds up in fp32 inside the products. On meta
// tensors it allocates what it would on a GPU, and launches nothing.
class Fused : public Path {
 public:
  explicit Fused(const Head& head) : head_(head), N_(head.h.size(0)), V_(head.W.size(0)) {
    const int64_t stride = (V_ + 7) / 8 * 8;
    logits_ = at::empty({chunks().rows, stride}, head.h.options());
    losses_ = at::empty({N_}, head.h.options().dtype(at::kFloat));
  }

  Chunks chunks() const override {
    // whole tiles of the products, and chunks of one size
    constexpr int64_t kTile = 128, kBytes = int64_t{1229} << 20;
    const int64_t bytes = head_.chunk_bytes > 0 ? head_.chunk_bytes : kBytes;
    int64_t fit = std::max<int64_t>(bytes / (2 * V_), 1);
    // one chunk, if its logits take no more memory than those of a usual one and the fp32 sums
    const int64_t with_sums = fit + 2 * head_.W.size(1);
    if (head_.chunk_bytes == 0 && head_.narrow && N_ <= with_sums) fit = with_sums;
    const int64_t most = fit < kTile ? fit : fit / kTile * kTile;
    const int64_t count = (N_ + most - 1) / most;
    if (count == 0) return {0, 0};
    const int64_t even = (N_ + count - 1) / count;
    return {std::min({most, (even + kTile - 1) / kTile * kTile, N_}), count};
  }

  at::Tensor losses(int64_t begin, const Rows& rows, bool gradient) override {
    const int64_t n = rows.h.size(0);
    at::Tensor x = logits_.narrow(0, 0, n).narrow(1, 0, V_);  // [n, V]
    at::mm_out(x, rows.h, head_.W.t());
    record_pass({x, gradient ? x : at::Tensor()}, 0.7);
    if (!x.is_cuda()) return x;
    SoftmaxGradientArgs args;
    args.logits = x.mutable_data_ptr();
    args.targets = rows.targets.const_data_ptr<int64_t>();
    args.weights = rows.weights.const_data_ptr<float>();
    args.losses = losses_.mutable_data_ptr<float>() + begin;
    args.N = n;
    args.V = V_;
    args.stride = logits_.stride(0);
    // whole vectors of 16 bytes are read
    TORCH_INTERNAL_ASSERT(reinterpret_cast<uintptr_t>(args.logits) % 16 == 0 &&
                              args.stride % 8 == 0 && V_ <= kSoftmaxGradientWidth,
                          "logits [", n, ", ", V_, "] at ", args.logits, ", stride ", args.stride);
    args.label_smoothing = static_cast<float>(head_.label_smoothing);
    args.z_loss = static_cast<float>(head_.z_loss);
    args.gradient = gradient;
    softmax_gradient_cuda(args, current_stream());
    check_last_launch("softmax_gradient");
    return x;
  }
  void add_weight_gradient(at::Tensor& dW, const at::Tensor& d, const Rows& rows,
                           bool first) override {
    const double beta = first ? 0 : 1;
    if (dW.scalar_type() == d.scalar_type()) {
      at::addmm_out(dW, dW, d.t(), rows.h, beta);
    } else if (d.is_meta()) {
      record_product({d.size(1), rows.h.size(1), d.size(0)});
    } else {
      at::addmm_out(dW, dW, d.t(), rows.h, dW.scalar_type(), beta);
    }
  }
  void hidden_gradient(at::Tensor out, const at::Tensor& d) override {
    at::mm_out(out, d, head_.W);
  }
  at::Tensor total() override { return losses_.sum(at::kDouble).to(at::kFloat); }

 private:
  const Head& head_;
  int64_t N_, V_;
  at::Tensor logits_;  // [rows of a chunk, V rounded up]
  at::Tensor losses_;  // [N]
};

std::unique_ptr<Path> path_of(const Head& head, bool fused) {
  if (fused) return std::make_unique<Fused>(head);
  return std::make_unique<Composition>(head);
}

struct Gradients {
  at::Tensor dh, dW;
};

// `slot`: where dW is added; undefined: dW is returned if `own`.
at::Tensor over_chunks(const Head& head, Path& path, const at::Tensor& slot, bool own,
                       Gradients& gradients) {
  const int64_t N = head.h.size(0);
  const auto [rows, count] = path.chunks();
  const bool wants_dW = own || slot.defined();
  // several chunks add up in fp32, whatever the dtype of W and of the slot is
  const at::ScalarType dtype = (slot.defined() ? slot : head.W).scalar_type();
  const bool widen = head.narrow && count > 1;
  at::Tensor dW = slot;
  if (wants_dW && (widen || !slot.defined()))
    dW = at::empty_like(head.W, head.W.options().dtype(widen ? at::kFloat : dtype));
  const bool fresh = wants_dW && !dW.is_same(slot);
  if (fresh && count == 0) dW.zero_();
  for (int64_t c = 0; c < count; ++c) {
    const int64_t begin = c * rows, n = std::min(rows, N - begin);
    const Rows part = rows_of(head, begin, n);
    const at::Tensor d = path.losses(begin, part, gradients.dh.defined() || wants_dW);
    if (gradients.dh.defined()) path.hidden_gradient(gradients.dh.narrow(0, begin, n), d);
    if (wants_dW) path.add_weight_gradient(dW, d, part, fresh && c == 0);
  }
  if (slot.defined() && fresh) slot.add_(dW);
  if (own) gradients.dW = dW.to(head.W.scalar_type());
  return path.total();
}

// The gradients are made already and cannot be scaled any more; see LinearLossOptions::fault.
void check_upstream(const at::Tensor& upstream, const std::optional<at::Tensor>& fault) {
  static_assert(static_cast<int>(StepFault::scaled_loss) == 1, "recorded as a bool");
  if (upstream.is_meta()) return;
  if (fault) {
    at::Tensor into = *fault;
    into.bitwise_or_(upstream.ne(1));
    return;
  }
  const auto found = upstream.item<float>();
  if (found == 1) return;
  const FaultText text = text_of(StepFault::scaled_loss);
  throw Error("linear_loss",
              std::string(text.what) + " (upstream gradient " + std::to_string(found) + ")",
              text.fix, Exit::failed);
}

struct LinearLoss : torch::autograd::Function<LinearLoss> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& h, const at::Tensor& W,
                            const at::Tensor& targets, const at::Tensor& weights,
                            double label_smoothing, double z_loss, int64_t chunk_bytes,
                            const std::optional<at::Tensor>& into,
                            const std::optional<at::Tensor>& fault, bool wants_dh, bool own,
                            bool fused, const std::optional<at::Tensor>& /*dummy*/) {
    const bool narrow = (into || own) && at::elementSize((into ? *into : W).scalar_type()) <
                                             at::elementSize(at::kFloat);
    const Head head{h, W, targets, weights, label_smoothing, z_loss, chunk_bytes, narrow};
    Gradients gradients;
    if (wants_dh) gradients.dh = at::empty_like(h);
    const std::unique_ptr<Path> path = path_of(head, fused);
    const at::Tensor total = over_chunks(head, *path, into.value_or(at::Tensor()), own, gradients);
    ctx->save_for_backward({gradients.dh, gradients.dW});
    ctx->saved_data["unscaled"] = into.has_value();
    ctx->saved_data["fault"] = fault;
    return total;
  }

  static tensor_list backward(AutogradContext* ctx, tensor_list grads) {
    const auto saved = ctx->get_saved_variables();
    const bool unscaled = ctx->saved_data["unscaled"].toBool();
    if (unscaled) check_upstream(grads[0], ctx->saved_data["fault"].toOptional<at::Tensor>());
    const auto scaled = [&](const at::Tensor& g) {
      return g.defined() && !unscaled ? g * grads[0].to(g.scalar_type()) : g;
    };
    return {scaled(saved[0]), scaled(saved[1]), {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
  }
};

// What the kernels take addresses of without looking.
void check(const at::Tensor& h, const at::Tensor& W, const at::Tensor& targets,
           const at::Tensor& weights, const LinearLossOptions& options) {
  const auto [N, H] = dims<2>(h, "h");
  const auto [V, width] = dims<2>(W, "W");
  TORCH_INTERNAL_ASSERT(H == width, "h ", h.sizes(), ", W ", W.sizes());
  const auto each_row = [rows = N](const at::Tensor& t, at::ScalarType dtype, const char* name) {
    TORCH_INTERNAL_ASSERT(
        t.sizes() == at::IntArrayRef({rows}) && t.is_contiguous() && t.scalar_type() == dtype, name,
        ": expected contiguous [", rows, "] of ", dtype, ", found ", t.sizes(), " with strides ",
        t.strides(), " of ", t.scalar_type());
  };
  each_row(targets, at::kLong, "targets");
  each_row(weights, at::kFloat, "weights");
  const at::Tensor &slot = options.weight_gradient, &fault = options.fault;
  TORCH_INTERNAL_ASSERT(!slot.defined() || slot.sizes() == W.sizes(), "weight_gradient ",
                        slot.sizes(), " of W [", V, ", ", H, "]");
  TORCH_INTERNAL_ASSERT(
      !fault.defined() || (fault.scalar_type() == at::kInt && fault.device() == h.device()),
      "fault: expected an int32 scalar on ", h.device(), ", found ", fault.scalar_type(), " on ",
      fault.device());
}

at::Tensor by_path(const at::Tensor& h, const at::Tensor& W, const at::Tensor& targets,
                   const at::Tensor& weights, const LinearLossOptions& options, bool fused) {
  check(h, W, targets, weights, options);
  if (at::GradMode::is_enabled()) {
    const at::Tensor& slot = options.weight_gradient;
    const bool wants_dh = h.requires_grad(), own = W.requires_grad() && !slot.defined();
    if (wants_dh || own || slot.defined()) {
      // Where only the slot takes a gradient autograd would drop the node, and with it the check of
      // what comes from above: a dummy leaf keeps it in the graph.
      const at::Tensor dummy =
          wants_dh || own
              ? at::Tensor()
              : at::zeros({}, at::TensorOptions().dtype(at::kFloat)).set_requires_grad(true);
      return LinearLoss::apply(h, own ? W : W.detach(), targets, weights, options.label_smoothing,
                               options.z_loss, options.chunk_bytes, if_defined(slot),
                               if_defined(options.fault), wants_dh, own, fused, if_defined(dummy));
    }
  }
  const Head head{
      h, W, targets, weights, options.label_smoothing, options.z_loss, options.chunk_bytes};
  const std::unique_ptr<Path> path = path_of(head, fused);
  Gradients none;
  return over_chunks(head, *path, {}, false, none);
}

}  // namespace

bool linear_loss_is_fused(at::Device device, at::ScalarType dtype, int64_t V) {
  if (dtype != at::kBFloat16 || V > kSoftmaxGradientWidth) return false;
  if (device.is_meta()) return !computes_as_cpu(device);
  return device.is_cuda() && softmax_gradient_runs_here();
}

at::Tensor linear_loss(const at::Tensor& h, const at::Tensor& W, const at::Tensor& targets,
                       const at::Tensor& weights, const LinearLossOptions& options) {
  const bool fused = W.scalar_type() == h.scalar_type() &&
                     linear_loss_is_fused(h.device(), h.scalar_type(), W.size(0));
  return by_path(h, W, targets, weights, options, fused);
}

at::Tensor linear_loss_reference(const at::Tensor& h, const at::Tensor& W,
                                 const at::Tensor& targets, const at::Tensor& weights,
                                 const LinearLossOptions& options) {
  return by_path(h, W, targets, weights, options, /*fused=*/false);
}

}  // namespace lmms::kernels
