#include "generate/masked_forward.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <numeric>

#include "data/collate.h"
#include "kernels/on_device.h"
#include "step/device_batch.h"

namespace lmms::generate {
namespace {

// The first `length` tokens, in full segments of `block` tokens; 0: in one.
data::Sample sample_of(const MaskedText& text, int64_t length, int64_t block) {
  data::Sample sample;
  sample.text.input_ids.assign(text.ids.begin(), text.ids.begin() + length);
  sample.text.labels.assign(sample.text.input_ids.size(), data::kIgnore);
  sample.media = text.prompt->media;
  const std::vector<int32_t>& given = text.prompt->text.position_ids;
  if (!given.empty()) {  // behind what is given all axes go on from the largest
    const int64_t n = text.prompt->length(), axes = std::ssize(given) / n;
    const int32_t behind = *std::max_element(given.begin(), given.end()) + 1;
    std::vector<int32_t>& positions = sample.text.position_ids;
    for (int64_t axis = 0; axis < axes; ++axis) {
      const auto row = given.begin() + axis * n;
      positions.insert(positions.end(), row, row + std::min(n, length));
      for (int64_t i = n; i < length; ++i)
        positions.push_back(behind + static_cast<int32_t>(i - n));
    }
  }
  for (int64_t begin = 0; begin < length;) {
    const int64_t end = block > 0 ? std::min(begin + block, length) : length;
    sample.segments.push_back(
        {.length = static_cast<int32_t>(end - begin), .mode = AttentionMode::full});
    begin = end;
  }
  return sample;
}

class WholeTexts final : public MaskedForward {
 public:
  WholeTexts(const step::ForwardModel& forward, int64_t trained_block)
      : forward_(forward), block_(trained_block) {}

  at::Tensor hidden(std::span<const MaskedText> texts,
                    std::span<const MaskedQuery> queries) override {
    std::vector<data::RowSamples> rows;
    std::vector<int64_t> asked;
    int64_t begin = 0;
    for (const MaskedQuery& query : queries) {
      const MaskedText& text = texts[query.text];
      const int64_t length = block_ > 0 ? text.to : static_cast<int64_t>(text.ids.size());
      rows.push_back({std::make_shared<const data::Sample>(sample_of(text, length, block_))});
      for (const int64_t position : query.positions) asked.push_back(begin + position);
      begin += length;
    }
    const models::LanguageModel& model = forward_.language_model();
    const nn::Batch batch =
        step::to_device(data::collate(rows, /*pad_multiple=*/1, /*pad_id=*/0),
                        /*denominator=*/1.0, model.vocab_size(), forward_.device);
    return model.hidden(batch, forward_.context)
        .hidden.index_select(0, kernels::on_device(asked, at::kLong, forward_.device));
  }
  void next_block(std::span<const MaskedText>, std::span<const int64_t>) override {}

 private:
  step::ForwardModel forward_;
  int64_t block_;
};

class CachedBlocks final : public MaskedForward {
 public:
  CachedBlocks(const step::ForwardModel& forward, int64_t trained_block,
               std::span<const MaskedText> texts)
      : forward_(forward), block_(trained_block), cache_(std::ssize(texts)) {
    // each block before the current one sees itself and those before it
    std::vector<int32_t> ids, positions;
    std::vector<kernels::AttentionSegment> segments;
    for (size_t b = 0; b < texts.size(); ++b) {
      const MaskedText& text = texts[b];
      for (int64_t at = 0; at < text.from; at += block_) {
        segments.push_back(
            {block_, block_, AttentionMode::full, /*group=*/static_cast<int32_t>(b), /*role=*/0});
      }
      ids.insert(ids.end(), text.ids.begin(), text.ids.begin() + text.from);
      for (int64_t i = 0; i < text.from; ++i) positions.push_back(static_cast<int32_t>(i));
    }
    if (!ids.empty())
      (void)run(ids, positions, kernels::attention_plan(std::move(segments), forward_.device));
  }

  at::Tensor hidden(std::span<const MaskedText> texts,
                    std::span<const MaskedQuery> queries) override {
    const nn::MixerCache::Snapshot before = cache_.snapshot();
    const at::Tensor all = run_blocks(texts);  // of every text: a cache knows no gaps
    cache_.restore(before);
    std::vector<int64_t> asked;
    for (const MaskedQuery& query : queries) {
      const int64_t begin = static_cast<int64_t>(query.text) * block_ - texts[query.text].from;
      for (const int64_t position : query.positions) asked.push_back(begin + position);
    }
    return all.index_select(0, kernels::on_device(asked, at::kLong, forward_.device));
  }

  void next_block(std::span<const MaskedText> texts, std::span<const int64_t> on) override {
    if (on.empty()) return;
    (void)run_blocks(texts);
    if (on.size() < texts.size()) cache_.keep(on);
  }

 private:
  at::Tensor run_blocks(std::span<const MaskedText> texts) {
    std::vector<int32_t> ids, positions;
    for (const MaskedText& text : texts) {
      TORCH_INTERNAL_ASSERT(text.to - text.from == block_ && text.from % block_ == 0, "a block [",
                            text.from, ", ", text.to, ") among those of ", block_, " tokens");
      ids.insert(ids.end(), text.ids.begin() + text.from, text.ids.begin() + text.to);
      for (int64_t i = text.from; i < text.to; ++i) positions.push_back(static_cast<int32_t>(i));
    }
    return run(ids, positions,
               kernels::attention_plan(std::vector<int64_t>(texts.size(), block_), forward_.device,
                                       AttentionMode::full));
  }

  // [T, H]
  at::Tensor run(const std::vector<int32_t>& ids, const std::vector<int32_t>& positions,
                 kernels::AttentionPlan plan) {
    nn::Batch batch;
    batch.input_ids = kernels::on_device(ids, at::kInt, forward_.device);
    batch.position_ids = kernels::on_device(positions, at::kInt, forward_.device);
    batch.attention = std::move(plan);
    cache_.extend(batch.attention, forward_.device);
    batch.cache = &cache_;
    return forward_.language_model().hidden(batch, forward_.context).hidden;
  }

  step::ForwardModel forward_;
  int64_t block_;
  nn::MixerCache cache_;
};

}  // namespace

std::unique_ptr<MaskedForward> whole_texts(const step::ForwardModel& forward,
                                           int64_t trained_block) {
  return std::make_unique<WholeTexts>(forward, trained_block);
}

std::unique_ptr<MaskedForward> cached_blocks(const step::ForwardModel& forward,
                                             int64_t trained_block,
                                             std::span<const MaskedText> texts) {
  return std::make_unique<CachedBlocks>(forward, trained_block, texts);
}

}  // namespace lmms::generate
