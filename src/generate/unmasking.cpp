#include "generate/unmasking.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/xlogy.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/format.h"
#include "core/rng.h"
#include "generate/generation.h"
#include "generate/masked_forward.h"
#include "kernels/on_device.h"

namespace lmms::generate {
namespace {

// M masks, V tokens of the vocabulary, H numbers of a hidden state.

// Logits of so many numbers are held at a time.
constexpr int64_t kLogits = int64_t{1} << 26;

struct Block {
  int64_t from = 0, to = 0;
  std::vector<int64_t> schedule;  ///< masks that each step settles
};

/// A text on its way from masks to tokens.
struct Draft {
  size_t prompt = 0;           ///< its number in the call
  int64_t begin = 0, end = 0;  ///< the tokens that are told
  bool fills = false;          ///< the masks stood in the prompt
  std::vector<Block> blocks;   ///< that have masks
  size_t block = 0, block_step = 0;
  int64_t step = 0;  ///< of all blocks
  int64_t told = 0;  ///< tokens that the hook has been told
  bool done = false;
};

/// What one step says of a mask.
struct Proposal {
  int32_t id = 0;
  float probability = 0;
  float score = 0;  ///< the highest are settled first
};

int64_t masks_in(std::span<const int32_t> ids, int32_t mask) {
  return std::count(ids.begin(), ids.end(), mask);
}

// The steps of each block: its share of all, by the masks in it.
void schedule(Draft& draft, const MaskedText& text, const UnmaskingOptions& options) {
  const auto ids = std::span(text.ids);
  const auto of = [&](const Block& block) {
    return masks_in(
        ids.subspan(static_cast<size_t>(block.from), static_cast<size_t>(block.to - block.from)),
        options.mask_id);
  };
  const int64_t all = masks_in(ids, options.mask_id);
  const int64_t steps = options.steps > 0 ? std::min(options.steps, all) : all;
  int64_t masks = 0, before = 0;
  for (Block& block : draft.blocks) {
    const int64_t here = of(block);
    masks += here;
    const int64_t through = (2 * steps * masks + all) / (2 * all);  // rounded
    block.schedule = unmasking_schedule(here, std::max<int64_t>(1, through - before));
    before = through;
  }
}

// Lays the text out, with masks behind it where it has none, and cuts it into blocks.
std::pair<Draft, MaskedText> draft_of(size_t number, const data::Sample& prompt,
                                      const GenerationOptions& generation) {
  const UnmaskingOptions& options = *generation.unmasking;
  Draft draft;
  draft.prompt = number;
  MaskedText text{&prompt, prompt.text.input_ids};
  const auto given = static_cast<int64_t>(text.ids.size());
  draft.fills = masks_in(text.ids, options.mask_id) > 0;
  const int64_t trained = options.trained_block, block = options.block();
  if (draft.fills) {
    draft.end = given;
  } else {
    draft.begin = given;
    draft.end = given + generation.max_new_tokens;
    const int64_t whole = trained > 0 ? (draft.end + trained - 1) / trained * trained : draft.end;
    text.ids.resize(static_cast<size_t>(whole), options.mask_id);
  }
  const auto length = static_cast<int64_t>(text.ids.size());
  // blocks of a model count from the first token, others from the first that is told
  int64_t from = trained > 0 ? draft.begin / trained * trained : draft.begin;
  while (from < length) {
    const int64_t to = block > 0 && block < length - from ? from + block : length;
    const auto ids =
        std::span(text.ids).subspan(static_cast<size_t>(from), static_cast<size_t>(to - from));
    if (masks_in(ids, options.mask_id) > 0) draft.blocks.push_back({from, to, {}});
    from = to;
  }
  if (!draft.blocks.empty()) {
    schedule(draft, text, options);
    text.from = draft.blocks.front().from;
    text.to = draft.blocks.front().to;
  }
  return {std::move(draft), std::move(text)};
}

// The same text behind a prompt of masks: what guidance leads away from.
MaskedText without_prompt(const MaskedText& text, int32_t mask) {
  MaskedText out = text;
  std::fill(out.ids.begin(), out.ids.end(), mask);
  return out;
}

std::vector<float> to_host(const at::Tensor& values) {
  const at::Tensor host = values.to(at::kCPU, at::kFloat).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

// The scores of chosen tokens; logits and log p [M, V], p of the chosen ones [M].
at::Tensor scores(Remasking remasking, const at::Tensor& log_p, const at::Tensor& chosen) {
  switch (remasking) {
    case Remasking::low_margin: {
      const at::Tensor best = std::get<0>(at::topk(log_p, 2, -1)).exp();  // [M, 2]
      return best.select(-1, 0) - best.select(-1, 1);
    }
    case Remasking::high_entropy: {
      const at::Tensor p = log_p.exp();
      return at::xlogy(p, p).sum(-1);  // minus the entropy
    }
    case Remasking::low_confidence:
    case Remasking::random:  // drawn on the host
      return chosen;
  }
  TORCH_INTERNAL_ASSERT(false, "a remasking of no known kind");
}

class Unmasking {
 public:
  Unmasking(const step::ForwardModel& forward, const GenerationOptions& options,
            const GenerationHooks& hooks)
      : forward_(forward), generation_(options), options_(*options.unmasking), hooks_(hooks) {}

  /// Prompts that are all to be filled in, or all to be answered.
  void run(std::span<const data::Sample> prompts, const std::vector<size_t>& numbers,
           std::vector<Generated>& out) {
    for (const size_t number : numbers) {
      auto [draft, text] = draft_of(number, prompts[number], generation_);
      drafts_.push_back(std::move(draft));
      texts_.push_back(std::move(text));
    }
    if (drafts_.empty()) return;
    const bool cached = options_.cache && options_.trained_block > 0 && !drafts_.front().fills;
    if (options_.guidance != 1) {
      for (size_t i = 0; i < drafts_.size(); ++i)
        texts_.push_back(without_prompt(texts_[i], options_.mask_id));
    }
    masked_ = cached ? cached_blocks(forward_, options_.trained_block, texts_)
                     : whole_texts(forward_, options_.trained_block);
    for (size_t i = 0; i < drafts_.size(); ++i) tell(i);
    while (fill_block()) {
      std::vector<int64_t> on;
      for (size_t i = 0; i < drafts_.size(); ++i) {
        if (drafts_[i].done) {
          out[drafts_[i].prompt] = result(i);
        } else {
          on.push_back(static_cast<int64_t>(i));
        }
      }
      if (on.empty()) return;
      go_on_with(on);
    }
    for (size_t i = 0; i < drafts_.size(); ++i) out[drafts_[i].prompt] = result(i);
  }

 private:
  // Steps until no text has a mask in its block. False: the hook wants an end.
  bool fill_block() {
    for (;;) {
      std::vector<MaskedQuery> queries;
      for (size_t i = 0; i < drafts_.size(); ++i) {
        if (drafts_[i].done) continue;
        MaskedQuery query{i, {}};
        for (int64_t at = texts_[i].from; at < texts_[i].to; ++at)
          if (id(i, at) == options_.mask_id) query.positions.push_back(at);
        if (!query.positions.empty()) queries.push_back(std::move(query));
      }
      if (queries.empty()) return true;
      if (hooks_.stop && hooks_.stop()) return false;
      const std::vector<Proposal> proposals = propose(queries);
      auto next = std::span(proposals);
      for (const MaskedQuery& query : queries) {
        settle(query, next.first(query.positions.size()));
        next = next.subspan(query.positions.size());
        tell(query.text);
      }
    }
  }

  std::vector<Proposal> propose(const std::vector<MaskedQuery>& queries) {
    std::vector<MaskedQuery> all = queries;
    if (options_.shifted) {
      for (MaskedQuery& query : all)
        for (int64_t& position : query.positions) position = std::max<int64_t>(position - 1, 0);
    }
    if (options_.guidance != 1) {
      for (size_t i = 0; i < queries.size(); ++i)
        all.push_back({all[i].text + drafts_.size(), all[i].positions});
    }
    const at::Tensor hidden = masked_->hidden(texts_, all);  // [M, H], under guidance [2 M, H]
    const int64_t M = options_.guidance != 1 ? hidden.size(0) / 2 : hidden.size(0);
    std::vector<float> draws, order;
    for (const MaskedQuery& query : queries) {
      for (const int64_t position : query.positions) {
        draws.push_back(draw(query.text, position, 0));
        order.push_back(draw(query.text, position, 1));
      }
    }
    const int64_t rows = std::max<int64_t>(1, kLogits / forward_.language_model().vocab_size());
    std::vector<Proposal> out;
    for (int64_t begin = 0; begin < M; begin += rows) {
      const int64_t n = std::min(rows, M - begin);
      const at::Tensor without =
          options_.guidance != 1 ? hidden.narrow(0, M + begin, n) : at::Tensor();
      propose(logits(hidden.narrow(0, begin, n), without),
              std::span(draws).subspan(static_cast<size_t>(begin), static_cast<size_t>(n)), out);
    }
    if (options_.remasking == Remasking::random)
      for (size_t m = 0; m < out.size(); ++m) out[m].score = order[m];
    return out;
  }

  // [M, V] fp32
  at::Tensor logits(const at::Tensor& hidden, const at::Tensor& without) const {
    const models::LanguageModel& model = forward_.language_model();
    at::Tensor out = model.logits(hidden, forward_.context).to(at::kFloat);
    if (without.defined()) {
      const at::Tensor u = model.logits(without, forward_.context).to(at::kFloat);
      out = u + (out - u) * options_.guidance;
    }
    // a mask is no prediction
    out.select(-1, options_.mask_id).fill_(-std::numeric_limits<float>::infinity());
    return out;
  }

  void propose(const at::Tensor& logits, std::span<const float> draws,
               std::vector<Proposal>& out) const {
    const at::Tensor ids = generation_.sampling.temperature == 0
                               ? at::argmax(logits, -1)
                               : drawn(candidates(logits, generation_.sampling), draws);  // [M]
    const at::Tensor log_p = at::log_softmax(logits, -1);
    const at::Tensor p = log_p.gather(-1, ids.unsqueeze(-1)).squeeze(-1).exp();
    const std::vector<float> numbers =
        to_host(at::stack({p, scores(options_.remasking, log_p, p)}));
    const at::Tensor host = ids.to(at::kCPU, at::kInt).contiguous();
    const auto M = static_cast<size_t>(host.numel());
    for (size_t m = 0; m < M; ++m) {
      const float score = numbers[M + m];  // NaN has no order
      out.push_back({host.const_data_ptr<int32_t>()[m], numbers[m],
                     score == score ? score : std::numeric_limits<float>::lowest()});
    }
  }

  // (0, 1]; of a position in the coming step
  float draw(size_t text, int64_t position, uint32_t what) const {
    const Draft& draft = drafts_[text];
    const int64_t prompt = generation_.first_prompt + static_cast<int64_t>(draft.prompt);
    const rng::Counter bits =
        rng::philox({static_cast<uint32_t>(prompt), static_cast<uint32_t>(draft.step),
                     static_cast<uint32_t>(position), what},
                    rng::key(generation_.sampling.seed, rng::Purpose::sampling));
    return static_cast<float>(rng::unit(bits[0]));
  }

  void settle(const MaskedQuery& query, std::span<const Proposal> proposals) {
    Draft& draft = drafts_[query.text];
    const std::vector<int64_t>& schedule = draft.blocks[draft.block].schedule;
    const size_t step = std::min(draft.block_step, schedule.size() - 1);
    std::vector<size_t> best(proposals.size());
    std::iota(best.begin(), best.end(), 0);
    std::stable_sort(best.begin(), best.end(),
                     [&](size_t a, size_t b) { return proposals[a].score > proposals[b].score; });
    const double sure = options_.confidence_threshold.value_or(2);
    for (size_t rank = 0; rank < best.size(); ++rank) {
      const Proposal& proposal = proposals[best[rank]];
      if (static_cast<int64_t>(rank) >= schedule[step] && proposal.probability < sure) continue;
      for (size_t text = query.text; text < texts_.size(); text += drafts_.size())
        texts_[text].ids[static_cast<size_t>(query.positions[best[rank]])] = proposal.id;
    }
    ++draft.step;
    ++draft.block_step;
  }

  // Tells the hooks what is new, and sees whether the text is done.
  void tell(size_t i) {
    Draft& draft = drafts_[i];
    while (draft.begin + draft.told < draft.end) {
      const int32_t next = id(i, draft.begin + draft.told);
      if (next == options_.mask_id) break;
      if (!draft.fills && ends(next)) {
        draft.done = true;
        break;
      }
      ++draft.told;
      if (hooks_.token) hooks_.token(draft.prompt, next);
    }
    draft.done = draft.done || draft.begin + draft.told == draft.end;
    if (hooks_.draft) {
      hooks_.draft(draft.prompt, std::span(texts_[i].ids)
                                     .subspan(static_cast<size_t>(draft.begin),
                                              static_cast<size_t>(draft.end - draft.begin)));
    }
  }

  Generated result(size_t i) const {
    const Draft& draft = drafts_[i];
    const auto begin = texts_[i].ids.begin() + draft.begin;
    const bool whole = draft.begin + draft.told == draft.end;
    return {.ids = {begin, begin + draft.told},
            .finished = draft.done && (draft.fills || !whole),
            .steps = draft.step};
  }

  // The next blocks of these texts alone.
  void go_on_with(const std::vector<int64_t>& on) {
    std::vector<int64_t> rows = on;
    const auto count = static_cast<int64_t>(drafts_.size());
    if (texts_.size() > drafts_.size())
      for (const int64_t i : on) rows.push_back(count + i);
    masked_->next_block(texts_, rows);
    std::vector<MaskedText> texts;
    for (const int64_t row : rows) texts.push_back(std::move(texts_[static_cast<size_t>(row)]));
    std::vector<Draft> drafts;
    for (const int64_t i : on) drafts.push_back(std::move(drafts_[static_cast<size_t>(i)]));
    for (Draft& draft : drafts) {
      ++draft.block;
      draft.block_step = 0;
    }
    for (size_t row = 0; row < texts.size(); ++row) {
      const Draft& draft = drafts[row % drafts.size()];
      texts[row].from = draft.blocks[draft.block].from;
      texts[row].to = draft.blocks[draft.block].to;
    }
    texts_ = std::move(texts);
    drafts_ = std::move(drafts);
  }

  int32_t id(size_t text, int64_t position) const {
    return texts_[text].ids[static_cast<size_t>(position)];
  }
  bool ends(int32_t id) const {
    const std::vector<int32_t>& stops = generation_.stop_ids;
    return std::find(stops.begin(), stops.end(), id) != stops.end();
  }

  const step::ForwardModel& forward_;
  const GenerationOptions& generation_;
  const UnmaskingOptions& options_;
  const GenerationHooks& hooks_;
  std::vector<Draft> drafts_;      // those that are not done, and those that are since this block
  std::vector<MaskedText> texts_;  // theirs; under guidance as many more, without their prompts
  std::unique_ptr<MaskedForward> masked_;
};

}  // namespace

std::span<const config::EnumName<Remasking>> enum_names(Remasking) {
  static constexpr config::EnumName<Remasking> list[] = {
      {Remasking::low_confidence, "low_confidence"},
      {Remasking::low_margin, "low_margin"},
      {Remasking::high_entropy, "high_entropy"},
      {Remasking::random, "random"}};
  return list;
}

std::optional<UnmaskingOptions> unmasking_of(const nlohmann::json& model_config,
                                             const std::string& where) {
  const auto number = [&](const char* key, int64_t least, int64_t most) -> std::optional<int64_t> {
    const auto found = model_config.find(key);
    if (found == model_config.end() || found->is_null()) return {};
    if (!found->is_number_integer() || *found < least || *found > most) {
      throw Error(where, fmt::format("{}: expected a whole number from {} to {}, got {}", key,
                                     least, most, found->dump()));
    }
    return found->get<int64_t>();
  };
  const int64_t vocabulary = number("vocab_size", 1, std::numeric_limits<int32_t>::max())
                                 .value_or(std::numeric_limits<int32_t>::max());
  const auto mask = number("mask_token_id", 0, vocabulary - 1);
  if (!mask) return {};
  UnmaskingOptions options;
  options.mask_id = static_cast<int32_t>(*mask);
  options.trained_block = number("diffusion_block_length", 0, 1 << 20).value_or(0);
  const nlohmann::json shift = model_config.value("diffusion_shift", nlohmann::json());
  if (!shift.is_null() && !shift.is_boolean())
    throw Error(where, "diffusion_shift: expected true or false, got " + shift.dump());
  options.shifted = shift == true;
  if (options.shifted && options.trained_block > 0) {
    throw Error(where, "diffusion_shift: true beside a diffusion_block_length",
                "the first token of a block would be predicted by another block");
  }
  return options;
}

void set_block_length(UnmaskingOptions& options, int64_t block_length, const std::string& where) {
  if (block_length > 0 && options.trained_block > 0 && block_length != options.trained_block) {
    throw Error(where,
                fmt::format("the model is trained on blocks of {} tokens, not of {}",
                            options.trained_block, block_length),
                "leave it out");
  }
  options.block_length = block_length;
}

std::vector<int64_t> unmasking_schedule(int64_t masks, int64_t steps) {
  steps = std::min(steps, masks);
  std::vector<int64_t> out(static_cast<size_t>(steps), steps > 0 ? masks / steps : 0);
  for (int64_t i = 0; steps > 0 && i < masks % steps; ++i) ++out[static_cast<size_t>(i)];
  return out;
}

std::vector<Generated> fill_in_masks(const step::ForwardModel& forward,
                                     std::span<const data::Sample> prompts,
                                     const GenerationOptions& options,
                                     const GenerationHooks& hooks) {
  const c10::NoGradGuard no_grad;
  const UnmaskingOptions& unmasking = *options.unmasking;
  TORCH_INTERNAL_ASSERT(unmasking.mask_id < forward.language_model().vocab_size());
  std::vector<size_t> fills, answers;
  for (size_t b = 0; b < prompts.size(); ++b) {
    const bool blocks = unmasking.trained_block > 0;
    if (!prompts[b].media.empty() && (blocks || unmasking.guidance != 1)) {
      throw Error(fmt::format("prompt {}", b + 1),
                  blocks ? "images are not seen by a model that is trained on blocks"
                         : "guidance is of texts alone",
                  blocks ? "leave the images out" : "leave the images or --guidance out");
    }
    const bool has_masks = masks_in(prompts[b].text.input_ids, unmasking.mask_id) > 0;
    (has_masks ? fills : answers).push_back(b);
  }
  std::vector<Generated> out(prompts.size());
  if (options.max_new_tokens <= 0) answers.clear();
  Unmasking(forward, options, hooks).run(prompts, fills, out);
  Unmasking(forward, options, hooks).run(prompts, answers, out);
  return out;
}

}  // namespace lmms::generate
