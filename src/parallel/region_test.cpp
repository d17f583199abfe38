#include "parallel/region.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/count_nonzero.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace lmms::parallel {
namespace {

// Elements inside and in the hub's tensor, in the order of the region.
std::vector<std::pair<int64_t, int64_t>> places(const Region& r) {
  std::vector<std::pair<int64_t, int64_t>> out;
  const auto place = [](const Strides& s, int64_t m, int64_t row, int64_t column) {
    return s.first + m * s.matrix + row * s.row + column * s.column;
  };
  for (int64_t m = 0; m < r.matrices; ++m) {
    for (int64_t row = 0; row < r.rows; ++row) {
      for (int64_t column = 0; column < r.columns; ++column)
        out.emplace_back(place(r.inner, m, row, column), place(r.hub, m, row, column));
    }
  }
  return out;
}

struct RegionCase {
  const char* name;
  Region region;
};

const RegionCase kRegions[] = {
    {"plain", {1, 5, 7, {3, 0, 7}, {0, 0, 7}}},
    {"vector", {1, 1, 11, {4, 0, 11}, {0, 0, 11}}},
    {"padded", {1, 5, 7, {3, 0, 9}, {0, 0, 7}}},
    {"transposed", {1, 5, 7, {0, 0, 7}, {0, 0, 1, 5}}},
    {"experts", {3, 4, 5, {2, 24, 6}, {0, 20, 1, 4}}},
    {"interleaved", {3, 2, 5, {10, 10, 5}, {5, 25, 5}}},
};

class Regions : public testing::TestWithParam<RegionCase> {};

TEST_P(Regions, cut_at_any_two_places_keep_each_element_once_and_in_its_place) {
  const Region& r = GetParam().region;
  const auto all = places(r);
  for (int64_t begin = 0; begin <= r.inner_end() + 1; ++begin) {
    for (int64_t end = begin; end <= r.inner_end() + 2; ++end) {
      std::vector<std::pair<int64_t, int64_t>> expected, found;
      std::copy_if(all.begin(), all.end(), std::back_inserter(expected),
                   [&](const auto& p) { return p.first >= begin && p.first < end; });
      const std::vector<Region> cut = within(r, {begin, end - begin});
      EXPECT_LE(cut.size(), 7u);
      for (const Region& part : cut) {
        const auto some = places(part);
        found.insert(found.end(), some.begin(), some.end());
      }
      ASSERT_EQ(found, expected) << begin << " to " << end;
    }
  }
}

TEST_P(Regions, have_ranges_that_join_neighbours) {
  const Region& r = GetParam().region;
  std::vector<int64_t> expected, found;
  for (const auto& place : places(r)) expected.push_back(place.first);
  std::sort(expected.begin(), expected.end());
  int64_t end = -1;
  for (const Range& range : inner_ranges(std::span(&r, 1))) {
    EXPECT_GT(range.offset, end);  // else it was the neighbour's
    end = range.offset + range.length;
    for (int64_t i = range.offset; i < end; ++i) found.push_back(i);
  }
  EXPECT_EQ(found, expected);
}

TEST_P(Regions, move_numbers_there_and_back) {
  const Region& r = GetParam().region;
  const Range of_hub = hub_range(std::span(&r, 1));
  const at::Tensor hub = at::arange(of_hub.offset + of_hub.length, at::kFloat) + 1;
  const at::Tensor flat = at::zeros({r.inner_end() + 3});
  write(flat, std::span(&r, 1), hub.narrow(0, of_hub.offset, of_hub.length), of_hub.offset);
  const auto all = places(r);
  EXPECT_EQ(at::count_nonzero(flat).item<int64_t>(), static_cast<int64_t>(all.size()));
  for (const auto& [inner, outer] : all)
    ASSERT_EQ(flat[inner].item<float>(), hub[outer].item<float>());
  const at::Tensor back = at::zeros_like(hub);
  read_into(back, flat, std::span(&r, 1));
  for (const auto& [inner, outer] : all)
    ASSERT_EQ(back[outer].item<float>(), hub[outer].item<float>());
  EXPECT_EQ(at::count_nonzero(back).item<int64_t>(), static_cast<int64_t>(all.size()));
}

INSTANTIATE_TEST_SUITE_P(Cases, Regions, testing::ValuesIn(kRegions),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Region, in_one_piece_is_read_without_a_copy) {
  const at::Tensor flat = at::arange(120, at::kFloat);
  const Region plain{1, 5, 7, {3, 0, 7}, {0, 0, 7}}, experts{3, 4, 5, {2, 24, 6}, {0, 20, 1, 4}};
  const at::Tensor a = read(flat, std::span(&plain, 1), {5, 7});
  EXPECT_TRUE(a.is_alias_of(flat));
  EXPECT_EQ(a[2][1].item<float>(), 3 + 2 * 7 + 1);
  const at::Tensor b = read(flat, std::span(&experts, 1), {3, 5, 4});
  EXPECT_TRUE(b.is_alias_of(flat));
  EXPECT_EQ(b[2][1][3].item<float>(), 2 + 2 * 24 + 3 * 6 + 1);
}

TEST(Region, of_many_dimensions_is_read_in_its_shape) {
  const at::Tensor flat = at::arange(200, at::kFloat);
  const Region kernel{1, 3, 24, {8, 0, 24}, {0, 0, 24}};
  const at::Tensor t = read(flat, std::span(&kernel, 1), {3, 2, 3, 4});
  EXPECT_TRUE(t.equal(flat.narrow(0, 8, 72).view({3, 2, 3, 4})));
}

TEST(Region, of_several_pieces_is_put_together) {
  const at::Tensor flat = at::arange(60, at::kFloat);
  // rows 0, 2, 4 of the hub's tensor stand apart from rows 1, 3, 5
  const std::vector<Region> cut{{3, 1, 5, {30, 5, 5}, {0, 10, 5}},
                                {3, 1, 5, {0, 5, 5}, {5, 10, 5}}};
  const at::Tensor t = read(flat, cut, {6, 5});
  for (int64_t row = 0; row < 6; ++row)
    EXPECT_EQ(t[row][0].item<float>(), (row % 2 == 0 ? 30 : 0) + row / 2 * 5) << row;
}

}  // namespace
}  // namespace lmms::parallel
