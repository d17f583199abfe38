#include "report/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lmms::report {
namespace {

using testing::ElementsAre;
using testing::IsNan;

TEST(Table, keeps_columns_as_long_as_its_steps) {
  Table table;
  table.add(1, {{"loss", 3}});
  table.add(2, {{"norm", 1}});
  table.add(5, {{"loss", 2}, {"norm", std::numeric_limits<double>::infinity()}});
  EXPECT_THAT(table.steps(), ElementsAre(1, 2, 5));
  EXPECT_THAT(table.column("loss"), ElementsAre(3, IsNan(), 2));
  EXPECT_THAT(table.column("norm"), ElementsAre(IsNan(), 1, IsNan()));
  EXPECT_THAT(table.column("none"), ElementsAre());
  EXPECT_THAT(table.names(), ElementsAre("loss", "norm"));
  EXPECT_EQ(table.last("norm"), 1);
  EXPECT_THAT(table.last("none"), IsNan());
}

TEST(Table, a_step_that_comes_again_takes_the_place_of_what_was_there) {
  Table table;
  for (int step = 1; step <= 5; ++step) table.add(step, {{"loss", step}});
  table.add(3, {{"loss", 30}});
  EXPECT_THAT(table.steps(), ElementsAre(1, 2, 3));
  EXPECT_THAT(table.column("loss"), ElementsAre(1, 2, 30));
  EXPECT_EQ(table.rows(), 3u);
  table.add(-1, {{"loss", 7}});
  EXPECT_THAT(table.steps(), ElementsAre(-1));
}

TEST(Table, averages_neighbours_above_its_size) {
  Table table(4);
  for (int step = 1; step <= 11; ++step) table.add(step, {{"loss", step}});
  EXPECT_EQ(table.rows(), 11u);
  EXPECT_EQ(table.rows_per_point(), 4u);
  EXPECT_THAT(table.steps(), ElementsAre(4, 8, 11));
  EXPECT_THAT(table.column("loss"), ElementsAre(2.5, 6.5, 10));
}

TEST(Table, averages_the_numbers_that_are_there) {
  Table table(2);
  table.add(1, {{"a", 1}});
  table.add(2, {{"b", 8}});
  table.add(3, {{"a", 5}, {"b", 1}});
  table.add(4, {{"b", 3}});
  EXPECT_THAT(table.steps(), ElementsAre(2, 4));
  EXPECT_THAT(table.column("a"), ElementsAre(1, 5));
  EXPECT_THAT(table.column("b"), ElementsAre(8, 2));
}

TEST(Table, bounds_the_number_of_columns) {
  Table table;
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "c" + std::to_string(i);
    table.add(i, {{name, 1}});
  }
  EXPECT_EQ(table.names().size(), 64u);
}

}  // namespace
}  // namespace lmms::report
