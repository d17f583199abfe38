#include "report/journal.h"

#include <gtest/gtest.h>

#include "core/format.h"

namespace lmms::report {
namespace {

using Json = nlohmann::json;

TEST(Journal, keeps_the_last_start_and_the_step_of_each) {
  Journal journal;
  EXPECT_TRUE(journal.add(R"({"kind":"start","time":10,"step":0,"table":[["model","a"]]})"));
  EXPECT_TRUE(journal.add(
      R"({"kind":"start","time":90,"step":5,"table":[["model","b"]],"versions":{"lmms":"0.1"},
          "total_steps":null,"parameters":{"trained":3,"all":4},
          "sources":[{"path":"a.jsonl","format":"jsonl","rows":7,"weight":1.5,"samples_per_epoch":9}]})"));
  EXPECT_EQ(journal.starts.size(), 2u);
  EXPECT_EQ(journal.starts[1]["step"], 5);
  EXPECT_EQ(journal.last_start["table"], Json::parse(R"([["model","b"]])"));
  EXPECT_EQ(journal.last_start["versions"], Json::parse(R"([["lmms","0.1"]])"));
  EXPECT_EQ(journal.last_start["sources"][0]["rows"], 7);
  EXPECT_TRUE(journal.last_start["total_steps"].is_null());
  EXPECT_EQ(journal.last_start["parameters"]["all"], 4);
}

TEST(Journal, a_run_that_goes_on_drops_what_was_made_after_its_checkpoint) {
  Journal journal;
  const auto add = [&](const char* kind, int step) {
    journal.add(fmt::format(R"({{"kind":"{}","time":1,"step":{},"answers":[]}})", kind, step));
  };
  add("start", 0);
  for (int step : {5, 10, 15}) add("checkpoint", step), add("generation", step);
  add("start", 10);
  EXPECT_EQ(journal.checkpoints.size(), 2u);
  EXPECT_EQ(journal.generations.size(), 2u);
  add("generation", 10);
  EXPECT_EQ(journal.generations.size(), 2u);
  add("start", 0);
  EXPECT_EQ(journal.starts.size(), 1u);
  EXPECT_TRUE(journal.checkpoints.empty());
}

TEST(Journal, keeps_grids_of_samples_and_no_way_out_of_the_folder) {
  Journal journal;
  const auto add = [&](int step, const std::string& path, const std::string& preview) {
    EXPECT_TRUE(journal.add(fmt::format(
        R"({{"kind":"samples","step":{},"path":"{}","preview":"{}","labels":["cat",7,{{}}],
            "per_class":4,"columns":8,"side":"wide","how":"euler, 50 steps","seconds":1.5}})",
        step, path, preview)));
  };
  const std::string preview = "data:image/png;base64,AAAA";
  add(10, "samples/step-10.png", preview);
  EXPECT_EQ(journal.grids[0]["path"], "samples/step-10.png");
  EXPECT_EQ(journal.grids[0]["preview"], preview);
  EXPECT_EQ(journal.grids[0]["labels"], Json::parse(R"(["cat","7",""])"));
  EXPECT_EQ(journal.grids[0]["per_class"], 4);
  EXPECT_TRUE(journal.grids[0]["side"].is_null());
  add(20, "samples/../../../etc/passwd.png", "https://example.org/x.png");
  EXPECT_EQ(journal.grids[1]["path"], "");
  EXPECT_EQ(journal.grids[1]["preview"], "");
  add(30, "/etc/step-1.png", preview);
  EXPECT_EQ(journal.grids[2]["path"], "");
  journal.add(R"({"kind":"start","time":1,"step":10})");  // what came after is made again
  EXPECT_EQ(journal.grids.size(), 1u);
  add(10, "samples/step-10.png", preview);
  EXPECT_EQ(journal.grids.size(), 1u);
  for (int step = 11; step < 200; ++step) add(step, "samples/step-1.png", preview);
  EXPECT_LE(journal.grids.size(), 60u);
  EXPECT_EQ(journal.grids.front()["step"], 10);
  EXPECT_EQ(journal.grids.back()["step"], 199);
  EXPECT_EQ(journal.grids.size() + journal.grids_left_out, 190u);
  Journal bare;
  EXPECT_TRUE(bare.add(R"({"kind":"samples"})"));
  EXPECT_EQ(bare.grids[0]["path"], "");
  EXPECT_EQ(bare.grids[0]["labels"], Json::array());
}

TEST(Journal, an_end_holds_until_the_next_start) {
  Journal journal;
  journal.add(R"({"kind":"end","time":1,"step":3,"state":"interrupted","text":"by signal 2"})");
  EXPECT_EQ(journal.end["state"], "interrupted");
  journal.add(R"({"kind":"start","time":2,"step":3})");
  EXPECT_TRUE(journal.end.is_null());
  journal.add(R"({"kind":"end","state":"confused"})");
  EXPECT_EQ(journal.end["state"], "ended");
}

TEST(Journal, counts_the_time_of_each_session_without_the_pauses) {
  Journal journal;
  journal.add(R"({"kind":"start","time":100,"step":0})");
  journal.add(R"({"kind":"checkpoint","time":150,"step":5})");
  journal.add(R"({"kind":"start","time":1000,"step":5})");
  journal.add(R"({"kind":"end","time":1020,"step":9,"state":"finished"})");
  EXPECT_EQ(journal.seconds, 70);
  EXPECT_EQ(journal.last_time, 1020);
}

TEST(Journal, the_last_data_record_counts) {
  Journal journal;
  journal.add(R"({"kind":"data","samples":1,"length_edges":[1,2,3],"length_counts":[5,6],
                  "skipped":{"bad":{"count":0},"overlong":{"count":2,"first_where":"a:1","first_what":"w"}}})");
  EXPECT_EQ(journal.data["length_counts"], Json::parse("[5,6]"));
  EXPECT_EQ(journal.data["skipped"],
            Json::parse(R"([{"reason":"overlong","count":2,"where":"a:1","what":"w"}])"));
  journal.add(R"({"kind":"data","samples":2,"length_edges":[1,2],"length_counts":[5,6]})");
  EXPECT_EQ(journal.data["samples"], 2);
  EXPECT_TRUE(journal.data["length_counts"].empty());  // edges and counts do not fit together
}

TEST(Journal, refuses_garbage_and_keeps_its_types) {
  Journal journal;
  for (const char* line : {"", "x", "[]", "{}", R"({"kind":7})", R"({"kind":"other"})", "\xff",
                           R"({"kind":"start")"}) {
    EXPECT_FALSE(journal.add(line)) << line;
  }
  std::string deep = R"({"kind":"start","table":)" + std::string(5000, '[');
  EXPECT_FALSE(journal.add(deep));
  EXPECT_TRUE(journal.add(
      R"({"kind":"start","time":"x","step":[],"table":{"a":1},"machine":[1,[2],["a","b","c"]],
          "sources":[1,{"path":3,"rows":"x"}],"parameters":[],"total_steps":"many"})"));
  EXPECT_EQ(journal.last_start["table"], Json::parse(R"([["a","1"]])"));
  EXPECT_TRUE(journal.last_start["machine"].empty());
  EXPECT_EQ(journal.last_start["sources"][0]["path"], "");
  EXPECT_TRUE(journal.last_start["sources"][0]["rows"].is_null());
  EXPECT_TRUE(journal.add(R"({"kind":"generation","answers":[0,{"prompt":1,"finished":"x"}]})"));
  EXPECT_EQ(journal.generations[0]["answers"].size(), 1u);
  EXPECT_EQ(journal.generations[0]["answers"][0]["finished"], false);
}

TEST(Journal, keeps_pictures_that_a_page_may_show_and_nothing_else) {
  Journal journal;
  EXPECT_TRUE(journal.add(R"({"kind":"pictures","pictures":{
      "png":"data:image/png;base64,iVBORw0KGgo=","jpeg":"data:image/jpeg;base64,/9j/",
      "svg":"data:image/svg+xml;base64,PHN2Zz4=","far":"https://example.org/x.png","number":3,
      "quote":"data:image/png;base64,\" onload=\"x","words":"data:image/png,text"}})"));
  EXPECT_EQ(journal.pictures.size(), 2u);
  EXPECT_TRUE(journal.pictures.contains("png") && journal.pictures.contains("jpeg"));
  EXPECT_TRUE(journal.add(R"({"kind":"pictures","pictures":[1]})"));
  EXPECT_TRUE(journal.add(R"({"kind":"pictures"})"));
  for (int i = 0; i < 3000; ++i) {
    journal.add(
        fmt::format(R"({{"kind":"pictures","pictures":{{"{}":"data:image/png;base64,iV"}}}})", i));
  }
  EXPECT_EQ(journal.pictures.size(), 2000u);
}

TEST(Journal, reads_what_was_expected_and_takes_garbage_in_its_place) {
  Journal journal;
  EXPECT_TRUE(journal.add(
      R"({"kind":"generation","step":3,"exact":{"right":2,"asked":4},"answers":[
          {"prompt":"p","answer":"5","row":7,"expected":"5","right":true,"pictures":["a","b"]},
          {"prompt":"p","answer":"a"},
          {"row":"x","expected":3,"right":"yes","pictures":{"a":1}}]})"));
  const nlohmann::json& generation = journal.generations[0];
  EXPECT_EQ(generation["exact"]["right"], 2);
  const nlohmann::json& answers = generation["answers"];
  EXPECT_EQ(answers[0]["row"], 7);
  EXPECT_EQ(answers[0]["expected"], "5");
  EXPECT_EQ(answers[0]["right"], true);
  EXPECT_EQ(answers[0]["pictures"].size(), 2u);
  EXPECT_TRUE(answers[1]["row"].is_null());
  EXPECT_TRUE(answers[1]["expected"].is_null());
  EXPECT_EQ(answers[2]["expected"], "");
  EXPECT_EQ(answers[2]["right"], false);
  EXPECT_TRUE(answers[2]["pictures"].empty());
  EXPECT_TRUE(journal.add(R"({"kind":"generation","step":4,"exact":7})"));
  EXPECT_TRUE(journal.generations[1]["exact"].is_null());
}

TEST(Journal, knows_which_checkpoints_the_run_deleted_and_which_is_the_best) {
  Journal journal;
  journal.add(R"({"kind":"start","step":0})");
  for (const int step : {10, 20, 30})
    journal.add(fmt::format(R"({{"kind":"checkpoint","step":{0},"path":"checkpoint-{0}"}})", step));
  journal.add(
      R"({"kind":"best","step":20,"path":"checkpoint-20","metric":"eval_loss","value":0.5})");
  journal.add(R"({"kind":"checkpoint_deleted","step":30,"path":"checkpoint-10"})");
  EXPECT_TRUE(journal.add(R"({"kind":"checkpoint_deleted","path":3})"));
  EXPECT_EQ(journal.checkpoints[0]["deleted"], true);
  EXPECT_EQ(journal.checkpoints[1]["deleted"], false);
  EXPECT_EQ(journal.best["path"], "checkpoint-20");
  EXPECT_EQ(journal.best["value"], 0.5);

  // A path that is saved again is there again, once.
  journal.add(R"({"kind":"checkpoint","step":30,"path":"checkpoint-10"})");
  ASSERT_EQ(journal.checkpoints.size(), 3u);
  EXPECT_EQ(journal.checkpoints.back()["deleted"], false);

  // Going on from before the best one voids it.
  journal.add(R"({"kind":"start","step":20})");
  EXPECT_EQ(journal.best["step"], 20);
  journal.add(R"({"kind":"start","step":10})");
  EXPECT_TRUE(journal.best.is_null());
  EXPECT_TRUE(journal.add(R"({"kind":"best","value":"x","metric":[]})"));
  EXPECT_TRUE(journal.best["value"].is_null());

  journal.add(R"({"kind":"end","step":30,"state":"finished","model":{"path":"checkpoint-20"}})");
  EXPECT_EQ(journal.end["model"]["path"], "checkpoint-20");
  journal.add(R"({"kind":"end","step":30,"state":"finished","model":7})");
  EXPECT_TRUE(journal.end["model"].is_null());
}

TEST(Journal, bounds_what_it_keeps) {
  Journal journal;
  for (int i = 1; i <= 2000; ++i) {
    journal.add(fmt::format(R"({{"kind":"warning","step":{},"text":"w"}})", i));
    journal.add(fmt::format(R"({{"kind":"generation","step":{},"answers":[]}})", i));
    journal.add(fmt::format(R"({{"kind":"checkpoint","step":{0},"path":"p{0}"}})", i));
  }
  EXPECT_EQ(journal.remarks.size(), 500u);
  EXPECT_EQ(journal.remarks[0]["step"], 1);
  EXPECT_EQ(journal.remarks[499]["step"], 2000);
  EXPECT_EQ(journal.remarks_left_out, 1500u);
  EXPECT_LE(journal.generations.size(), 60u);
  EXPECT_EQ(journal.generations[0]["step"], 1);
  EXPECT_EQ(journal.generations.back()["step"], 2000);
  EXPECT_EQ(journal.generations.size() + journal.generations_left_out, 2000u);
  EXPECT_EQ(journal.checkpoints.size(), 200u);
  journal.add(R"({"kind":"notice","text":")" + std::string(100'000, 'x') + "\"}");
  EXPECT_LT(journal.remarks.back()["text"].get_ref<const std::string&>().size(), 21'000u);
}

}  // namespace
}  // namespace lmms::report
