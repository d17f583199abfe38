#include "objectives/masked_diffusion_drawing.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/format.h"

namespace lmms::objectives {
namespace {

using data::kIgnore;
using data::Sample;
using data::TextPart;

/// The weight of each token as a target, 0: it is none. The target of a position is the token
/// behind it; the first token of a text all of which is trained is one too.
std::vector<float> weights_of_targets(const TextPart& text) {
  const size_t n = text.input_ids.size();
  std::vector<float> out(n, 0.0f);
  for (size_t t = 0; t < n; ++t) {
    const size_t at = t == 0 ? 0 : t - 1;
    if (at >= text.labels.size() || text.labels[at] == kIgnore) continue;
    out[t] = text.weights.empty() ? 1.0f : text.weights[at];
  }
  return out;
}

/// The axes of positions that a sample states: 0, 1 or 3.
size_t axes_of(const TextPart& text) {
  return text.input_ids.empty() ? 0 : text.position_ids.size() / text.input_ids.size();
}

class MaskedDrawing final : public data::Drawing {
 public:
  explicit MaskedDrawing(MaskedDrawingSettings settings) : s_(std::move(settings)) {}

  std::string name() const override {
    const MaskedDiffusionConfig& c = s_.config;
    return fmt::format(
        "masked_diffusion mask_token={} t={}..{} masked_tokens={} mask_special_tokens={} "
        "block_length={} pad_answers={} shifted={}",
        s_.mask_token, c.t_min, c.t_max, c.masked_tokens == MaskedTokens::all ? "all" : "targets",
        c.mask_special_tokens, c.block_length, c.pad_answers, s_.shifted);
  }

  bool lays_out() const override { return true; }

  void lay_out(Sample& sample) const override {
    if (s_.config.pad_answers > 0) fill_answer(sample);
    const std::vector<float> maskable = maskable_weights(sample);
    if (s_.config.block_length > 0) {
      lay_out_blocks(sample, maskable);
    } else {
      const auto n = static_cast<int32_t>(sample.length());
      set_targets(sample.text, maskable);
      sample.segments = {{.length = n, .mode = AttentionMode::full}};
    }
  }

  void draw(Sample& sample, const data::DrawKey& key) const override {
    const MaskedDiffusionConfig& c = s_.config;
    std::vector<float>& times = sample.extras[kTime];
    double maskable = 0, masked = 0;
    int64_t begin = 0;
    for (const data::SampleSegment& segment : sample.segments) {
      const int64_t end = begin + segment.length;
      if (c.block_length == 0 || segment.mode == AttentionMode::noise) {
        const double u = key.uniform(rng::Purpose::time, static_cast<int64_t>(times.size()));
        const double t = c.t_min + (c.t_max - c.t_min) * u;
        times.push_back(static_cast<float>(t));
        for (int64_t q = begin; q < end; ++q) {
          const int64_t at = s_.shifted ? q - 1 : q;  // where its target stands
          if (at < 0 || sample.text.labels[static_cast<size_t>(at)] == kIgnore) continue;
          const bool is_masked = key.uniform(rng::Purpose::corruption, q) <= t;
          maskable += 1;
          masked += is_masked;
          mask(sample.text, static_cast<size_t>(q), static_cast<size_t>(at), is_masked, t);
        }
      }
      begin = end;
    }
    sample.counts[kMaskable] += maskable;
    sample.counts[kMasked] += masked;
  }

 private:
  void mask(TextPart& text, size_t q, size_t at, bool is_masked, double t) const {
    if (is_masked) {
      text.input_ids[q] = s_.mask_token;
      text.weights[at] = static_cast<float>(static_cast<double>(text.weights[at]) / t);
    } else {
      text.labels[at] = kIgnore;
      text.weights[at] = 0;
    }
  }

  bool is_special(int32_t id) const {
    return std::binary_search(s_.special_tokens.begin(), s_.special_tokens.end(), id);
  }

  /// The weight of each token that may be masked, 0: it may not.
  std::vector<float> maskable_weights(const Sample& sample) const {
    const std::vector<int32_t>& ids = sample.text.input_ids;
    const std::vector<float> targets = weights_of_targets(sample.text);
    std::vector<float> out = targets;
    if (s_.config.masked_tokens == MaskedTokens::all)
      for (float& weight : out) weight = weight != 0 ? weight : 1.0f;
    // a special token of an answer is not masked, but for those that end it
    bool ends = true;
    for (size_t t = ids.size(); t-- > 0;) {
      const bool run_ends = t + 1 == ids.size() || targets[t + 1] == 0;
      ends = targets[t] != 0 && is_special(ids[t]) &&
             (run_ends || (ends && ids[t] == ids[t + 1]) || ids[t] == s_.end_token);
      const bool held_back = is_special(ids[t]) && !ends && !s_.config.mask_special_tokens;
      if (held_back || ids[t] == s_.mask_token) out[t] = 0;
    }
    for (const data::MediaPart& part : sample.media)
      for (const int32_t t : part.tokens) out[static_cast<size_t>(t)] = 0;
    if (s_.shifted && !out.empty()) out[0] = 0;
    return out;
  }

  /// Labels and weights of `text` become those of its own tokens, where they may be masked.
  void set_targets(TextPart& text, const std::vector<float>& maskable) const {
    const size_t n = text.input_ids.size();
    text.labels.assign(n, kIgnore);
    text.weights.assign(n, 0.0f);
    for (size_t t = 0; t < n; ++t) {
      if (maskable[t] == 0) continue;
      const size_t at = s_.shifted ? t - 1 : t;
      text.labels[at] = text.input_ids[t];
      text.weights[at] = maskable[t];
    }
  }

  /// Fills the last answer with its end, if it has one, and leaves out what stands behind it.
  void fill_answer(Sample& sample) const {
    TextPart& text = sample.text;
    const std::vector<float> targets = weights_of_targets(text);
    size_t end = targets.size();  // behind the last answer
    while (end > 0 && targets[end - 1] == 0) --end;
    if (end == 0 || !is_special(text.input_ids[end - 1])) return;
    if (end == text.labels.size() && text.labels[end - 1] != kIgnore) return;  // it was cut
    for (const data::MediaPart& part : sample.media)
      if (!part.tokens.empty() && part.tokens.back() >= static_cast<int32_t>(end)) return;
    size_t begin = end;  // of the answer
    while (begin > 0 && targets[begin - 1] != 0) --begin;
    const auto multiple = static_cast<size_t>(s_.config.pad_answers);
    // blocks are counted from the sample's first token
    const size_t length = s_.config.block_length > 0 ? end : end - begin;
    resize_text(text, end, end + (multiple - length % multiple) % multiple);
  }

  /// Cuts a text to `kept` tokens and fills it up to `n` with the last of them.
  static void resize_text(TextPart& text, size_t kept, size_t n) {
    const size_t axes = axes_of(text), before = text.input_ids.size();
    std::vector<int32_t> positions;
    for (size_t axis = 0; axis < axes; ++axis) {
      const int32_t* from = text.position_ids.data() + axis * before;
      positions.insert(positions.end(), from, from + kept);
      for (size_t t = kept; t < n; ++t) positions.push_back(positions.back() + 1);
    }
    text.position_ids = std::move(positions);
    const int32_t last = text.input_ids[kept - 1];
    text.input_ids.resize(kept);
    text.input_ids.resize(n, last);
    const float weight = text.weights.empty() || kept < 2 ? 1.0f : text.weights[kept - 2];
    text.labels.resize(kept, kIgnore);
    text.labels.back() = n > kept ? last : kIgnore;
    text.labels.resize(n, last);
    text.labels.back() = kIgnore;
    if (text.weights.empty()) return;
    text.weights.resize(kept);
    text.weights.back() = weight;
    text.weights.resize(n, weight);
  }

  void lay_out_blocks(Sample& sample, const std::vector<float>& maskable) const {
    if (!sample.media.empty()) {
      throw Error(sample.origin.text(),
                  "it holds images or other media, which block diffusion does not train",
                  "leave masked_diffusion.block_length out, or train on texts");
    }
    const size_t n = maskable.size();
    const auto length = static_cast<size_t>(s_.config.block_length);
    size_t trained = n;  // behind the last token to mask
    while (trained > 0 && maskable[trained - 1] == 0) --trained;
    const size_t blocks = (trained + length - 1) / length;  // those behind are seen by nothing
    Sample out = sample;
    out.text = {};
    out.segments.clear();
    std::vector<float> weights;
    const size_t axes = axes_of(sample.text);
    std::vector<std::vector<int32_t>> positions(std::max<size_t>(axes, 1));
    const auto append = [&](size_t begin, size_t end, AttentionMode mode) {
      for (size_t t = begin; t < end; ++t) {
        out.text.input_ids.push_back(sample.text.input_ids[t]);
        weights.push_back(mode == AttentionMode::noise ? maskable[t] : 0.0f);
        for (size_t axis = 0; axis < positions.size(); ++axis) {
          positions[axis].push_back(axes == 0 ? static_cast<int32_t>(t)
                                              : sample.text.position_ids[axis * n + t]);
        }
      }
      out.segments.push_back({.length = static_cast<int32_t>(end - begin), .mode = mode});
    };
    for (size_t b = 0; b < blocks; ++b) {
      const size_t begin = b * length, end = std::min(n, begin + length);
      const auto may_be_masked = [](float weight) { return weight != 0; };
      if (std::any_of(maskable.begin() + static_cast<std::ptrdiff_t>(begin),
                      maskable.begin() + static_cast<std::ptrdiff_t>(end), may_be_masked))
        append(begin, end, AttentionMode::noise);
      if (b + 1 < blocks) append(begin, end, AttentionMode::full);
    }
    for (const std::vector<int32_t>& axis : positions)
      out.text.position_ids.insert(out.text.position_ids.end(), axis.begin(), axis.end());
    set_targets(out.text, weights);
    if (blocks > 0)
      sample = std::move(out);
    else
      set_targets(sample.text, maskable);
  }

  MaskedDrawingSettings s_;
};

}  // namespace

std::shared_ptr<const data::Drawing> masked_diffusion_drawing(MaskedDrawingSettings settings) {
  return std::make_shared<MaskedDrawing>(std::move(settings));
}

}  // namespace lmms::objectives
