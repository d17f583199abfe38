#pragma once
/// Which tokens see which: a list of segments, sorted once on the host into what kernels read.
/// Never a dense [T, T] mask.
///
/// Queries and keys are rows of segments, one segment after another: T queries and K keys in all.
/// Query i of segment s sees key j of segment t (i, j counted from the beginning of their segments)
/// iff
///   t == s  and mode(s) is full or noise, or is causal and j - keys(s) <= i - queries(s): the last
///           query sees the last key, so that queries may follow keys that are older (a causal
///           segment has at least as many keys as queries); or
///   t < s   and group(t) == group(s) >= 0, role(t) <= role(s) and mode(t) is not noise.
/// A window w narrows this for queries of causal segments: of the keys that one sees, in the order
/// of the rows, it sees the last w alone. A query that sees no key gives 0 (a full segment without
/// keys).
///
/// So a sample of a text is one causal segment and an image one full segment. A sample of text,
/// images and noised images is a group of causal, full and noise segments (Deng et al. 2025,
/// "BAGEL", section 2: splits of those three modes). Roles keep conditions from what they
/// condition: a segment of role 0 never sees one of role 1.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "core/attention_mode.h"

namespace lmms::kernels {

/// Tokens that stand together in a row of queries and in a row of keys.
struct AttentionSegment {
  int64_t queries = 0, keys = 0;
  AttentionMode mode = AttentionMode::causal;
  int32_t group = -1;  ///< segments of one group may see each other; below 0: sees itself alone
  int32_t role = 0;

  bool operator==(const AttentionSegment&) const = default;
};

/// Segments of these lengths, queries as many as keys, that see themselves alone.
std::vector<AttentionSegment> separate_segments(const std::vector<int64_t>& lengths,
                                                AttentionMode mode = AttentionMode::causal);

/// What compiled kernels are sized for: the true numbers may be any that are not larger.
struct AttentionCapacity {
  int64_t segments = 0;
  int64_t length = 0;  ///< of the longest segment
};

struct AttentionOffsets;

struct AttentionPlan {
  std::vector<AttentionSegment> segments;  ///< [S]
  std::vector<int64_t> lengths;            ///< [S] queries of each; together T
  at::Tensor cu_seqlens;                   ///< [S + 1] int32 on the device: prefix sums of lengths
  int64_t max_length = 0;
  int64_t equal_length = 0;  ///< of every segment; 0 if they differ
  /// Every segment sees itself alone, all in one mode, with as many keys as queries: what the fused
  /// kernels take. `causal` is that mode: without others to see it, noise is full.
  bool uniform = true, causal = true;
  /// [S] unless uniform: the segments before it that each one sees, ascending.
  std::vector<std::vector<int32_t>> visible;

  // For the fused kernels; undefined unless uniform.
  AttentionCapacity capacity;
  /// int32 on the device, each part at a multiple of 32: where each of capacity.segments segments
  /// begins and at last T; from lengths_begin on their lengths; from blocks_begin on their blocks
  /// of keys (HopperBlock), the longest segments first. Segments beyond S are empty.
  at::Tensor padded;
  int64_t lengths_begin = 0, blocks_begin = 0;
  int64_t block_count = 0;                    ///< room for blocks: T / 128 + capacity.segments
  std::shared_ptr<AttentionOffsets> offsets;  ///< made at need, once for all layers of a batch
};

/// The plan of these segments: one asynchronous copy from pinned memory.
AttentionPlan attention_plan(std::vector<AttentionSegment> segments, at::Device device);
/// The same with a capacity of one's own, at least what the segments need.
AttentionPlan attention_plan(std::vector<AttentionSegment> segments, at::Device device,
                             const AttentionCapacity& capacity);
/// Of separate_segments.
AttentionPlan attention_plan(const std::vector<int64_t>& lengths, at::Device device,
                             AttentionMode mode = AttentionMode::causal);

}  // namespace lmms::kernels
