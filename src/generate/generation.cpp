#include "generate/generation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>

#include "core/error.h"
#include "core/format.h"
#include "core/rng.h"
#include "data/collate.h"
#include "kernels/on_device.h"
#include "step/device_batch.h"

namespace lmms::generate {
namespace {

// [B, V] fp32: logits behind the last new token of every sequence.
at::Tensor last_logits(const step::ForwardModel& forward, nn::Batch& batch, nn::MixerCache& cache) {
  cache.extend(batch.attention, forward.device);
  batch.cache = &cache;
  const models::LanguageModel& model = forward.language_model();
  const at::Tensor hidden = model.hidden(batch, forward.context).hidden;  // [T, H]
  const at::Tensor last = batch.attention.cu_seqlens.slice(0, 1) - 1;
  return model.logits(hidden.index_select(0, last), forward.context).to(at::kFloat);
}

// The prompts, packed as training packs its rows.
nn::Batch prompt_batch(const models::LanguageModel& model, std::span<const data::Sample> prompts,
                       at::Device device) {
  std::vector<data::RowSamples> rows;
  for (const data::Sample& prompt : prompts) {
    // not owned: the batch is made before the prompts go
    rows.push_back({std::shared_ptr<const data::Sample>(std::shared_ptr<void>(), &prompt)});
  }
  return step::to_device(data::collate(rows, /*pad_multiple=*/1, /*pad_id=*/0), /*denominator=*/1.0,
                         model.vocab_size(), device);
}

// One token more of each sequence, on one axis: text is the same on all three.
nn::Batch token_batch(const std::vector<int32_t>& ids, const std::vector<int32_t>& positions,
                      at::Device device) {
  nn::Batch batch;
  batch.input_ids = kernels::on_device(ids, at::kInt, device);
  batch.position_ids = kernels::on_device(positions, at::kInt, device);
  batch.attention = kernels::attention_plan(std::vector<int64_t>(ids.size(), 1), device);
  return batch;
}

// Where the first new token stands: behind an image positions lag behind the number of tokens.
int32_t position_behind(const data::Sample& prompt) {
  const std::vector<int32_t>& positions = prompt.text.position_ids;
  if (positions.empty()) return static_cast<int32_t>(prompt.length());
  return *std::max_element(positions.begin(), positions.end()) + 1;
}

// One id for each row of logits; `sequences` are the prompts they belong to.
std::vector<int32_t> choose(const at::Tensor& logits, const GenerationOptions& generation,
                            std::span<const int64_t> sequences, int64_t step) {
  const SamplingOptions& options = generation.sampling;
  at::Tensor ids;  // [B]
  if (options.temperature == 0) {
    ids = at::argmax(logits, -1);
  } else {
    const Candidates from = candidates(logits, options);
    std::vector<float> draws;
    for (int64_t b : sequences) {
      const rng::Counter bits = rng::philox(
          {static_cast<uint32_t>(generation.first_prompt + b), static_cast<uint32_t>(step), 0, 0},
          rng::key(options.seed, rng::Purpose::sampling));
      draws.push_back(static_cast<float>(rng::unit(bits[0])));
    }
    ids = drawn(from, draws);
  }
  const at::Tensor host = ids.to(at::kCPU, at::kInt).contiguous();
  return {host.const_data_ptr<int32_t>(), host.const_data_ptr<int32_t>() + host.numel()};
}

// Which tokens every running sequence has: [B, V] bool, for the repetition penalty.
class Seen {
 public:
  Seen(std::span<const data::Sample> prompts, int64_t vocab_size, double penalty, at::Device device)
      : penalty_(penalty) {
    if (penalty == 1) return;
    for (const data::Sample& prompt : prompts) {
      at::Tensor row = at::zeros({1, vocab_size}, at::TensorOptions().dtype(at::kBool));
      row.index_fill_(1, at::tensor(prompt.text.input_ids, at::kLong), true);
      seen_ = seen_.defined() ? at::cat({seen_, row}) : row;
    }
    seen_ = seen_.to(device);
  }
  at::Tensor penalised(const at::Tensor& logits) const {
    if (!seen_.defined()) return logits;
    const at::Tensor less = at::where(logits < 0, logits * penalty_, logits / penalty_);
    return at::where(seen_, less, logits);
  }
  void add(const std::vector<int32_t>& ids) {
    if (!seen_.defined()) return;
    const at::Tensor column = at::tensor(ids, at::kLong).to(seen_.device()).unsqueeze(1);
    seen_.scatter_(1, column, true);
  }
  void keep(const std::vector<int64_t>& rows) {
    if (seen_.defined()) seen_ = seen_.index_select(0, at::tensor(rows).to(seen_.device()));
  }

 private:
  double penalty_;
  at::Tensor seen_;
};

void check(std::span<const data::Sample> prompts, int64_t vocab_size) {
  for (size_t b = 0; b < prompts.size(); ++b) {
    const std::string where = fmt::format("prompt {}", b + 1);
    if (prompts[b].length() == 0) throw Error(where, "it has no token", "give it a text");
    for (int32_t id : prompts[b].text.input_ids) {
      if (id >= 0 && id < vocab_size) continue;
      throw Error(
          where, fmt::format("token id {} is outside the model's vocabulary of {}", id, vocab_size),
          "use the tokenizer that belongs to the model");
    }
  }
}

// Where the tokens of a prompt's media stand: from first to last; nullopt without any.
std::optional<std::pair<int32_t, int32_t>> media_span(const data::Sample& prompt) {
  std::optional<std::pair<int32_t, int32_t>> span;
  for (const data::MediaPart& part : prompt.media) {
    if (part.tokens.empty()) continue;
    if (!span) span = {part.tokens.front(), part.tokens.back()};
    span->first = std::min(span->first, part.tokens.front());
    span->second = std::max(span->second, part.tokens.back());
  }
  return span;
}

// How many of the prompt's tokens are kept already; at least the last one is computed anew. Media
// are kept all or none: one that changed, or joins, begins anew with the first of them.
size_t common_prefix(const KeptPrefix& kept, const data::Sample& prompt) {
  const std::vector<int32_t>& ids = prompt.text.input_ids;
  const size_t most = std::min(kept.ids.size(), ids.size() - 1);
  const auto end = kept.ids.begin() + static_cast<int64_t>(most);
  auto n = static_cast<size_t>(std::mismatch(kept.ids.begin(), end, ids.begin()).first -
                               kept.ids.begin());
  const auto media = media_span(prompt);
  if (media && (n <= static_cast<size_t>(media->second) || kept.media != prompt.media))
    n = std::min(n, static_cast<size_t>(media->first));
  return n;
}

// The prompt behind its first `done` tokens; media as common_prefix() leaves them.
data::Sample without_prefix(const data::Sample& prompt, size_t done) {
  const data::TextPart& text = prompt.text;
  const size_t n = text.input_ids.size();
  data::Sample rest = text_prompt({text.input_ids.begin() + static_cast<int64_t>(done),  //
                                   text.input_ids.end()});
  for (size_t axis = 0; axis < 3 && !text.position_ids.empty(); ++axis) {
    const auto row = text.position_ids.begin() + static_cast<int64_t>(axis * n);
    rest.text.position_ids.insert(rest.text.position_ids.end(), row + static_cast<int64_t>(done),
                                  row + static_cast<int64_t>(n));
  }
  const auto media = media_span(prompt);
  if (!media || static_cast<size_t>(media->first) < done) return rest;
  rest.media = prompt.media;
  for (data::MediaPart& part : rest.media)
    for (int32_t& token : part.tokens) token -= static_cast<int32_t>(done);
  return rest;
}

// What is left of a prompt to compute behind the prefix that it shares with what is kept.
nn::Batch go_on(const models::LanguageModel& model, KeptPrefix& kept, const data::Sample& prompt,
                at::Device device) {
  const size_t done = common_prefix(kept, prompt);
  kept.cache.truncate(static_cast<int64_t>(done));
  kept.ids.resize(done);
  kept.media = prompt.media;
  if (done == 0) return prompt_batch(model, {&prompt, 1}, device);
  const data::Sample rest = without_prefix(prompt, done);
  nn::Batch batch = prompt_batch(model, {&rest, 1}, device);
  if (prompt.text.position_ids.empty()) batch.position_ids.add_(static_cast<int64_t>(done));
  return batch;
}

}  // namespace

Candidates candidates(const at::Tensor& logits, const SamplingOptions& options) {
  const at::Tensor scaled = logits / options.temperature;
  at::Tensor values, ids;
  if (options.top_k > 0) {
    std::tie(values, ids) = at::topk(scaled, std::min(options.top_k, logits.size(-1)), -1);
  } else {
    std::tie(values, ids) = at::sort(scaled, -1, /*descending=*/true);
  }
  at::Tensor p = at::softmax(values, -1);
  if (options.top_p < 1) {
    const at::Tensor before = p.cumsum(-1) - p;  // of what is more likely
    at::Tensor stays = before < options.top_p;
    stays.narrow(-1, 0, 1).fill_(true);
    p = at::where(stays, p, at::zeros_like(p));
    p = p / p.sum(-1, /*keepdim=*/true);
  }
  return {ids, p};
}

at::Tensor drawn(const Candidates& from, std::span<const float> draws) {
  // the first candidate whose cumulative probability reaches the draw; 0 is never drawn, so that
  // one without probability is never chosen
  const at::Tensor sums = from.probabilities.cumsum(-1);
  const std::vector<float> numbers(draws.begin(), draws.end());
  const at::Tensor draw = kernels::on_device(numbers, at::kFloat, sums.device()).unsqueeze(-1) *
                          sums.narrow(-1, sums.size(-1) - 1, 1);
  const at::Tensor rank = at::argmax((sums >= draw).to(at::kInt), -1, /*keepdim=*/true);
  return from.ids.gather(-1, rank).squeeze(-1);
}

data::Sample text_prompt(std::vector<int32_t> ids) {
  data::Sample prompt;
  prompt.text.labels.assign(ids.size(), data::kIgnore);
  prompt.text.input_ids = std::move(ids);
  return prompt;
}

std::vector<Generated> generate(const step::ForwardModel& forward,
                                std::span<const data::Sample> prompts,
                                const GenerationOptions& options, const GenerationHooks& hooks) {
  const c10::NoGradGuard no_grad;
  const models::LanguageModel& model = forward.language_model();
  const at::Device device = forward.device;
  check(prompts, model.vocab_size());
  if (options.unmasking) return fill_in_masks(forward, prompts, options, hooks);
  std::vector<Generated> out(prompts.size());
  TORCH_INTERNAL_ASSERT(hooks.kept == nullptr || prompts.size() == 1, "a kept prefix of ",
                        prompts.size(), " prompts");

  nn::MixerCache own(static_cast<int64_t>(prompts.size()));
  nn::MixerCache& cache = hooks.kept != nullptr ? hooks.kept->cache : own;
  nn::Batch batch = hooks.kept == nullptr ? prompt_batch(model, prompts, device)
                                          : go_on(model, *hooks.kept, prompts.front(), device);
  std::vector<int32_t> positions;  // of the next token of each prompt
  for (const data::Sample& prompt : prompts) positions.push_back(position_behind(prompt));

  Seen seen(prompts, model.vocab_size(), options.sampling.repetition_penalty, device);
  std::vector<int64_t> running(prompts.size());  // the sequences in the cache
  std::iota(running.begin(), running.end(), 0);
  for (int64_t step = 0; step < options.max_new_tokens && !running.empty(); ++step) {
    if (hooks.stop && hooks.stop()) break;
    const at::Tensor logits = last_logits(forward, batch, cache);
    if (hooks.kept != nullptr) {
      std::vector<int32_t>& ids = hooks.kept->ids;
      if (step == 0) {
        ids = prompts.front().text.input_ids;
      } else {
        ids.push_back(out.front().ids.back());
      }
    }
    const std::vector<int32_t> chosen = choose(seen.penalised(logits), options, running, step);
    seen.add(chosen);
    std::vector<int64_t> on, on_in_cache;
    std::vector<int32_t> next, at;
    for (size_t i = 0; i < running.size(); ++i) {
      const auto b = static_cast<size_t>(running[i]);
      const bool ends = std::find(options.stop_ids.begin(), options.stop_ids.end(), chosen[i]) !=
                        options.stop_ids.end();
      if (ends) {
        out[b].finished = true;
        continue;
      }
      out[b].ids.push_back(chosen[i]);
      if (hooks.token) hooks.token(b, chosen[i]);
      on.push_back(running[i]);
      on_in_cache.push_back(static_cast<int64_t>(i));
      next.push_back(chosen[i]);
      at.push_back(positions[b]++);
    }
    if (on.empty()) break;
    if (on.size() < running.size()) {
      cache.keep(on_in_cache);
      seen.keep(on_in_cache);
    }
    running = std::move(on);
    batch = token_batch(next, at, device);
  }
  return out;
}

}  // namespace lmms::generate
