#pragma once
/// What crosses the units of a decoder. Its forward is a list of units that can be cut anywhere:
/// whatever a layer needs that its batch and its weights don't hold is a tensor of the state.
#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/attention/attention_plan.h"
#include "nn/residual.h"
#include "nn/run_context.h"

namespace lmms::nn {

class MixerCache;

/// The residual stream of T tokens of width H, and
struct DecoderState : Residual {
  at::Tensor cos, sin;  ///< [T, D / 2]
  /// DeepStack: layer i adds features[i] [M, H] to these rows [M] of the stream behind itself, and
  /// drops them. Shorter than the layers, or empty.
  at::Tensor feature_rows;
  std::vector<at::Tensor> features;

  // what is no tensor comes from the batch and the context
  const kernels::AttentionPlan* attention = nullptr;
  MixerCache* cache = nullptr;  ///< generation: of the sequences that the tokens belong to
  UnitRun how;

  template <class F>
  void each(F f) {
    f(hidden);
    f(delta);
    f(cos);
    f(sin);
    f(feature_rows);
    for (at::Tensor& t : features) f(t);
  }
};

}  // namespace lmms::nn
