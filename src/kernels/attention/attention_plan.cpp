#include "kernels/attention/attention_plan.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>

#include "kernels/attention/attention_fused.h"
#include "kernels/attention/attention_hopper_cuda.h"
#include "kernels/on_device.h"

namespace lmms::kernels {
namespace {

// The next multiple of 32 numbers: parts are 128-byte aligned, as all that kernels read.
int64_t aligned(int64_t numbers) {
  return (numbers + 31) / 32 * 32;
}

// The segments before it that each one sees.
std::vector<std::vector<int32_t>> visible_segments(const std::vector<AttentionSegment>& segments) {
  std::vector<std::vector<int32_t>> visible(segments.size());
  std::map<int32_t, std::vector<int32_t>> lasting;  // of each group, what later ones may see
  for (size_t s = 0; s < segments.size(); ++s) {
    const AttentionSegment& segment = segments[s];
    if (segment.group < 0) continue;
    std::vector<int32_t>& before = lasting[segment.group];
    std::copy_if(before.begin(), before.end(), std::back_inserter(visible[s]),
                 [&](int32_t t) { return segments[static_cast<size_t>(t)].role <= segment.role; });
    if (segment.mode != AttentionMode::noise && segment.keys > 0)
      before.push_back(static_cast<int32_t>(s));
  }
  return visible;
}

bool is_uniform(const std::vector<AttentionSegment>& segments,
                const std::vector<std::vector<int32_t>>& visible) {
  for (size_t s = 0; s < segments.size(); ++s) {
    if (!visible[s].empty() || segments[s].queries != segments[s].keys) return false;
    if ((segments[s].mode == AttentionMode::causal) !=
        (segments.front().mode == AttentionMode::causal))
      return false;
  }
  return true;
}

// Every block of keys of every segment, the longest segments first.
std::vector<HopperBlock> blocks_of(const std::vector<int64_t>& lengths) {
  struct Segment {
    int32_t begin, length, tile;
  };
  std::vector<Segment> segments;
  int32_t begin = 0;
  for (const int64_t n : lengths) {
    const auto before = static_cast<int32_t>(segments.size());
    segments.push_back({begin, static_cast<int32_t>(n), hopper_first_tile(begin, before)});
    begin += static_cast<int32_t>(n);
  }
  std::stable_sort(segments.begin(), segments.end(),
                   [](const Segment& a, const Segment& b) { return a.length > b.length; });
  std::vector<HopperBlock> blocks;
  for (const Segment& s : segments)
    for (int32_t i = 0; i * kHopperKeys < s.length; ++i)
      blocks.push_back({s.begin, s.length, s.tile, i});
  return blocks;
}

// What the fused kernels read, and cu_seqlens as a part of it.
void lay_out(AttentionPlan& plan, int64_t tokens, const AttentionCapacity& capacity,
             at::Device device) {
  const auto S = static_cast<int64_t>(plan.lengths.size());
  TORCH_INTERNAL_ASSERT(capacity.segments >= S, S, " segments, capacity ", capacity.segments);
  TORCH_INTERNAL_ASSERT(capacity.length >= plan.max_length, "a segment of ", plan.max_length,
                        ", capacity ", capacity.length);
  plan.capacity = capacity;
  plan.lengths_begin = aligned(capacity.segments + 1);
  plan.blocks_begin = plan.lengths_begin + aligned(capacity.segments);
  plan.block_count = tokens / kHopperKeys + capacity.segments;
  std::vector<int32_t> numbers(
      static_cast<size_t>(plan.blocks_begin) +
          static_cast<size_t>(plan.block_count) * sizeof(HopperBlock) / sizeof(int32_t),
      0);
  const std::vector<HopperBlock> blocks = blocks_of(plan.lengths);
  TORCH_INTERNAL_ASSERT(std::ssize(blocks) <= plan.block_count);
  if (!blocks.empty())
    std::memcpy(numbers.data() + plan.blocks_begin, blocks.data(),
                blocks.size() * sizeof(HopperBlock));
  int32_t begin = 0;
  for (int64_t s = 0; s < capacity.segments; ++s) {
    const int64_t n = s < S ? plan.lengths[static_cast<size_t>(s)] : 0;
    numbers[static_cast<size_t>(s)] = begin;
    numbers[static_cast<size_t>(plan.lengths_begin + s)] = static_cast<int32_t>(n);
    begin += static_cast<int32_t>(n);
  }
  numbers[static_cast<size_t>(capacity.segments)] = begin;
  if (S > 0 && plan.max_length * S == tokens) plan.equal_length = plan.max_length;
  plan.padded = on_device(numbers, at::kInt, device);
  plan.cu_seqlens = plan.padded.narrow(0, 0, S + 1);
  plan.offsets = std::make_shared<AttentionOffsets>();
}

// Room beyond need costs little (kernels leave empty tiles at once: 2 % at six times as many
// segments and six times the length) and another size costs 0.1 s to build: few sizes.
AttentionCapacity usual_capacity(const std::vector<AttentionSegment>& segments) {
  AttentionCapacity capacity{16, 256};
  while (capacity.segments < std::ssize(segments)) capacity.segments *= 2;
  for (const AttentionSegment& s : segments)
    while (capacity.length < s.queries) capacity.length *= 4;
  return capacity;
}

}  // namespace

std::vector<AttentionSegment> separate_segments(const std::vector<int64_t>& lengths,
                                                AttentionMode mode) {
  std::vector<AttentionSegment> segments;
  segments.reserve(lengths.size());
  for (const int64_t n : lengths) segments.push_back({n, n, mode});
  return segments;
}

AttentionPlan attention_plan(std::vector<AttentionSegment> segments, at::Device device,
                             const AttentionCapacity& capacity) {
  AttentionPlan plan;
  plan.segments = std::move(segments);
  int64_t tokens = 0;
  std::vector<int32_t> sums{0};
  for (const AttentionSegment& s : plan.segments) {
    TORCH_INTERNAL_ASSERT(s.queries >= 0 && s.keys >= 0, "a segment of ", s.queries,
                          " queries and ", s.keys, " keys");
    TORCH_INTERNAL_ASSERT(s.mode != AttentionMode::causal || s.keys >= s.queries,
                          "a causal segment of ", s.queries, " queries has only ", s.keys, " keys");
    plan.lengths.push_back(s.queries);
    plan.max_length = std::max(plan.max_length, s.queries);
    tokens += s.queries;
    sums.push_back(static_cast<int32_t>(tokens));
  }
  plan.visible = visible_segments(plan.segments);
  plan.uniform = is_uniform(plan.segments, plan.visible);
  if (plan.uniform) {
    plan.causal = plan.segments.empty() || plan.segments.front().mode == AttentionMode::causal;
    plan.visible.clear();
    lay_out(plan, tokens, capacity, device);
  } else {
    plan.cu_seqlens = on_device(sums, at::kInt, device);
  }
  return plan;
}

AttentionPlan attention_plan(std::vector<AttentionSegment> segments, at::Device device) {
  const AttentionCapacity capacity = usual_capacity(segments);
  return attention_plan(std::move(segments), device, capacity);
}

AttentionPlan attention_plan(const std::vector<int64_t>& lengths, at::Device device,
                             AttentionMode mode) {
  return attention_plan(separate_segments(lengths, mode), device);
}

}  // namespace lmms::kernels
