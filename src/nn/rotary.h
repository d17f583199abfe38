#pragma once
/// Angles of rotary embeddings. Sources: Su et al. 2021 (RoPE); Peng et al. 2023, "YaRN",
/// section 3; Bai et al. 2025, "Qwen2.5-VL", section 2.1.3 (M-RoPE); Llama 3.1's reference code
/// (llama_models, models/llama3/model.py: apply_scaling).
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace lmms::nn {

struct RopeConfig {
  enum class Kind { plain, linear, yarn, llama3 };
  Kind kind = Kind::plain;
  double theta = 10000.0;
  double factor = 1.0;            ///< how far the context is stretched; not of the plain kind
  double original_positions = 0;  ///< yarn, llama3: positions of the pretraining
  double beta_fast = 32, beta_slow = 1;
  double attention_factor = 0;  ///< yarn: 0 means 0.1 * ln(factor) + 1
  bool truncate = true;         ///< yarn: round the borders of the ramp to whole dimensions
  /// llama3: waves that turn less often than the first over the original context are stretched,
  /// those that turn more often than the second stay, the others lie between.
  double low_freq_factor = 1, high_freq_factor = 4;
  /// M-RoPE: how many of the D / 2 frequencies turn by time, by height, by width; empty: every
  /// token has one position.
  std::vector<int64_t> sections;
  bool interleaved = false;  ///< M-RoPE: t h w t h w ... t t (Qwen3-VL) instead of three blocks

  bool operator==(const RopeConfig&) const = default;
};

class Rotary {
 public:
  /// head_dim D must be even.
  Rotary(const RopeConfig& config, int64_t head_dim);

  /// D / 2 inverse frequencies in fp32, after stretching.
  const std::vector<float>& inverse_frequencies() const { return inverse_; }
  /// Factor of cos and sin.
  double attention_scaling() const { return scaling_; }

  /// positions [T], or [3, T] with sections (three equal rows give what [T] gives) -> cos, sin [T,
  /// D / 2], contiguous: angles in fp32, then cast to `dtype`.
  std::pair<at::Tensor, at::Tensor> tables(const at::Tensor& positions, at::ScalarType dtype) const;

 private:
  std::vector<float> inverse_;
  double scaling_ = 1.0;
  std::vector<int64_t> axes_;          // M-RoPE: the row of positions that each frequency takes
  mutable at::Tensor device_inverse_;  // cached copies on the device of the last call
  mutable at::Tensor device_axes_;
};

}  // namespace lmms::nn
