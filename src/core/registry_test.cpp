#include "core/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace lmms {
namespace {

using testing::HasSubstr;

int twice(int x) {
  return 2 * x;
}
int thrice(int x) {
  return 3 * x;
}

using Functions = Registry<int (*)(int)>;

Functions functions() {
  Functions out("function");
  out.add("twice", "x + x", twice);
  out.add("thrice", "x + x + x", thrice, "/opt/more.so");
  return out;
}

std::string message(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Registry, finds_what_a_name_stands_for) {
  const Functions registry = functions();
  EXPECT_EQ(registry.at("twice", "a.yaml:1")(4), 8);
  ASSERT_NE(registry.find("thrice"), nullptr);
  EXPECT_EQ((*registry.find("thrice"))(4), 12);
  EXPECT_EQ(registry.find("Twice"), nullptr);
}

TEST(Registry, an_unknown_name_is_an_error_with_the_nearest_one) {
  const Functions registry = functions();
  EXPECT_EQ(message([&] { registry.at("twise", "a.yaml:3:5: f"); }),
            "a.yaml:3:5: f: unknown function 'twise'; did you mean 'twice'?\n"
            "    fix: expected one of twice, thrice");
  EXPECT_THAT(message([&] { registry.at("quadruple", "a.yaml"); }),
              HasSubstr("unknown function 'quadruple'\n"));
}

TEST(Registry, a_name_is_taken_once_and_the_error_names_both_origins) {
  Functions registry = functions();
  const std::string text = message([&] { registry.add("thrice", "", twice, "plugins/mine.so"); });
  EXPECT_THAT(text, HasSubstr("plugins/mine.so: function 'thrice' is registered already, by: "
                              "/opt/more.so"));
  EXPECT_THAT(message([&] { registry.add("twice", "", twice, "plugins/mine.so"); }),
              HasSubstr("by: built in"));
  EXPECT_THAT(message([&] { registry.add("", "", twice); }), HasSubstr("without a name"));
  EXPECT_EQ(registry.entries().size(), 2u);
}

TEST(Registry, lists_in_the_order_of_addition_and_keeps_references) {
  Functions registry = functions();
  const auto* first = registry.find("twice");
  for (int i = 0; i < 1000; ++i) registry.add("f" + std::to_string(i), "", twice);
  EXPECT_EQ(registry.find("twice"), first);
  EXPECT_EQ(registry.entries()[0].name, "twice");
  EXPECT_EQ(registry.entries()[0].origin, "built in");
  EXPECT_EQ(registry.entries()[1].help, "x + x + x");
  EXPECT_EQ(registry.entries()[1].origin, "/opt/more.so");
  EXPECT_EQ(registry.entries()[1001].name, "f999");
}

}  // namespace
}  // namespace lmms
