#pragma once
/// For tests: a tokenizer without files, and samples of made texts.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "data/collate.h"
#include "data/loader.h"
#include "objectives/masked_diffusion.h"
#include "text/tokenizer.h"

namespace lmms::objectives {

/// Ids 0, 1, ... are the characters from '0' on; the last id below `vocabulary` is "[MASK]",
/// special.
inline text::Tokenizer letters(int32_t vocabulary) {
  nlohmann::json words = nlohmann::json::object();
  for (int32_t id = 0; id + 1 < vocabulary; ++id)
    words[std::string(1, static_cast<char>('0' + id))] = id;
  const nlohmann::json added = {
      {"id", vocabulary - 1}, {"content", "[MASK]"}, {"single_word", false}, {"lstrip", false},
      {"rstrip", false},      {"normalized", false}, {"special", true}};
  const nlohmann::json file = {
      {"version", "1.0"},
      {"added_tokens", {added}},
      {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", words}, {"merges", nlohmann::json::array()}}}};
  return text::Tokenizer::from_json(file.dump(), "test").take();
}

/// A plain text of n tokens below `vocabulary`.
inline data::Sample made_text(int32_t n, int32_t seed, int32_t vocabulary) {
  data::Sample sample;
  for (int32_t t = 0; t < n; ++t)
    sample.text.input_ids.push_back((seed * 7 + t * t * 3 + t) % vocabulary);
  sample.text.labels.assign(sample.text.input_ids.begin() + std::min(n, 1),
                            sample.text.input_ids.end());
  sample.text.labels.push_back(data::kIgnore);
  return sample;
}

/// Its samples as an objective draws them, one a row; or all in one row. Of one step: `rows` of
/// them in a micro-step.
inline data::StepBatch drawn_step(const Objective& objective, std::vector<data::Sample> samples,
                                  bool packed, size_t rows = 1, uint64_t seed = 3) {
  std::vector<data::RowSamples> made(packed ? 1 : 0);
  for (size_t i = 0; i < samples.size(); ++i) {
    objective.drawing()->lay_out(samples[i]);
    objective.drawing()->draw(samples[i], data::DrawKey(seed, static_cast<int64_t>(i)));
    if (!packed) made.emplace_back();
    made.back().push_back(std::make_shared<const data::Sample>(std::move(samples[i])));
  }
  data::StepBatch step;
  step.step = 1;
  for (size_t first = 0; first < made.size(); first += rows) {
    const size_t count = std::min(rows, made.size() - first);
    step.micro_steps.push_back(data::collate(std::span(made).subspan(first, count), 1, 0));
    const data::Batch& micro = step.micro_steps.back();
    step.tokens += micro.valid_tokens;
    step.supervised_tokens += micro.supervised_tokens;
    step.samples += micro.samples;
    step.rows += micro.rows;
    for (const auto& [name, n] : micro.counts) step.counts[name] += n;
  }
  return step;
}

}  // namespace lmms::objectives
