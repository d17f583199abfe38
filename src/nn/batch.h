#pragma once
/// A micro-step on the device: data::Batch moved there, with what the host worked out from it.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kernels/attention/attention.h"
#include "kernels/embedding/embedding.h"
#include "nn/media_input.h"

namespace lmms::nn {

class MixerCache;

/// Numbers of which every sample of a batch has a count of its own, perhaps 0.
struct RaggedInput {
  at::Tensor values;             ///< [sum of lengths] fp32, one sample after another
  std::vector<int64_t> lengths;  ///< of each sample, on the host
};

struct Batch {
  at::Tensor input_ids;              ///< [T] int32
  kernels::EmbeddingPlan embedding;  ///< of input_ids, where the device has a use for it
  at::Tensor position_ids;           ///< [T] int32, or [3, T]: time, height, width (M-RoPE)
  kernels::AttentionPlan attention;
  at::Tensor supervised;  ///< [N] int64: positions that have a target
  at::Tensor targets;     ///< [N] int64: their targets
  at::Tensor weights;     ///< [N] fp32: their weights, already divided by the term's denominator

  /// Of each kind that any rank has in this micro-step. The tower of a kind runs if its part is
  /// there, on a smallest medium if the part is empty, so that ranks whose batches differ run the
  /// same modules in the same order. Loss and gradients are the same bits either way.
  MediaList<MediaInput> media;
  /// What samples carry for plugins, by name.
  std::map<std::string, RaggedInput> extras;

  /// Generation: what the layers keep of the tokens before these, and of these. Not owned.
  MixerCache* cache = nullptr;
};

}  // namespace lmms::nn
