#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "kernels/attention/attention_plan.h"
#include "kernels/op_cases.h"

namespace lmms::kernels::testing {

/// Kernels of the fused core that take a case on a GPU, beside the uses of CaseUse.
inline constexpr unsigned kByFlash2 = 16, kByCudnn = 32, kByCudnnDense = 64, kByHopper = 128,
                          kByShort = 256;
inline constexpr unsigned kByRagged = kByFlash2 | kByCudnn;

struct AttentionCase {
  std::string name;  ///< one for each use; the numbers of a test depend on it
  std::vector<AttentionSegment> segments;
  int64_t heads, kv_heads, head_dim;
  unsigned use;
  int64_t window = 0;
  bool strided = false;  ///< q, k, v parts of one buffer, and the gradients of another

  int64_t queries() const {
    int64_t n = 0;
    for (const AttentionSegment& s : segments) n += s.queries;
    return n;
  }
  int64_t keys() const {
    int64_t n = 0;
    for (const AttentionSegment& s : segments) n += s.keys;
    return n;
  }
};
inline void PrintTo(const AttentionCase& c, std::ostream* out) {
  *out << c.name;
}

namespace attention_cases_detail {

constexpr AttentionMode kCausal = AttentionMode::causal, kFull = AttentionMode::full,
                        kNoise = AttentionMode::noise;
using Segments = std::vector<AttentionSegment>;

inline Segments causal(const std::vector<int64_t>& lengths) {
  return separate_segments(lengths);
}
inline Segments full(const std::vector<int64_t>& lengths) {
  return separate_segments(lengths, kFull);
}
inline std::vector<int64_t> many(int64_t count) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < count; ++i) lengths.push_back(1 + i * 37 % 90);
  return lengths;
}
inline std::vector<int64_t> same(int64_t count, int64_t length) {
  return std::vector<int64_t>(static_cast<size_t>(count), length);
}

/// Small ones, held against dense attention with a mask.
inline std::vector<AttentionCase> on_the_cpu() {
  const Segments splits = {
      {9, 9, kCausal, 0}, {6, 6, kNoise, 0}, {6, 6, kFull, 0}, {5, 5, kCausal, 0}};
  return {
      {"causal_token", causal({1}), 1, 1, 2, kOnCpu},
      {"causal_one", causal({5}), 2, 2, 8, kOnCpu},
      {"causal_three", causal({3, 1, 9}), 4, 2, 16, kOnCpu},
      {"causal_long", causal({33, 64, 7}), 6, 1, 32, kOnCpu},
      {"window_of_one", causal({5}), 2, 1, 8, kOnCpu, 1},
      {"window_of_four", causal({3, 1, 9, 4}), 4, 2, 16, kOnCpu, 4},
      {"window_of_16", causal({50, 17}), 2, 2, 8, kOnCpu, 16},
      {"window_beyond", causal({8, 8}), 2, 1, 8, kOnCpu, 100},
      {"full_token", full({1}), 1, 1, 2, kOnCpu},
      {"noise_alone", separate_segments({5}, kNoise), 2, 2, 8, kOnCpu},
      {"full_runs", full({4, 4, 4, 2, 2, 4}), 2, 2, 12, kOnCpu},
      {"full_grouped", full({3, 1, 9, 9}), 4, 2, 16, kOnCpu},
      {"full_long", full({64, 64, 7}), 4, 4, 80, kOnCpu},
      // modes beside each other, each alone; an empty one
      {"modes",
       {{3, 3, kCausal}, {4, 4, kFull}, {0, 0, kNoise}, {1, 1, kCausal}},
       4,
       2,
       16,
       kOnCpu},
      {"full_then_causal", {{7, 7, kFull, 0}, {5, 5, kCausal, 0}}, 2, 2, 8, kOnCpu},
      {"tokens", {{1, 1, kNoise, 0}, {1, 1, kCausal, 0}, {1, 1, kFull, 0}}, 2, 1, 8, kOnCpu},
      {"splits", splits, 6, 2, 24, kOnCpu},
      {"splits_window", splits, 6, 2, 24, kOnCpu, 4},
      {"masks_in_blocks", {{1030, 1030, kCausal, 0}, {3, 3, kCausal, 0}}, 1, 1, 4, kOnCpu},
      // two groups in turn and a pad that belongs to none; roles
      {"groups",
       {{4, 4, kCausal, 0},
        {3, 3, kFull, 7},
        {5, 5, kCausal, 0},
        {2, 2, kCausal, 7},
        {3, 3, kCausal}},
       4,
       2,
       16,
       kOnCpu},
      {"roles",
       {{4, 4, kCausal, 0, 1},
        {3, 3, kFull, 0, 0},
        {5, 5, kCausal, 0, 1},
        {2, 2, kNoise, 0, 2},
        {2, 2, kCausal, 0, 0}},
       2,
       2,
       8,
       kOnCpu},
      // queries behind older keys, over the keys of others, and without any
      {"older_keys", {{3, 8, kCausal}, {1, 5, kCausal}, {4, 4, kCausal}}, 4, 2, 16, kOnCpu},
      {"older_keys_window", {{3, 8, kCausal}, {2, 9, kCausal}}, 2, 1, 8, kOnCpu, 4},
      {"keys_of_others", {{0, 6, kFull, 0}, {5, 0, kFull, 0}, {2, 3, kFull}}, 2, 2, 8, kOnCpu},
      {"no_keys", {{5, 0, kFull, 0}, {3, 2, kFull}}, 2, 2, 8, kOnCpu},
  };
}

/// In bf16, held against fp32 on the same device. kOnGpu: by whatever attention() takes.
inline std::vector<AttentionCase> on_a_gpu() {
  const Segments splits = {{33, 33, kCausal, 0},
                           {65, 65, kFull, 0},
                           {65, 65, kNoise, 0},
                           {130, 130, kCausal, 0},
                           {3, 40, kCausal}};
  return {
      {"one_token", causal({1}), 2, 1, 64, kByRagged},
      {"odd_lengths", causal({33, 1, 130, 64, 7}), 4, 2, 128, kByRagged | kOnGpu},
      {"empty_segments", causal({0, 33, 0, 0, 95, 0}), 4, 2, 128, kByRagged | kByHopper},
      {"one_long", causal({3001}), 4, 4, 128, kByRagged | kByHopper},
      {"two_hundred", causal(many(200)), 6, 2, 64, kByRagged},
      {"window", causal({33, 1, 530, 64}), 4, 2, 128, kByRagged | kByHopper | kOnGpu, 16},
      {"window_of_two", causal({33, 1, 130}), 4, 2, 64, kByRagged, 2},
      {"window_beyond_all", causal({33, 1, 130}), 4, 2, 64, kByRagged, 4000},
      {"strided", causal({33, 1, 130, 64}), 4, 2, 128, kByRagged | kByHopper, 0, true},
      {"strided_full", full({64, 64, 16, 1, 130}), 4, 4, 80, kByRagged, 0, true},
      {"windows_of_patches", full(same(37, 64)), 4, 4, 80, kByRagged | kOnGpu},
      {"siglip", full({729, 729}), 4, 4, 72, kByRagged | kOnGpu},
      {"wide_heads", causal({200, 57}), 4, 2, 256, kByRagged},
      {"wide_heads_full", full({200, 57}), 2, 2, 256, kByRagged},

      {"one_token", causal({1}), 2, 1, 128, kByHopper},
      {"around_tiles", causal({33, 1, 130, 64, 7, 63, 65, 127, 128, 129}), 4, 2, 128, kByHopper},
      {"long_and_short", causal({700, 33, 1, 1290}), 8, 1, 128, kByHopper},
      {"two_hundred_of_128", causal(many(200)), 6, 2, 128, kByHopper},
      {"wide_window", causal({33, 1, 930, 64}), 4, 2, 128, kByHopper, 300},
      {"window_beyond_all_of_128", causal({33, 1, 130}), 4, 2, 128, kByHopper, 4000},
      {"full", full({64, 64, 16, 1, 130, 417}), 4, 2, 128, kByHopper},
      {"heads_of_72", full({729, 729, 100}), 4, 4, 72, kByHopper},
      {"rows_of_256", full(same(5, 256)), 4, 4, 72, kByHopper},
      {"rows_up_to_256", full({129, 256, 200, 193, 255}), 3, 3, 80, kByHopper, 0, true},
      {"heads_of_80", full({64, 64, 16, 1, 130, 417}), 4, 4, 80, kByHopper, 0, true},
      {"heads_of_80_causal", causal({33, 1, 530, 64}), 4, 2, 80, kByHopper, 100},
      {"heads_of_96", causal({33, 1, 530, 64}), 4, 2, 96, kByHopper},

      {"one_token", causal({1}), 2, 2, 64, kByShort},
      {"short_windows", full(same(37, 64)), 4, 4, 80, kByShort, 0, true},
      {"short_odd", full({33, 1, 64, 7, 0, 63, 16, 17}), 3, 3, 72, kByShort},
      {"short_causal", causal({33, 1, 64, 7, 0, 63, 16, 17}), 4, 4, 128, kByShort, 0, true},
      {"short_window", causal({33, 1, 64, 7}), 2, 2, 64, kByShort, 5},
      {"short_narrow", full({33, 64}), 2, 2, 16, kByShort},
      {"short_wide", full({33, 64}), 2, 2, 104, kByShort},

      {"equal_one", causal({1024}), 4, 2, 128, kByCudnnDense},
      {"equal_windowed", causal(same(3, 512)), 4, 2, 64, kByCudnnDense, 100},
      {"equal_full", full(same(5, 256)), 4, 4, 80, kByCudnnDense, 0, true},
      {"equal_strided", causal(same(2, 768)), 6, 2, 128, kByCudnnDense, 0, true},

      {"splits", splits, 4, 2, 64, kOnGpu},
      {"splits_window", splits, 4, 2, 64, kOnGpu, 16},
  };
}

/// Samples of chats: lognormal lengths, median 1.2k, sigma 0.9, at most 12k.
inline std::vector<int64_t> chats(int64_t tokens, uint32_t seed) {
  std::mt19937 random(seed);
  std::lognormal_distribution<double> length(std::log(1200.0), 0.9);
  std::vector<int64_t> out;
  while (tokens > 0) {
    const auto n = static_cast<int64_t>(length(random));
    out.push_back(std::min(tokens, std::clamp<int64_t>(n, 1, 12000)));
    tokens -= out.back();
  }
  return out;
}

inline std::vector<AttentionCase> timed() {
  constexpr unsigned kRagged = kTimed | kByRagged, kWithHopper = kRagged | kByHopper,
                     kEqual = kWithHopper | kByCudnnDense;
  return {
      {"0.6B 32k chats", causal(chats(32768, 7)), 16, 8, 128, kWithHopper},
      {"0.6B window 1k", causal(chats(32768, 7)), 16, 8, 128, kWithHopper, 1024},
      {"8B 16k chats", causal(chats(16384, 3)), 32, 8, 128, kWithHopper},
      {"8B 1 x 16k", causal({16384}), 32, 8, 128, kEqual},
      {"8B 32 x 512", causal(same(32, 512)), 32, 8, 128, kEqual},
      {"8B 128 x 128", causal(same(128, 128)), 32, 8, 128, kEqual},
      {"8B 256 x 64", causal(same(256, 64)), 32, 8, 128, kEqual},
      {"ViT 800 x 64", full(same(800, 64)), 16, 16, 80, kEqual | kByShort},
      {"ViT 400 x 128", full(same(400, 128)), 16, 16, 80, kEqual},
      {"ViT 200 x 256", full(same(200, 256)), 16, 16, 80, kEqual},
      {"ViT 10 x 5.3k", full(same(10, 5300)), 16, 16, 80, kEqual},
      {"SigLIP 32 x 729", full(same(32, 729)), 16, 16, 72, kEqual},
      {"SiT 64 x 256", full(same(64, 256)), 16, 16, 72, kEqual},
      {"SiT 256 x 256", full(same(256, 256)), 16, 16, 72, kEqual},
      {"0.6B 32k full", full(chats(32768, 7)), 16, 8, 128, kWithHopper},
      {"D=64 16k chats", causal(chats(16384, 5)), 14, 2, 64, kWithHopper},
      {"D=96 16k chats", causal(chats(16384, 5)), 16, 4, 96, kWithHopper},
      {"D=256 16k chats", causal(chats(16384, 5)), 8, 2, 256, kRagged},
  };
}

}  // namespace attention_cases_detail

/// Those that serve this use; timed ones for kTimed alone.
inline std::vector<AttentionCase> attention_cases(unsigned use) {
  if (use == kTimed) return attention_cases_detail::timed();
  std::vector<AttentionCase> out;
  for (const auto& list :
       {attention_cases_detail::on_the_cpu(), attention_cases_detail::on_a_gpu()}) {
    for (const AttentionCase& c : list)
      if ((c.use & use) != 0) out.push_back(c);
  }
  return out;
}

}  // namespace lmms::kernels::testing
