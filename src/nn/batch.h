#pragma once
/// A micro-step on the device: data::Batch moved there, with what the host worked out from it.
#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/attention/attention.h"
#include "kernels/embedding/embedding.h"
#include "nn/vision_input.h"

namespace lmms::nn {

class KvCache;

struct Batch {
  at::Tensor input_ids;              ///< [T] int32
  kernels::EmbeddingPlan embedding;  ///< of input_ids, where the device has a use for it
  at::Tensor position_ids;           ///< [T] int32, or [3, T]: time, height, width (M-RoPE)
  kernels::AttentionPlan attention;
  at::Tensor supervised;  ///< [N] int64: positions that have a target
  at::Tensor targets;     ///< [N] int64: their targets
  at::Tensor weights;     ///< [N] fp32: their weights, already divided by the term's denominator

  VisionInput vision;  ///< images and videos, or nothing
  /// Every tower of the model runs, on a minimal grid where the batch has nothing for it, so that
  /// ranks whose batches differ run the same modules in the same order. Loss and gradients are the
  /// same bits either way.
  bool run_every_tower = false;

  /// Generation: what the layers keep of the tokens before these, and of these. Not owned.
  KvCache* cache = nullptr;
};

}  // namespace lmms::nn
