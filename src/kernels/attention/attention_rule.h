#pragma once
/// Which kernel takes an attention: the one place of the rule. Figures behind it:
/// docs/decisions.md.
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>

namespace lmms::kernels {

enum class AttentionBackend {
  by_segment,      ///< ATen's scaled_dot_product_attention, segment by segment
  flash2,          ///< FlashAttention-2 of ATen, over cu_seqlens
  cudnn,           ///< cuDNN's fused kernels, over ragged offsets
  cudnn_dense,     ///< the same where all segments are equally long: a batch without offsets
  short_segments,  ///< our own, for heads with keys of their own and segments of at most 64 tokens
  hopper,          ///< our own backward, after a forward of cuDNN's over ragged offsets
};

const char* short_name(AttentionBackend backend);  ///< as the enumerator

/// What the rule asks of a device. A meta tensor stands for a Hopper GPU with all that a build has,
/// or for another device (kernels/meta_device.h).
struct AttentionDevice {
  int compute_major = 0;       ///< 9: Hopper; 0: no GPU
  int64_t cudnn_version = 0;   ///< 91900: 9.19.0; 0 where it is absent
  bool deterministic = false;  ///< ATen is asked for deterministic algorithms
};
AttentionDevice attention_device(at::Device device);

/// What it asks of a call.
struct AttentionProblem {
  at::ScalarType dtype = at::kBFloat16;
  int64_t head_dim = 128;
  bool grouped = false;        ///< several query heads share keys and values
  int64_t max_length = 4096;   ///< tokens of the longest segment
  int64_t equal_length = 0;    ///< tokens of every segment; 0 if they differ
  int64_t largest_offset = 0;  ///< elements to the end of the largest operand
  bool backward = false;
};

AttentionBackend attention_backend(const AttentionDevice& device, const AttentionProblem& problem);

/// The rule for one device and type in words: "cuDNN 9.19.0 fused over ragged segments; ...", and
/// why this and no other.
struct AttentionChoice {
  std::string kernel, why;
};
AttentionChoice attention_choice(const AttentionDevice& device, at::ScalarType dtype);

}  // namespace lmms::kernels
