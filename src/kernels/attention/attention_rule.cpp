#include "kernels/attention/attention_rule.h"

#include <ATen/Context.h>

#include <limits>

#include "core/format.h"
#include "kernels/attention/attention_cudnn.h"
#include "kernels/attention/attention_hopper_cuda.h"
#include "kernels/attention/attention_short_cuda.h"
#include "kernels/meta_device.h"

namespace lmms::kernels {
namespace {

constexpr int kAmpere = 8, kHopper = 9, kBlackwell = 10;
constexpr int64_t kTestedCudnn = 91900;  // what torch 2.11 brings; older ones lack parts of it
constexpr int64_t kLargestHead = 256, kLargestHeadOfBlackwell = 128;
// Equal lengths of this grain come by design (a cut-off length), so that few graphs are built for
// them.
constexpr int64_t kDenseGrain = 256;

bool is_half(at::ScalarType dtype) {
  return dtype == at::kBFloat16 || dtype == at::kHalf;
}

// Whether cuDNN's kernels serve heads of this size there.
bool has_cudnn(const AttentionDevice& device, int64_t head_dim) {
  if (device.cudnn_version < kTestedCudnn) return false;
  return device.compute_major == kHopper ||
         (device.compute_major == kBlackwell && head_dim <= kLargestHeadOfBlackwell);
}

}  // namespace

const char* short_name(AttentionBackend backend) {
  switch (backend) {
    case AttentionBackend::by_segment:
      return "by_segment";
    case AttentionBackend::flash2:
      return "flash2";
    case AttentionBackend::cudnn:
      return "cudnn";
    case AttentionBackend::cudnn_dense:
      return "cudnn_dense";
    case AttentionBackend::short_segments:
      return "short_segments";
    case AttentionBackend::hopper:
      return "hopper";
  }
  return "";
}

AttentionDevice attention_device(at::Device device) {
  if (computes_as_cpu(device)) return {};
  if (device.is_meta()) return {meta_stands_for, kTestedCudnn, false};
  return {compute_major(device.index()), cudnn_attention_version(),
          at::globalContext().deterministicAlgorithms()};
}

AttentionBackend attention_backend(const AttentionDevice& device, const AttentionProblem& x) {
  if (device.compute_major < kAmpere || !is_half(x.dtype) || x.head_dim % 8 != 0 ||
      x.head_dim > kLargestHead)
    return AttentionBackend::by_segment;
  if (x.dtype == at::kBFloat16 && !x.grouped && x.max_length <= kShortSegment &&
      x.head_dim <= kShortHead)
    return AttentionBackend::short_segments;
  // cuDNN's ordered sum of dq needs memory of the order of segments * length^2.
  if (!has_cudnn(device, x.head_dim) || device.deterministic) return AttentionBackend::flash2;
  if (x.backward && device.compute_major == kHopper && x.dtype == at::kBFloat16 &&
      x.head_dim > 64 && x.head_dim <= kHopperHead && x.max_length > kShortSegment)
    return AttentionBackend::hopper;  // cuDNN is as fast with smaller heads
  if (x.equal_length > 0 && x.equal_length % kDenseGrain == 0) return AttentionBackend::cudnn_dense;
  // A tile of cuDNN has 128 rows: up to half of one, FlashAttention-2's smaller ones waste less.
  const bool fits = x.largest_offset <= std::numeric_limits<int32_t>::max();
  return fits && x.max_length > kShortSegment ? AttentionBackend::cudnn : AttentionBackend::flash2;
}

AttentionChoice attention_choice(const AttentionDevice& device, at::ScalarType dtype) {
  AttentionProblem usual;
  usual.dtype = dtype;
  const AttentionBackend forward = attention_backend(device, usual);
  usual.backward = true;
  const std::string own = attention_backend(device, usual) == AttentionBackend::hopper
                              ? fmt::format(", backward our own for heads of 72 to {}", kHopperHead)
                              : std::string();
  const std::string windows =
      dtype == at::kBFloat16
          ? fmt::format("; our own where none exceeds {} tokens and no heads share keys",
                        kShortSegment)
          : std::string();
  switch (forward) {
    case AttentionBackend::cudnn:
    case AttentionBackend::cudnn_dense:
    case AttentionBackend::hopper:
      return {fmt::format("cuDNN {}.{}.{} fused over ragged segments{}{}; FlashAttention-2 (ATen) "
                          "for other short ones",
                          device.cudnn_version / 10000, device.cudnn_version % 10000 / 100,
                          device.cudnn_version % 100, own, windows),
              "the fastest measured for each"};
    case AttentionBackend::flash2:
      return {"FlashAttention-2 over cu_seqlens (ATen)" + windows,
              device.deterministic ? "deterministic algorithms were asked for"
              : device.cudnn_version < kTestedCudnn
                  ? "cuDNN's faster kernels need cuDNN 9.19 or later"
                  : "cuDNN's faster kernels need compute capability 9 or 10"};
    case AttentionBackend::short_segments:
    case AttentionBackend::by_segment:
      break;
  }
  std::string why = "fused kernels need compute capability 8.0 or later";
  if (device.compute_major == 0)
    why = "fused kernels over packed rows are for GPUs";
  else if (!is_half(dtype))
    why = "fused kernels have no fp32; trainer_args.bf16: true takes them";
  return {"ATen fused attention, segment by segment", why};
}

}  // namespace lmms::kernels
