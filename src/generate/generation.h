#pragma once
/// Text from a language model: prompts in, one token after another out, or masks filled in.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "data/sample.h"
#include "generate/unmasking.h"
#include "nn/cache.h"
#include "step/forward_model.h"

namespace lmms::generate {

/// How the next token is chosen, in the meaning and order of transformers' logits processors:
/// repetition_penalty, temperature, top_k, top_p.
struct SamplingOptions {
  double temperature = 0;  ///< 0: the most likely token (greedy)
  int64_t top_k = 0;       ///< > 0: of the k most likely tokens
  double top_p = 1;        ///< < 1: of the fewest tokens that together have this probability
  /// > 1: logits of tokens that are there already (in the prompt too) are made smaller: divided by
  /// it where positive, multiplied where negative (Keskar et al. 2019, section 4.1). Not of models
  /// that fill in masks.
  double repetition_penalty = 1;
  uint64_t seed = 0;

  bool operator==(const SamplingOptions&) const = default;
};

/// The tokens that may come next, most likely first, with their probabilities: [B, K] each.
struct Candidates {
  at::Tensor ids;            ///< int64
  at::Tensor probabilities;  ///< fp32; sums to 1 in every row, 0 for what top_p leaves out
};
/// By temperature (> 0), top_k and top_p; logits [B, V] fp32.
Candidates candidates(const at::Tensor& logits, const SamplingOptions& options);
/// One of each row's candidates by a number in (0, 1]: [B] int64.
at::Tensor drawn(const Candidates& from, std::span<const float> draws);

struct GenerationOptions {
  SamplingOptions sampling;
  int64_t max_new_tokens = 256;
  std::vector<int32_t> stop_ids;  ///< a sequence ends with the first of these
  int64_t first_prompt = 0;       ///< number of the first prompt where a list is cut into batches
  /// How the model fills in masks; nullopt: it writes one token after another.
  std::optional<UnmaskingOptions> unmasking = {};
};

/// A prompt of text alone.
data::Sample text_prompt(std::vector<int32_t> ids);

struct Generated {
  std::vector<int32_t> ids;  ///< new tokens, without the one that ended it
  bool finished = false;     ///< by one of stop_ids, not by max_new_tokens
  int64_t steps = 0;         ///< in which masks became tokens
};

/// Keys and values that outlive a call: a conversation that goes on computes only what is new.
struct KeptPrefix {
  std::vector<int32_t> ids;          ///< that the cache holds
  MediaList<data::MediaPart> media;  ///< among them
  nn::MixerCache cache{1};
};

struct GenerationHooks {
  /// Called with every new token, of sequence `b`, as soon as it and all before it are known.
  /// Empty: nobody listens.
  std::function<void(size_t b, int32_t id)> token;
  /// Called before the first step that fills in masks and after each, with all that will be told
  /// of sequence `b`, masks where nothing is settled yet.
  std::function<void(size_t b, std::span<const int32_t> ids)> draft;
  /// Asked before every token or step; true ends all sequences where they are.
  std::function<bool()> stop;
  KeptPrefix* kept = nullptr;  ///< of a single prompt; not of models that fill in masks
};

/// Continues every prompt (data::Processor::prompt; at least one token each), all together, with
/// images or without. The draw of token t of prompt b depends on (seed, first_prompt + b, t) alone.
/// With options.unmasking: fill_in_masks().
/// Throws Error for an empty prompt or an id outside the vocabulary.
std::vector<Generated> generate(const step::ForwardModel& forward,
                                std::span<const data::Sample> prompts,
                                const GenerationOptions& options,
                                const GenerationHooks& hooks = {});

}  // namespace lmms::generate
