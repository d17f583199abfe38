// The core of attention.h: memory, offsets and the choice of a kernel. A meta tensor goes the way
// of CUDA and takes the same memory; nothing is launched.
#include "kernels/attention/attention_fused.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <bit>

#include "kernels/attention/attention_cudnn.h"
#include "kernels/attention/attention_hopper_cuda.h"
#include "kernels/attention/attention_short_cuda.h"
#include "kernels/device.h"
#include "kernels/dims.h"
#include "kernels/work.h"

namespace lmms::kernels {

namespace {

// A few sizes an octave, so that few graphs are built and little is allocated beyond need.
int64_t token_capacity(int64_t tokens) {
  const auto step = static_cast<int64_t>(
      std::max<uint64_t>(1024, std::bit_floor(static_cast<uint64_t>(tokens)) / 8));
  return (tokens + step - 1) / step * step;
}

bool readable(const at::Tensor& x) {
  if (x.numel() == 0) return true;
  return x.stride(2) == 1 && x.stride(1) == x.size(2) && x.stride(0) % 8 == 0 &&
         (x.is_meta() || reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0);
}

void check_layout(const at::Tensor& x, const char* name) {
  TORCH_INTERNAL_ASSERT(readable(x), "attention: ", name, " ", x.sizes(), " with strides ",
                        x.strides(), " or its address is not what the fused core reads");
}

int64_t end_of(const at::Tensor& x) {
  return x.size(0) * x.stride(0);
}

at::Tensor offsets_of(const AttentionPlan& plan, int64_t row) {
  const at::Tensor starts = plan.padded.narrow(0, 0, plan.capacity.segments + 1);
  const std::lock_guard lock(plan.offsets->mutex);
  at::Tensor& kept = plan.offsets->by_row[row];
  if (!kept.defined()) kept = starts * row;
  return kept;
}

// A window that no segment exceeds is none.
int64_t window_of(const AttentionPlan& plan, const AttentionShape& shape) {
  return plan.causal && shape.window < plan.max_length ? shape.window : 0;
}

CudnnAttentionKey forward_key(bool dense, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, const AttentionPlan& plan,
                              const AttentionShape& shape, at::Device device) {
  CudnnAttentionKey key;
  key.dense = dense;
  key.bf16 = q.scalar_type() == at::kBFloat16;
  key.causal = plan.causal;
  key.device = device.index();
  key.window = window_of(plan, shape);
  key.scale = shape.scale;
  key.heads = q.size(1);
  key.kv_heads = k.size(1);
  key.head_dim = q.size(2);
  key.segments = dense ? static_cast<int64_t>(plan.lengths.size()) : plan.capacity.segments;
  key.length = dense ? plan.equal_length : plan.capacity.length;
  key.rows = {q.stride(0), k.stride(0), v.stride(0), q.size(1) * q.size(2)};
  return key;
}

CudnnAttentionKey backward_key(CudnnAttentionKey key, int64_t dout, const at::Tensor& dq,
                               const at::Tensor& dk, const at::Tensor& dv) {
  key.backward = true;
  if (!key.dense) key.tokens = token_capacity(dq.size(0));
  const std::array<int64_t, 4> rows{dout, dq.stride(0), dk.stride(0), dv.stride(0)};
  std::copy(rows.begin(), rows.end(), key.rows.begin() + 4);
  return key;
}

// Addresses of what both directions read and forward writes.
class Arguments {
 public:
  Arguments(const AttentionPlan& plan, bool dense) : plan_(plan), dense_(dense) {
    all.lengths = plan.padded.const_data_ptr<int32_t>() + plan.lengths_begin;
  }
  CudnnAttentionArgs::Operand operand(const at::Tensor& x) const {
    return {const_cast<void*>(x.const_data_ptr()),
            dense_ ? nullptr : offsets_of(plan_, x.stride(0)).const_data_ptr()};
  }
  void set(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
           const AttentionOutput& output) {
    all.q = operand(q);
    all.k = operand(k);
    all.v = operand(v);
    all.out = operand(output.out);
    all.lse = operand(output.lse);
  }
  CudnnAttentionArgs all;

 private:
  const AttentionPlan& plan_;
  bool dense_;
};

at::Tensor workspace(int64_t bytes, const at::Tensor& like) {
  return at::empty({bytes}, like.options().dtype(at::kByte));
}

AttentionOutput cudnn_forward(bool dense, const at::Tensor& q, const at::Tensor& k,
                              const at::Tensor& v, const AttentionPlan& plan,
                              const AttentionShape& shape) {
  const auto [T, Nq, D] = dims<3>(q, "q");
  const auto S = static_cast<int64_t>(plan.lengths.size());
  const auto fp32 = q.options().dtype(at::kFloat);
  AttentionOutput output{at::empty({T, Nq, D}, q.options()),
                         dense ? at::empty({S, Nq, plan.equal_length}, fp32).transpose(1, 2)
                               : at::empty({T, Nq}, fp32)};
  if (!q.is_cuda() || T == 0) return output;
  const CudnnAttentionGraph& graph =
      cudnn_attention_graph(forward_key(dense, q, k, v, plan, shape, q.device()));
  const at::Tensor scratch = workspace(workspace_bytes(graph), q);
  Arguments args(plan, dense);
  args.set(q, k, v, output);
  args.all.workspace = scratch.mutable_data_ptr();
  cudnn_attention_run(graph, args.all);
  return output;
}

void cudnn_backward(bool dense, const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v, const AttentionOutput& output, const AttentionPlan& plan,
                    const AttentionShape& shape, at::Tensor& dq, at::Tensor& dk, at::Tensor& dv) {
  if (q.size(0) == 0) return;
  if (!q.is_cuda()) {
    workspace(cudnn_backward_workspace(dense, dq, dk, dv), q);
    return;
  }
  const CudnnAttentionGraph& graph = cudnn_attention_graph(backward_key(
      forward_key(dense, q, k, v, plan, shape, q.device()), dout.stride(0), dq, dk, dv));
  const at::Tensor scratch = workspace(workspace_bytes(graph), q);
  Arguments args(plan, dense);
  args.set(q, k, v, output);
  args.all.dout = args.operand(dout);
  args.all.dq = args.operand(dq);
  args.all.dk = args.operand(dk);
  args.all.dv = args.operand(dv);
  args.all.workspace = scratch.mutable_data_ptr();
  cudnn_attention_run(graph, args.all);
}

AttentionOperand<const void> operand_of(const at::Tensor& x) {
  return {x.const_data_ptr(), x.stride(0)};
}
AttentionOperand<void> result_of(const at::Tensor& x) {
  return {x.mutable_data_ptr(), x.stride(0)};
}

void hopper_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v, const AttentionOutput& output, const AttentionPlan& plan,
                     const AttentionShape& shape, at::Tensor& dq, at::Tensor& dk, at::Tensor& dv) {
  const at::Tensor &out = output.out, &lse = output.lse;
  const int64_t segments = plan.capacity.segments, D = q.size(2);
  HopperBackward x{};
  x.tokens = q.size(0);
  x.heads = q.size(1);
  x.kv_heads = k.size(1);
  x.head_dim = D;
  x.segments = segments;
  x.tiles = x.tokens / kHopperQueries + segments;
  const at::Tensor scratch = workspace(hopper_workspace_bytes(x.heads, D, x.tiles), q);
  if (!q.is_cuda() || x.tokens == 0) return;
  TORCH_INTERNAL_ASSERT(D <= kHopperHead && q.scalar_type() == at::kBFloat16,
                        "attention: heads of ", D, " of ", q.scalar_type());
  x.starts = plan.padded.const_data_ptr<int32_t>();
  x.blocks = reinterpret_cast<const HopperBlock*>(x.starts + plan.blocks_begin);
  x.block_count = plan.block_count;
  x.q = operand_of(q);
  x.k = operand_of(k);
  x.v = operand_of(v);
  x.out = operand_of(out);
  x.dout = operand_of(dout);
  x.lse = lse.const_data_ptr<float>();
  const bool by_segment = lse.dim() == 3;
  x.lse_segment = by_segment ? lse.stride(0) : 0;
  x.lse_token = lse.stride(by_segment ? 1 : 0);
  x.lse_head = lse.stride(by_segment ? 2 : 1);
  x.dq = result_of(dq);
  x.dk = result_of(dk);
  x.dv = result_of(dv);
  x.workspace = scratch.mutable_data_ptr();
  x.causal = plan.causal;
  x.window = window_of(plan, shape);
  x.scale = static_cast<float>(shape.scale);
  attention_backward_hopper(x, current_stream());
  check_last_launch("attention backward");
}

ShortAttention short_attention(const at::Tensor& q, const at::Tensor& k, const AttentionPlan& plan,
                               const AttentionShape& shape) {
  TORCH_INTERNAL_ASSERT(plan.max_length <= kShortSegment && q.size(1) == k.size(1) &&
                            q.size(2) <= kShortHead && q.scalar_type() == at::kBFloat16,
                        "attention: short segments, q ", q.sizes(), ", k ", k.sizes());
  return {q.size(1),
          q.size(2),
          plan.capacity.segments,
          plan.padded.const_data_ptr<int32_t>(),
          plan.causal,
          window_of(plan, shape),
          static_cast<float>(shape.scale)};
}
AttentionOutput short_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const AttentionPlan& plan, const AttentionShape& shape) {
  const auto [T, Nq, D] = dims<3>(q, "q");
  AttentionOutput output{at::empty({T, Nq, D}, q.options()),
                         at::empty({T, Nq}, q.options().dtype(at::kFloat))};
  if (!q.is_cuda() || T == 0) return output;
  attention_forward_short(
      {short_attention(q, k, plan, shape), operand_of(q), operand_of(k), operand_of(v),
       result_of(output.out), output.lse.mutable_data_ptr<float>()},
      current_stream());
  check_last_launch("attention over short segments");
  return output;
}

void short_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v, const AttentionOutput& output, const AttentionPlan& plan,
                    const AttentionShape& shape, at::Tensor& dq, at::Tensor& dk, at::Tensor& dv) {
  if (!q.is_cuda() || q.size(0) == 0) return;
  attention_backward_short({short_attention(q, k, plan, shape), operand_of(q), operand_of(k),
                            operand_of(v), operand_of(output.out), operand_of(dout), result_of(dq),
                            result_of(dk), result_of(dv), output.lse.const_data_ptr<float>()},
                           current_stream());
  check_last_launch("attention over short segments, backward");
}

AttentionProblem problem_of(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const AttentionPlan& plan, bool backward) {
  AttentionProblem problem;
  problem.backward = backward;
  problem.dtype = q.scalar_type();
  problem.head_dim = q.size(2);
  problem.grouped = q.size(1) != k.size(1);
  problem.max_length = plan.max_length;
  problem.equal_length = plan.equal_length;
  problem.largest_offset = std::max({end_of(q), end_of(k), end_of(v)});
  return problem;
}

struct FlashWindow {
  bool causal;
  int64_t left, right;  // -1: all
};
FlashWindow flash_window(const AttentionPlan& plan, const AttentionShape& shape) {
  const bool windowed = plan.causal && shape.window > 0;
  return {plan.causal, windowed ? shape.window - 1 : -1, windowed ? 0 : -1};
}

AttentionOutput flash_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                              const AttentionPlan& plan, const AttentionShape& shape) {
  const auto [T, Nq, D] = dims<3>(q, "q");
  if (!q.is_cuda() || T == 0)
    return {at::empty({T, Nq, D}, q.options()),
            at::empty({Nq, T}, q.options().dtype(at::kFloat)).t()};
  const FlashWindow w = flash_window(plan, shape);
  const auto result = at::_flash_attention_forward(
      q, k, v, plan.cu_seqlens, plan.cu_seqlens, plan.max_length, plan.max_length, 0.0, w.causal,
      /*return_debug_mask=*/false, shape.scale, w.left, w.right);
  return {std::get<0>(result), std::get<1>(result).t()};
}

void flash_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v, const AttentionOutput& output, const AttentionPlan& plan,
                    const AttentionShape& shape, at::Tensor& dq, at::Tensor& dk, at::Tensor& dv) {
  const auto [T, Nq, D] = dims<3>(q, "q");
  if (T == 0) return;
  if (!q.is_cuda()) {  // its own dq, dk, dv, and those of every query head; sums in fp32
    const at::Tensor own[] = {at::empty(q.sizes(), q.options()), at::empty(k.sizes(), q.options()),
                              at::empty(v.sizes(), q.options())};
    const int64_t rows = T + 128 * static_cast<int64_t>(plan.lengths.size());
    const int64_t width = (D + 31) / 32 * 32;
    workspace(4 * rows * Nq * (width + 1) + (Nq == k.size(1) ? 0 : 4 * T * Nq * D), q);
    return;
  }
  const FlashWindow w = flash_window(plan, shape);
  const at::Tensor no_dropout = at::empty({0}, q.options().dtype(at::kLong));
  const auto [gq, gk, gv] = at::_flash_attention_backward(
      dout, q, k, v, output.out, output.lse.t(), plan.cu_seqlens, plan.cu_seqlens, plan.max_length,
      plan.max_length, 0.0, w.causal, no_dropout, no_dropout, shape.scale, w.left, w.right);
  dq.copy_(gq);
  dk.copy_(gk);
  dv.copy_(gv);
}

bool is_cudnn(AttentionBackend backend) {
  return backend == AttentionBackend::cudnn || backend == AttentionBackend::cudnn_dense;
}

void record_attention(AttentionBackend backend, bool backward, const at::Tensor& q,
                      const at::Tensor& k, const AttentionPlan& plan, const AttentionShape& shape) {
  if (work_listener == nullptr) return;
  work_listener->attention({backend, backward, plan.causal, shape.window, q.size(1), k.size(1),
                            q.size(2), plan.lengths});
}

}  // namespace

bool attention_is_fused(const AttentionPlan& plan, at::Device device, at::ScalarType dtype,
                        int64_t head_dim) {
  if (!plan.uniform) return false;
  AttentionProblem problem;
  problem.dtype = dtype;
  problem.head_dim = head_dim;
  return attention_backend(attention_device(device), problem) != AttentionBackend::by_segment;
}

AttentionBackend backend_of(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const AttentionPlan& plan, bool backward) {
  return attention_backend(attention_device(q.device()), problem_of(q, k, v, plan, backward));
}

int64_t cudnn_backward_workspace(bool dense, const at::Tensor& dq, const at::Tensor& dk,
                                 const at::Tensor& dv) {
  const int64_t Nq = dq.size(1), D = dq.size(2), group = Nq / dk.size(1);
  const int64_t tokens = dense ? dq.size(0) : token_capacity(dq.size(0));
  int64_t a_token = Nq + (dense ? Nq * D : dq.stride(0));  // the sums of out * dout, and dq
  // keys and values of every query head: dense ones in bf16
  if (group > 1) a_token += dense ? Nq * D : group * (dk.stride(0) + dv.stride(0));
  return 4 * tokens * a_token;
}

AttentionOutput attention_forward_by(AttentionBackend backend, const at::Tensor& q,
                                     const at::Tensor& k, const at::Tensor& v,
                                     const AttentionPlan& plan, const AttentionShape& shape) {
  const auto [T, Nq, D] = dims<3>(q, "q");
  const auto [Tk, Nkv, Dk] = dims<3>(k, "k");
  TORCH_INTERNAL_ASSERT(T == Tk && D == Dk && k.sizes() == v.sizes() && Nq % Nkv == 0,
                        "attention: q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes());
  check_layout(q, "q");
  check_layout(k, "k");
  check_layout(v, "v");
  TORCH_INTERNAL_ASSERT(plan.uniform && plan.offsets != nullptr,
                        "attention: the fused core takes plans of attention_plan() in which every "
                        "segment sees itself alone");
  TORCH_INTERNAL_ASSERT(shape.scale > 0, "attention: scale ", shape.scale);
  record_attention(backend, /*backward=*/false, q, k, plan, shape);
  if (backend == AttentionBackend::flash2) return flash_forward(q, k, v, plan, shape);
  if (backend == AttentionBackend::short_segments) return short_forward(q, k, v, plan, shape);
  return cudnn_forward(backend == AttentionBackend::cudnn_dense, q, k, v, plan, shape);
}

void attention_backward_by(AttentionBackend backend, const at::Tensor& dout, const at::Tensor& q,
                           const at::Tensor& k, const at::Tensor& v, const AttentionOutput& output,
                           const AttentionPlan& plan, const AttentionShape& shape, at::Tensor& dq,
                           at::Tensor& dk, at::Tensor& dv) {
  TORCH_INTERNAL_ASSERT(dout.sizes() == q.sizes() && dq.sizes() == q.sizes() &&
                            dk.sizes() == k.sizes() && dv.sizes() == v.sizes(),
                        "attention: dout ", dout.sizes(), ", dq ", dq.sizes(), ", dk ", dk.sizes());
  check_layout(dout, "dout");
  check_layout(dq, "dq");
  check_layout(dk, "dk");
  check_layout(dv, "dv");
  // cuDNN lays out its fp32 sums by the offsets of one and reads them by those of the other: seen
  // to give a wrong dq, without an error
  TORCH_INTERNAL_ASSERT(
      !is_cudnn(backend) || (dq.stride(0) == q.stride(0) && dk.stride(0) == k.stride(0) &&
                             dv.stride(0) == v.stride(0)),
      "attention: tokens of q, k, v and of their gradients lie ", q.stride(0), ", ", k.stride(0),
      ", ", v.stride(0), " and ", dq.stride(0), ", ", dk.stride(0), ", ", dv.stride(0),
      " apart; they must agree");
  record_attention(backend, /*backward=*/true, q, k, plan, shape);
  switch (backend) {
    case AttentionBackend::hopper:
      return hopper_backward(dout, q, k, v, output, plan, shape, dq, dk, dv);
    case AttentionBackend::short_segments:
      return short_backward(dout, q, k, v, output, plan, shape, dq, dk, dv);
    case AttentionBackend::flash2:
      return flash_backward(dout, q, k, v, output, plan, shape, dq, dk, dv);
    default:
      return cudnn_backward(backend == AttentionBackend::cudnn_dense, dout, q, k, v, output, plan,
                            shape, dq, dk, dv);
  }
}

AttentionOutput attention_forward(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                  const AttentionPlan& plan, const AttentionShape& shape) {
  return attention_forward_by(backend_of(q, k, v, plan, /*backward=*/false), q, k, v, plan, shape);
}

void attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                        const at::Tensor& v, const AttentionOutput& output,
                        const AttentionPlan& plan, const AttentionShape& shape, at::Tensor& dq,
                        at::Tensor& dk, at::Tensor& dv) {
  attention_backward_by(backend_of(q, k, v, plan, /*backward=*/true), dout, q, k, v, output, plan,
                        shape, dq, dk, dv);
}

void warm_attention(at::Device device, const at::Tensor& q, const at::Tensor& k,
                    const at::Tensor& v, const at::Tensor& dq, const at::Tensor& dk,
                    const at::Tensor& dv, const AttentionPlan& plan, const AttentionShape& shape) {
  if (!device.is_cuda() || q.size(0) == 0) return;
  const auto backend = [&](bool backward) {
    return attention_backend(attention_device(device), problem_of(q, k, v, plan, backward));
  };
  if (!is_cudnn(backend(false))) return;
  const CudnnAttentionKey key =
      forward_key(backend(false) == AttentionBackend::cudnn_dense, q, k, v, plan, shape, device);
  cudnn_attention_graph(key);
  if (is_cudnn(backend(true)))
    cudnn_attention_graph(backward_key(key, q.size(1) * q.size(2), dq, dk, dv));
}

void warm_attention(at::Device device, at::ScalarType dtype) {
  constexpr int64_t kHeadDim = 128;
  const std::vector<int64_t> lengths{100, 156};  // unequal: over ragged segments
  const at::Tensor x =
      at::empty({lengths[0] + lengths[1], 1, kHeadDim}, at::TensorOptions(at::kMeta).dtype(dtype));
  warm_attention(device, x, x, x, x, x, x, attention_plan(lengths, at::kMeta), {});
}

}  // namespace lmms::kernels
