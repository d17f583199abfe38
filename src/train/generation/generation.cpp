#include "train/generation/generation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "core/format.h"
#include "core/rng.h"
#include "kernels/on_device.h"

namespace lmms::train {
namespace {

// Ids and positions of the tokens that a forward takes, one sequence after another.
struct Tokens {
  std::vector<int32_t> ids, positions;
  std::vector<int64_t> counts;

  void add(std::span<const int32_t> sequence, int64_t first_position) {
    for (size_t i = 0; i < sequence.size(); ++i) {
      ids.push_back(sequence[i]);
      positions.push_back(static_cast<int32_t>(first_position + static_cast<int64_t>(i)));
    }
    counts.push_back(static_cast<int64_t>(sequence.size()));
  }
};

// [B, V] fp32: logits behind the last new token of every sequence.
at::Tensor forward(const models::LanguageModel& model, const Tokens& tokens, nn::KvCache& cache,
                   at::Device device) {
  cache.extend(tokens.counts, device);
  nn::Batch batch;
  batch.input_ids = kernels::on_device(tokens.ids, at::kInt, device);
  batch.position_ids = kernels::on_device(tokens.positions, at::kInt, device);
  batch.cache = &cache;
  batch.attention = kernels::attention_plan(tokens.counts, device);
  const at::Tensor hidden = model.hidden(batch, {});  // [T, H]
  const at::Tensor last = batch.attention.cu_seqlens.slice(0, 1) - 1;
  return at::linear(hidden.index_select(0, last), model.head().value).to(at::kFloat);
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
    // the first candidate whose cumulative probability reaches the draw; 0 is never drawn, so that
    // one without probability is never chosen
    const at::Tensor sums = from.probabilities.cumsum(-1);
    const at::Tensor draw = kernels::on_device(draws, at::kFloat, logits.device()).unsqueeze(-1) *
                            sums.narrow(-1, sums.size(-1) - 1, 1);
    const at::Tensor rank = at::argmax((sums >= draw).to(at::kInt), -1, /*keepdim=*/true);
    ids = from.ids.gather(-1, rank).squeeze(-1);
  }
  const at::Tensor host = ids.to(at::kCPU, at::kInt).contiguous();
  return {host.const_data_ptr<int32_t>(), host.const_data_ptr<int32_t>() + host.numel()};
}

// Which tokens every running sequence has: [B, V] bool, for the repetition penalty.
class Seen {
 public:
  Seen(std::span<const std::vector<int32_t>> prompts, int64_t vocab_size, double penalty,
       at::Device device)
      : penalty_(penalty) {
    if (penalty == 1) return;
    for (const std::vector<int32_t>& prompt : prompts) {
      at::Tensor row = at::zeros({1, vocab_size}, at::TensorOptions().dtype(at::kBool));
      row.index_fill_(1, at::tensor(prompt, at::kLong), true);
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

void check(std::span<const std::vector<int32_t>> prompts, int64_t vocab_size) {
  for (size_t b = 0; b < prompts.size(); ++b) {
    const std::string where = fmt::format("prompt {}", b + 1);
    if (prompts[b].empty()) throw Error(where, "it has no token", "give it a text");
    for (int32_t id : prompts[b]) {
      if (id >= 0 && id < vocab_size) continue;
      throw Error(
          where, fmt::format("token id {} is outside the model's vocabulary of {}", id, vocab_size),
          "use the tokenizer that belongs to the model");
    }
  }
}

// How many of the prompt's tokens are kept already; at least the last one is computed anew.
int64_t common_prefix(const std::vector<int32_t>& kept, const std::vector<int32_t>& prompt) {
  const size_t most = std::min(kept.size(), prompt.size() - 1);
  return std::mismatch(kept.begin(), kept.begin() + static_cast<int64_t>(most), prompt.begin())
             .first -
         kept.begin();
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

std::vector<Generated> generate(const models::LanguageModel& model,
                                std::span<const std::vector<int32_t>> prompts,
                                const GenerationOptions& options, at::Device device,
                                const GenerationHooks& hooks) {
  const c10::NoGradGuard no_grad;
  check(prompts, model.vocab_size());
  std::vector<Generated> out(prompts.size());
  TORCH_INTERNAL_ASSERT(hooks.kept == nullptr || prompts.size() == 1, "a kept prefix of ",
                        prompts.size(), " prompts");

  nn::KvCache own(static_cast<int64_t>(prompts.size()));
  nn::KvCache& cache = hooks.kept != nullptr ? hooks.kept->cache : own;
  Tokens tokens;
  for (const std::vector<int32_t>& prompt : prompts) {
    int64_t done = 0;
    if (hooks.kept != nullptr) {
      done = common_prefix(hooks.kept->ids, prompt);
      cache.truncate(done);
      hooks.kept->ids.resize(static_cast<size_t>(done));
    }
    tokens.add(std::span(prompt).subspan(static_cast<size_t>(done)), done);
  }

  Seen seen(prompts, model.vocab_size(), options.sampling.repetition_penalty, device);
  std::vector<int64_t> running(prompts.size());  // the sequences in the cache
  std::iota(running.begin(), running.end(), 0);
  for (int64_t step = 0; step < options.max_new_tokens && !running.empty(); ++step) {
    if (hooks.stop && hooks.stop()) break;
    const at::Tensor logits = forward(model, tokens, cache, device);
    if (hooks.kept != nullptr)
      hooks.kept->ids.insert(hooks.kept->ids.end(), tokens.ids.begin(), tokens.ids.end());
    const std::vector<int32_t> chosen = choose(seen.penalised(logits), options, running, step);
    seen.add(chosen);
    tokens = {};
    std::vector<int64_t> on, on_in_cache;
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
      tokens.add({&chosen[i], 1}, cache.lengths()[i]);
    }
    if (!on.empty() && on.size() < running.size()) {
      cache.keep(on_in_cache);
      seen.keep(on_in_cache);
    }
    running = std::move(on);
  }
  return out;
}

}  // namespace lmms::train
