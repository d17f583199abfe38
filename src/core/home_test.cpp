#include "core/home.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <unistd.h>

#include "core/format.h"

namespace lmms {
namespace {

std::string expanded(const std::string& path, const std::string& home = "/users/me") {
  const Result<std::string> out = expand_home(path, home);
  return out ? *out : "fault: " + out.fault().what;
}

TEST(Home, stands_for_a_tilde_at_the_front_alone) {
  EXPECT_EQ(expanded("~"), "/users/me");
  EXPECT_EQ(expanded("~/out"), "/users/me/out");
  EXPECT_EQ(expanded("~//out/"), "/users/me//out/");
  EXPECT_EQ(expanded("~/out", "/users/me/"), "/users/me/out");
  EXPECT_EQ(expanded("~/out", "/"), "/out");
  for (const char* path : {"", "a", "/a/~/b", "./~", "a~", "Qwen/Qwen3-8B"})
    EXPECT_EQ(expanded(path), path);
}

TEST(Home, of_another_user_comes_from_the_list_of_users) {
  const struct passwd* me = ::getpwuid(::getuid());
  if (me == nullptr) GTEST_SKIP() << "this user is in no list";
  EXPECT_EQ(expanded(fmt::format("~{}/x", me->pw_name), ""), std::string(me->pw_dir) + "/x");
  EXPECT_EQ(
      expanded("~no_such_user/x"),
      "fault: '~no_such_user/x': there is no user 'no_such_user'; expected the whole path, or "
      "./~no_such_user/x for a folder of that name");
}

TEST(Home, must_be_set_where_it_is_asked_for) {
  EXPECT_EQ(expanded("~/out", ""), "fault: '~/out': HOME is not set; expected a path without ~");
}

}  // namespace
}  // namespace lmms
