#pragma once
/// Where the elements of a checkpoint's tensor lie inside a parameter's memory, and which of them
/// one rank holds: the one arithmetic of segments and shards that files, optimisers and averages
/// share.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace lmms::parallel {

/// Elements [offset, offset + length) of a flat tensor.
struct Range {
  int64_t offset = 0, length = 0;

  bool operator==(const Range&) const = default;
};

/// Element (m, r, c) of a Region is element first + m * matrix + r * row + c * column of a flat
/// tensor.
struct Strides {
  int64_t first = 0, matrix = 0, row = 0, column = 1;

  bool operator==(const Strides&) const = default;
};

/// matrices x rows x columns elements of a tensor of the checkpoint: where they lie inside and in
/// that tensor. Inside, columns lie side by side (inner.column is 1), rows ascend and do not
/// overlap, and so do matrices. In the hub's tensor, which is contiguous, they may lie in any way:
/// a transposed matrix has hub.column > hub.row; rows that alternate by head have a hub.matrix
/// beyond the region's own rows.
struct Region {
  int64_t matrices = 1, rows = 1, columns = 1;
  Strides inner, hub;

  int64_t elements() const { return matrices * rows * columns; }
  /// The end of its last element inside.
  int64_t inner_end() const;
  /// Whether it is laid out inside as said above.
  bool ascends() const;
  bool operator==(const Region&) const = default;
};

/// The elements of the region that lie inside in `range`, as up to seven regions, ascending.
std::vector<Region> within(const Region& region, Range range);
/// `regions` with `elements` added to every place inside.
std::vector<Region> shifted(std::vector<Region> regions, int64_t elements);
/// The elements inside that the regions cover, ascending, neighbours joined.
std::vector<Range> inner_ranges(std::span<const Region> regions);
/// The least range of the hub's tensor that holds all of the regions; empty without regions.
Range hub_range(std::span<const Region> regions);

/// Views [matrices, rows, columns] of a region. `flat`: one-dimensional; `hub`: contiguous, from
/// element `hub_offset` of the hub's tensor on.
at::Tensor inner_view(const at::Tensor& flat, const Region& region);
at::Tensor hub_view(const at::Tensor& hub, const Region& region, int64_t hub_offset = 0);

/// The tensor that the regions make up, in its shape in the checkpoint: a view of `flat` where it
/// is one region that allows it, else a copy.
at::Tensor read(const at::Tensor& flat, std::span<const Region> regions, at::IntArrayRef hub_shape);
/// Copies the regions' elements from `flat` into `hub`, and leaves its others as they are.
void read_into(const at::Tensor& hub, const at::Tensor& flat, std::span<const Region> regions);
/// The other way: from `hub`, which begins with element `hub_offset` of the checkpoint's tensor,
/// into `flat`, rounded to its dtype.
void write(const at::Tensor& flat, std::span<const Region> regions, const at::Tensor& hub,
           int64_t hub_offset = 0);

}  // namespace lmms::parallel
