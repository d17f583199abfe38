#pragma once
/// The last product of a language model: hidden states to logits over the vocabulary. What asks for
/// less than the logits never holds them all.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "kernels/linear_loss/linear_loss.h"
#include "nn/decoder.h"
#include "nn/param.h"
#include "nn/run_context.h"

namespace lmms::nn {

/// Every operation reads the weight in a scope of its unit, which is the embedding's where the two
/// are tied. h [N, H] in the dtype of the weight; targets [N] int64 in [0, V).
struct Head {
  const Param* weight = nullptr;  ///< [V, H]; the embedding itself where the two are tied

  /// kernels::linear_loss over these positions, weights [N] fp32: an fp32 scalar. The gradient of a
  /// weight that trains goes straight into its slot, so the result must reach backward unscaled;
  /// what does not go backward at all belongs under a c10::NoGradGuard.
  at::Tensor loss(const at::Tensor& h, const at::Tensor& targets, const at::Tensor& weights,
                  kernels::LinearLossOptions options, const RunContext& context) const;
  /// log p(targets[n] | h[n]), [N] fp32, without a gradient.
  at::Tensor log_probabilities(const at::Tensor& h, const at::Tensor& targets,
                               const RunContext& context) const;
  /// [N, V] in the dtype of h.
  at::Tensor logits(const at::Tensor& h, const RunContext& context) const;

  /// FLOPs of forward and backward of the loss over so many positions; `below_trains`: something
  /// takes the gradient of its input.
  double train_flops(int64_t positions, bool below_trains) const;
};

/// The head of a decoder: a Param of its own, PREFIXlm_head.weight in the unit PREFIXlm_head, or
/// the embedding where the two are tied.
Head add_head(ParamTable& params, const Decoder& decoder, bool tied,
              const std::string& prefix = "");

}  // namespace lmms::nn
