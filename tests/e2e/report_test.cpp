// `lmms report`: one page over the folder of a run, or over several.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// What the page's script reads.
nlohmann::json data_of(const std::filesystem::path& page) {
  const std::string text = read_file(page).take();
  const std::string open = "id=\"page-data\">";
  const size_t begin = text.find(open) + open.size();
  return nlohmann::json::parse(text.substr(begin, text.find("</script>", begin) - begin));
}

TEST(Report, of_a_run_holds_its_rows_and_what_was_changed_in_the_config) {
  const Project project;
  project.train_to_the_end({"trainer_args.max_steps=3"});
  const Ended ended = run({"report", "out"}, project.here());
  EXPECT_EQ(ended.exit, 0) << ended.err;
  EXPECT_THAT(ended.out, StartsWith("file:///"));
  EXPECT_THAT(ended.out, EndsWith("/out/report.html\n"));
  const auto page = data_of(project / "out/report.html");
  ASSERT_EQ(page["runs"].size(), 1u);
  EXPECT_EQ(page["runs"][0]["train"]["rows"], 3);
  EXPECT_EQ(page["runs"][0]["finished"], true);
  EXPECT_THAT(page["runs"][0]["config"]["changed"].dump(),
              HasSubstr("[\"trainer_args.max_steps\",\"3\"]"));
}

TEST(Report, lays_runs_over_each_other_and_names_where_their_configs_differ) {
  const Project project;
  for (const char* rate : {"0.01", "0.02"}) {
    project.train_to_the_end({"trainer_args.max_steps=2", "trainer_args.save_strategy=no",
                              std::string("trainer_args.learning_rate=") + rate,
                              std::string("trainer_args.output_dir=rate ") + rate});
  }
  const Ended ended = run({"report", "rate 0.01", "rate 0.02"}, project.here());
  EXPECT_EQ(ended.exit, 0) << ended.err;
  const auto page = data_of(project / "report.html");
  EXPECT_EQ(page["runs"][0]["name"], "rate 0.01");
  EXPECT_EQ(page["runs"][1]["name"], "rate 0.02");
  EXPECT_EQ(page["config_differences"].dump(),
            "[[\"trainer_args.learning_rate\",[\"0.01\",\"0.02\"]]]");

  EXPECT_EQ(run({"report", "rate 0.01", "rate 0.02", "-o", "both.html"}, project.here()).exit, 0);
  EXPECT_TRUE(std::filesystem::exists(project / "both.html"));
}

TEST(Report, names_a_folder_that_is_mistyped_or_holds_no_run) {
  const Project project;
  std::filesystem::create_directories(project / "runs/first");
  project.write("runs/first/metrics.jsonl", "{\"step\":1,\"loss\":2}\n");

  Ended ended = run({"report", "runs/frist"}, project.here());
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("runs/frist: no such folder"));
  EXPECT_THAT(ended.err, HasSubstr("did you mean 'runs/first'?"));

  ended = run({"report", "runs"}, project.here());
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("runs: holds no metrics.jsonl"));
  EXPECT_THAT(ended.err, HasSubstr("did you mean 'runs/first'?"));

  ended = run({"report", "runs/first/metrics.jsonl"}, project.here());
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("fix: lmms report runs/first"));

  EXPECT_EQ(run({"report"}, project.here()).exit, 2);
  EXPECT_EQ(run({"report", "runs/first"}, project.here()).exit, 0);
  EXPECT_EQ(run({"report", "runs/first/"}, project.here()).exit, 0);
  EXPECT_EQ(run({"report", "runs/first", "-o", "no/such/folder.html"}, project.here()).exit, 1);
}

TEST(Report, shows_what_is_there_of_files_that_hold_garbage) {
  const Project project;
  std::filesystem::create_directories(project / "torn");
  project.write(
      "torn/metrics.jsonl",
      std::string("{\"step\":1,\"loss\":2}\nno json\n\0\xff\n[[[[\n{\"step\":\"x\"}\n", 49) +
          "{\"step\":2,\"loss\":null}\n{\"step\":3,\"lo");
  project.write("torn/journal.jsonl",
                "{\"kind\":\"warning\",\"text\":\"</script><script>alert(1)</script>\xff\"}\n"
                "{\"kind\":\"start\",\"sources\":7,\"table\":[[1]],\"machine\":null}\n"
                "{\"kind\":\"data\",\"length_edges\":[1,2],\"skipped\":{\"bad\":3}}\n"
                "{\"kind\":\"generation\",\"answers\":[3,{\"prompt\":4}]}\n{\"kind\":5}\n");
  project.write("torn/config.resolved.yaml", "trainer_args: [\n</script>");
  const Ended ended = run({"report", "torn"}, project.here());
  EXPECT_EQ(ended.exit, 0) << ended.err;
  const auto page = data_of(project / "torn/report.html");
  EXPECT_EQ(page["runs"][0]["train"]["rows"], 2);
  EXPECT_EQ(page["runs"][0]["config"]["read"], false);
  EXPECT_THAT(page["runs"][0]["config"]["text"].get<std::string>(), HasSubstr("</script>"));
  EXPECT_GT(page["runs"][0]["unread_lines"], 2);
  EXPECT_THAT(read_file(project / "torn/report.html").take(), Not(HasSubstr("alert(1)</script>")));
}

}  // namespace
}  // namespace lmms::e2e
