#include "nn/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace lmms::nn {
namespace {

// The (fractional) dimension whose wave makes `rotations` turns over the original context: YaRN eq.
// 23 solved for the index.
double dimension_of(double rotations, double D, const RopeConfig& c) {
  return D * std::log(c.original_positions / (2 * std::numbers::pi * rotations)) /
         (2 * std::log(c.theta));
}

// Between low (slow waves, divided by factor) and high (fast ones, kept) the share of what is kept
// grows with the number of turns over the original context. fp32, as transformers computes it.
void stretch_as_llama3(std::vector<float>& inverse, const RopeConfig& c) {
  const auto factor = static_cast<float>(c.factor);
  const auto original = static_cast<float>(c.original_positions);
  const auto longest = static_cast<float>(c.original_positions / c.low_freq_factor),
             shortest = static_cast<float>(c.original_positions / c.high_freq_factor);
  for (float& f : inverse) {
    const float wave = static_cast<float>(2 * std::numbers::pi) / f;
    if (wave > longest) {
      f /= factor;
    } else if (wave >= shortest) {
      const float kept = (original / wave - static_cast<float>(c.low_freq_factor)) /
                         static_cast<float>(c.high_freq_factor - c.low_freq_factor);
      f = (1.0f - kept) * f / factor + kept * f;
    }
  }
}

void stretch_as_yarn(std::vector<float>& inverse, const RopeConfig& c) {
  const auto factor = static_cast<float>(c.factor);
  const double D = 2.0 * static_cast<double>(inverse.size());
  double low = dimension_of(c.beta_fast, D, c), high = dimension_of(c.beta_slow, D, c);
  if (c.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, D - 1);
  if (low == high) high += 0.001;
  for (size_t i = 0; i < inverse.size(); ++i) {
    float& f = inverse[i];
    const auto ramp =
        static_cast<float>(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
    f = f / factor * ramp + f * (1.0f - ramp);
  }
}

}  // namespace

Rotary::Rotary(const RopeConfig& c, int64_t head_dim) {
  if (head_dim <= 0 || head_dim % 2 != 0) {
    throw Error("head_dim",
                "rotary embeddings need an even head size, got " + std::to_string(head_dim));
  }
  const int64_t half = head_dim / 2;
  for (size_t axis = 0; axis < c.sections.size(); ++axis)
    axes_.insert(axes_.end(), static_cast<size_t>(c.sections[axis]), static_cast<int64_t>(axis));
  if (c.interleaved && c.sections.size() == 3) {
    for (size_t i = 0; i < axes_.size(); ++i) {
      const size_t axis = i % 3;
      const bool turns = axis > 0 && static_cast<int64_t>(i) < 3 * c.sections[axis];
      axes_[i] = turns ? static_cast<int64_t>(axis) : 0;
    }
  }
  if (!axes_.empty() && static_cast<int64_t>(axes_.size()) != half) {
    throw Error("mrope_section", "the sections must add up to half the head size, " +
                                     std::to_string(half) + "; they add up to " +
                                     std::to_string(axes_.size()));
  }
  inverse_.resize(static_cast<size_t>(half));
  for (int64_t i = 0; i < half; ++i) {
    // fp32 all along, as transformers computes it
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    inverse_[static_cast<size_t>(i)] = 1.0f / std::pow(static_cast<float>(c.theta), exponent);
  }
  if (c.kind == RopeConfig::Kind::linear) {
    for (float& f : inverse_) f /= static_cast<float>(c.factor);
  } else if (c.kind == RopeConfig::Kind::llama3) {
    stretch_as_llama3(inverse_, c);
  } else if (c.kind == RopeConfig::Kind::yarn) {
    stretch_as_yarn(inverse_, c);
    scaling_ = c.attention_factor > 0 ? c.attention_factor
               : c.factor <= 1        ? 1.0
                                      : 0.1 * std::log(c.factor) + 1.0;
  }
}

std::pair<at::Tensor, at::Tensor> Rotary::tables(const at::Tensor& positions,
                                                 at::ScalarType dtype) const {
  if (!device_inverse_.defined() || device_inverse_.device() != positions.device()) {
    auto* data = const_cast<float*>(inverse_.data());
    device_inverse_ = at::from_blob(data, {static_cast<int64_t>(inverse_.size())}, at::kFloat)
                          .clone()
                          .to(positions.device());
    if (!axes_.empty()) device_axes_ = at::tensor(axes_, at::kLong).to(positions.device());
  }
  at::Tensor of_frequency;  // [T, 1] or [T, D / 2]
  if (positions.dim() == 1) {
    of_frequency = positions.to(at::kFloat).unsqueeze(1);
  } else {
    TORCH_INTERNAL_ASSERT(positions.dim() == 2 && positions.size(0) == 3 && !axes_.empty(),
                          "rotary positions ", positions.sizes(), ", sections ", axes_.size());
    // selected behind the transposition, so that the tables are contiguous: kernels read them so
    of_frequency = positions.to(at::kFloat).t().index_select(1, device_axes_);
  }
  const at::Tensor angles = of_frequency * device_inverse_.unsqueeze(0);  // [T, D / 2]
  return {(angles.cos() * scaling_).to(dtype), (angles.sin() * scaling_).to(dtype)};
}

}  // namespace lmms::nn
