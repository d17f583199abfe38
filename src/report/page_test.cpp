// The files of a run, and the page made of them.
#include "report/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "core/config/schema.h"
#include "core/config/yaml.h"
#include "core/files.h"
#include "core/format.h"
#include "report/html/html.h"
#include "report/live_report.h"

namespace lmms::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

class ReportTest : public testing::Test {
 protected:
  ReportTest() {
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void append(const char* name, const std::string& text) const {
    std::ofstream(folder / name, std::ios::app | std::ios::binary) << text;
  }
  /// What the script of the page reads.
  static nlohmann::json data_of(const std::string& page) {
    const std::string open = "id=\"page-data\">";
    const size_t begin = page.find(open) + open.size();
    return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
  }

  const fs::path folder =
      fs::path(testing::TempDir()) /
      (std::string("report_") + testing::UnitTest::GetInstance()->current_test_info()->name());
};

/// Stands in for the reader of whole configs, which is above this room: `run_name`, `epochs`, and
/// every key as a change.
std::optional<ConfigFacts> read_yaml(const fs::path& file) {
  ConfigFacts facts;
  config::Faults faults;
  facts.tree = config::parse_yaml(read_file(file).take(), file.string(), faults);
  if (!faults.empty()) return {};
  config::Node defaults;
  defaults.kind = config::Node::Kind::map;
  facts.changes = config::differences(facts.tree, defaults);
  if (const config::Entry* name = facts.tree.find("run_name")) facts.run_name = name->value.text;
  if (const config::Entry* epochs = facts.tree.find("epochs"))
    facts.epochs = std::stod(epochs->value.text);
  return facts;
}

template <class T>
std::vector<T> from_base64(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0, have = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(digits.find(c));
    have += 6;
    if (have >= 8) bytes += static_cast<char>(bits >> (have -= 8) & 0xFF);
  }
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

TEST_F(ReportTest, reads_metrics_as_they_grow_and_anew_after_a_cut) {
  RunFiles run(folder, read_yaml);
  EXPECT_FALSE(run.update());
  EXPECT_FALSE(run.found());
  append(
      "metrics.jsonl",
      "{\"step\":0,\"eval_loss\":9.5}\n{\"step\":1,\"loss\":2.5,\"skipped\":true}\n{\"step\":2,");
  EXPECT_TRUE(run.update());
  EXPECT_TRUE(run.found());
  EXPECT_FALSE(run.update());
  append("metrics.jsonl", "\"loss\":null}\nnonsense\n{\"step\":2.5}\n{\"step\":3,\"loss\":1}\n");
  EXPECT_TRUE(run.update());
  EXPECT_THAT(run.steps().column("loss"), ElementsAre(2.5, testing::IsNan(), 1));
  EXPECT_THAT(run.evaluations().column("eval_loss"), ElementsAre(9.5));
  EXPECT_EQ(run.unread_lines(), 2u);
  write_atomically(folder / "metrics.jsonl", "{\"step\":1,\"loss\":2.5}\n");
  EXPECT_TRUE(run.update());
  EXPECT_THAT(run.steps().steps(), ElementsAre(1));
  EXPECT_EQ(run.unread_lines(), 0u);
}

TEST_F(ReportTest, reads_the_config_and_what_was_changed) {
  RunFiles run(folder, read_yaml);
  write_atomically(folder / "config.resolved.yaml", "no: [config");
  EXPECT_TRUE(run.update());
  EXPECT_FALSE(run.config());
  EXPECT_EQ(run.config_text(), "no: [config");
  write_atomically(folder / "config.resolved.yaml", "run_name: small\nwarmup_ratio: 0.05\n");
  EXPECT_TRUE(run.update());
  ASSERT_TRUE(run.config());
  EXPECT_EQ(run.name(), "small");
  EXPECT_THAT(run.config()->changes, testing::Contains("warmup_ratio: 0.05"));
  EXPECT_FALSE(run.update());
}

TEST_F(ReportTest, names_the_keys_in_which_the_configs_of_runs_differ) {
  std::vector<RunFiles> runs;
  for (const auto& [name, text] : {std::pair("a", "rate: 1\nsteps: 5\nonly: x\n"),
                                   {"b", "rate: 2\nsteps: 5\n"},
                                   {"c", "no: [config"}}) {
    fs::create_directories(folder / name);
    write_atomically(folder / name / "config.resolved.yaml", text);
    runs.emplace_back(folder / name, read_yaml);
    runs.back().update();
  }
  const auto differences = data_of(render(runs, {}))["config_differences"];
  EXPECT_EQ(differences,
            nlohmann::json::parse(R"([["only", ["x", "", null]], ["rate", ["1", "2", null]]])"));
}

TEST_F(ReportTest, numbers_go_into_the_page_bit_for_bit) {
  append("metrics.jsonl",
         "{\"step\":1,\"loss\":2.123456789,\"aux_loss\":1}\n{\"step\":3,\"loss\":null,\"tokens\":7}"
         "\n");
  std::array<RunFiles, 1> runs{RunFiles(folder, read_yaml)};
  runs[0].update();
  const auto data = data_of(render(runs, {}));
  const auto& train = data["runs"][0]["train"];
  EXPECT_THAT(from_base64<double>(train["steps"]), ElementsAre(1, 3));
  EXPECT_THAT(from_base64<float>(train["columns"]["loss"]),
              ElementsAre(2.123456789f, testing::IsNan()));
  EXPECT_THAT(from_base64<float>(train["columns"]["aux_loss"]), ElementsAre(1, testing::IsNan()));
}

TEST_F(ReportTest, a_checkpoint_that_is_gone_is_shown_as_such) {
  for (const char* step : {"10", "20", "30"}) {
    append("journal.jsonl", fmt::format("{{\"kind\":\"checkpoint\",\"step\":{0},\"path\":"
                                        "\"checkpoint-{0}\"}}\n",
                                        step));
  }
  append("journal.jsonl", "{\"kind\":\"checkpoint\",\"path\":\"../elsewhere\"}\n");
  const auto states = [this](std::optional<bool> running = {}) {
    std::array<RunFiles, 1> runs{RunFiles(folder, read_yaml)};
    runs[0].update();
    const auto data = data_of(render(runs, {.running = running}));
    std::vector<std::string> out;
    for (const auto& checkpoint : data["runs"][0]["journal"]["checkpoints"])
      out.push_back(checkpoint["state"]);
    return out;
  };
  // A folder without any may be a copy, unless the run itself looks at it.
  EXPECT_THAT(states(), ElementsAre("absent", "absent", "absent", "absent"));
  EXPECT_THAT(states(true), ElementsAre("deleted", "deleted", "deleted", "deleted"));
  append("journal.jsonl", "{\"kind\":\"checkpoint_deleted\",\"path\":\"checkpoint-10\"}\n");
  EXPECT_THAT(states(), ElementsAre("deleted", "absent", "absent", "absent"));
  fs::create_directories(folder / "checkpoint-20");
  EXPECT_THAT(states(), ElementsAre("deleted", "there", "deleted", "deleted"));
}

TEST_F(ReportTest, sees_that_somebody_deleted_a_checkpoint) {
  fs::create_directories(folder / "checkpoint-20");
  append("journal.jsonl", "{\"kind\":\"checkpoint\",\"path\":\"checkpoint-20\"}\n");
  RunFiles run(folder, read_yaml);
  EXPECT_TRUE(run.update());
  EXPECT_FALSE(run.update());
  fs::remove(folder / "checkpoint-20");
  EXPECT_TRUE(run.update());
  EXPECT_TRUE(run.checkpoints().empty());
}

TEST_F(ReportTest, any_bytes_in_its_files_make_a_page) {
  const std::string metrics =
      "{\"step\":1,\"loss\":2.5,\"skipped\":true}\n{\"step\":2,\"eval_loss\":1e3}\n"
      "{\"step\":3,\"loss\":null,\"tokens\":12}\n";
  const std::string journal =
      R"({"kind":"start","time":1,"step":0,"versions":{"a":"b"},"sources":[{"path":"p","rows":3}]})"
      "\n"
      R"({"kind":"data","samples":1,"length_edges":[1,2],"length_counts":[3],"skipped":{"bad":{"count":1}}})"
      "\n"
      R"({"kind":"generation","step":3,"answers":[{"prompt":"p","answer":"a","tokens":1}]})"
      "\n"
      R"({"kind":"checkpoint","step":3,"path":"c","bytes":1})"
      "\n"
      R"({"kind":"checkpoint_deleted","path":"c"})"
      "\n"
      R"({"kind":"best","step":3,"path":"c","metric":"m","value":2}{"kind":"end","state":"failed"})"
      "\n";
  constexpr std::string_view kPieces[] = {"\"", "{", "}", "[",  "]",    ":",     ",",    "\n",
                                          "\\", "0", "-", "e9", "null", "1e999", "\xff", "\\u0000"};
  std::mt19937 random(7);
  const auto mutated = [&](std::string text) {
    for (uint32_t n = random() % 4; n-- > 0;) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = static_cast<char>(random());
          break;
        case 1:
          text.insert(at, kPieces[random() % std::size(kPieces)]);
          break;
        default:
          text.erase(at, 1 + random() % 8);
      }
    }
    return text;
  };
  std::array<RunFiles, 1> runs{RunFiles(folder, read_yaml)};
  for (int i = 0; i < 500; ++i) {
    std::ofstream(folder / "metrics.jsonl", std::ios::trunc) << mutated(metrics);
    std::ofstream(folder / "journal.jsonl", std::ios::trunc) << mutated(journal);
    runs[0].update();
    EXPECT_TRUE(data_of(render(runs, {})).is_object());
  }
}

TEST_F(ReportTest, nothing_from_outside_becomes_html) {
  const std::string evil = "</script><script>evil()</script><img src=x onerror=evil()>";
  append("metrics.jsonl", "{\"step\":1,\"loss\":1,\"" + evil + "\":3}\n");
  append("journal.jsonl", "{\"kind\":\"warning\",\"text\":\"" + evil + "\"}\n");
  append("config.resolved.yaml", evil);
  const fs::path named = folder / "<img src=x onerror=evil()>";
  fs::create_directories(named);
  for (const char* name : {"metrics.jsonl", "journal.jsonl", "config.resolved.yaml"})
    fs::copy(folder / name, named / name);
  std::array<RunFiles, 1> runs{RunFiles(named, read_yaml)};
  runs[0].update();
  const std::string page = render(runs, {});
  EXPECT_THAT(page, Not(HasSubstr("<script>evil")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(data_of(page)["runs"][0]["journal"]["remarks"][0]["text"], evil);
}

TEST_F(ReportTest, the_page_asks_the_network_for_nothing) {
  std::array<RunFiles, 1> runs{RunFiles(folder, read_yaml)};
  const std::string page = render(runs, {});
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  for (const char* bad : {"http://", "https://", "src=", "@import", "url("})
    EXPECT_THAT(page, Not(HasSubstr(bad)));
}

TEST_F(ReportTest, runs_of_one_name_are_told_apart) {
  std::vector<RunFiles> runs;
  for (const char* parent : {"a", "b"}) {
    fs::create_directories(folder / parent / "out");
    write_atomically(folder / parent / "out/metrics.jsonl", "{\"step\":1,\"loss\":1}\n");
    runs.emplace_back(folder / parent / "out", read_yaml);
    runs.back().update();
  }
  const auto data = data_of(render(runs, {}));
  EXPECT_NE(data["runs"][0]["name"], data["runs"][1]["name"]);
}

/// Waits for the page to hold a text: the thread of LiveReport writes it soon.
bool comes(const fs::path& page, const std::string& text) {
  for (int i = 0; i < 4000; ++i) {
    const auto now = read_file(page);
    if (now && now->find(text) != std::string::npos) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

TEST_F(ReportTest, a_live_report_is_written_on_demand_and_at_the_end) {
  const fs::path page = folder / "report.html";
  {
    LiveReport report(folder, read_yaml, std::chrono::hours(1));
    append("metrics.jsonl", "{\"step\":1,\"loss\":1}\n");
    append("journal.jsonl", "{\"kind\":\"notice\",\"text\":\"first\"}\n");
    report.refresh();
    EXPECT_TRUE(comes(page, "first"));
    EXPECT_TRUE(comes(page, "\"running\":true"));
    append("journal.jsonl", "{\"kind\":\"end\",\"state\":\"finished\",\"text\":\"last\"}\n");
  }
  const auto data = data_of(read_file(page).take());
  EXPECT_EQ(data["runs"][0]["journal"]["end"]["text"], "last");
  EXPECT_EQ(data["runs"][0]["running"], false);
}

TEST_F(ReportTest, a_live_report_follows_by_itself) {
  LiveReport report(folder, read_yaml, std::chrono::milliseconds(20));
  append("metrics.jsonl", "{\"step\":1,\"loss\":1}\n");
  EXPECT_TRUE(comes(folder / "report.html", "\"rows\":1"));
  append("metrics.jsonl", "{\"step\":2,\"loss\":1}\n");
  EXPECT_TRUE(comes(folder / "report.html", "\"rows\":2"));
}

TEST_F(ReportTest, a_live_report_that_cannot_be_written_is_one_warning) {
  append("metrics.jsonl", "{\"step\":1,\"loss\":1}\n");
  fs::create_directories(folder / "report.html.tmp");  // the name that it writes under
  testing::internal::CaptureStderr();
  {
    LiveReport report(folder, read_yaml, std::chrono::milliseconds(1));
    for (int i = 0; i < 3; ++i) {
      report.refresh();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("report.html is not written"));
  EXPECT_EQ(said.find("warning:"), said.rfind("warning:"));
}

TEST_F(ReportTest, a_live_report_of_an_empty_folder_writes_nothing) {
  { LiveReport report(folder, read_yaml); }
  EXPECT_FALSE(fs::exists(folder / "report.html"));
}

TEST_F(ReportTest, embeds_the_newest_grid_of_samples_that_is_there_and_previews_of_all) {
  append(
      "journal.jsonl",
      R"({"kind":"samples","step":10,"path":"samples/step-10.png","preview":"data:image/png;base64,AAAA"})"
      "\n"
      R"({"kind":"samples","step":20,"path":"samples/step-20.png","preview":"data:image/png;base64,BBBB"})"
      "\n"
      R"({"kind":"samples","step":30,"path":"samples/step-30.png"})"
      "\n");
  append("metrics.jsonl", "");
  fs::create_directories(folder / "samples");
  for (const char* name : {"samples/step-10.png", "samples/step-20.png"})
    append(name, "\x89PNG and more");
  RunFiles run(folder, read_yaml);
  EXPECT_TRUE(run.update());
  const auto grids = [&] {
    return data_of(render(std::span(&run, 1), {}))["runs"][0]["journal"]["grids"];
  };
  EXPECT_EQ(grids()[0]["whole"], "");
  EXPECT_EQ(grids()[1]["whole"], "data:image/png;base64,iVBORyBhbmQgbW9yZQ==");
  EXPECT_EQ(grids()[1]["preview"], "data:image/png;base64,BBBB");
  EXPECT_EQ(grids()[2]["there"], false);  // it was deleted
  EXPECT_EQ(grids()[2]["whole"], "");
  EXPECT_FALSE(run.update());
  fs::remove(folder / "samples/step-20.png");
  EXPECT_TRUE(run.update());
  EXPECT_EQ(grids()[1]["there"], false);
  EXPECT_EQ(grids()[0]["whole"], "data:image/png;base64,iVBORyBhbmQgbW9yZQ==");
  std::ofstream(folder / "samples/step-10.png") << "<svg onload=alert(1)>";  // no PNG is not shown
  run.update();
  EXPECT_EQ(grids()[0]["whole"], "");
}

}  // namespace
}  // namespace lmms::report
