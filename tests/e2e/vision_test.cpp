// Training on chats with images: a tiny Qwen2.5-VL from its config.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "core/files.h"
#include "tests/e2e/project.h"

namespace lmms::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

constexpr const char* kModel = R"(model_config.load_from_config={model_type: qwen2_5_vl, config:
  {vocab_size: 4100, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2,
   num_attention_heads: 2, num_key_value_heads: 1, tie_word_embeddings: true, head_dim: null,
   image_token_id: 4098, video_token_id: 4099, vision_start_token_id: 4096,
   vision_end_token_id: 4097, rope_scaling: {type: mrope, mrope_section: [2, 3, 3]},
   vision_config: {depth: 2, hidden_size: 32, intermediate_size: 48, num_heads: 2,
     out_hidden_size: 32, patch_size: 14, spatial_merge_size: 2, temporal_patch_size: 2,
     window_size: 56, fullatt_block_indexes: [1]}}})";

/// The project with the tokenizer of chat_tiny, to which the tokens of images are added, and 12
/// chats about three images; every fourth is text alone.
class Seeing : public testing::Test {
 protected:
  Seeing() {
    const fs::path from = fs::path(LMMS_SOURCE_DIR) / "examples/chat_tiny/tokenizer";
    auto json = nlohmann::json::parse(read_file(from / "tokenizer.json").take());
    int id = 4096;
    for (const char* content :
         {"<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"}) {
      json["added_tokens"].push_back({{"id", id++},
                                      {"content", content},
                                      {"single_word", false},
                                      {"lstrip", false},
                                      {"rstrip", false},
                                      {"normalized", false},
                                      {"special", true}});
    }
    fs::create_directories(project / "tok");
    project.write("tok/tokenizer.json", json.dump());
    fs::copy(from / "tokenizer_config.json", project / "tok/tokenizer_config.json");
    project.write("tok/preprocessor_config.json",
                  R"({"patch_size": 14, "merge_size": 2, "min_pixels": 784, "max_pixels": 7840})");
    std::string rows;
    for (int i = 0; i < 12; ++i) {
      if (i % 4 == 3) {
        rows += chat_line("Count to 2, please.", "1 2.");
        continue;
      }
      const char* image = i % 4 == 0   ? "jpeg_65x16_5.jpg"
                          : i % 4 == 1 ? "bmp_24.bmp"
                                       : "jpeg_33x47_2.jpg";
      const nlohmann::json content = {
          {{"type", "image_url"},
           {"image_url",
            {{"url", LMMS_SOURCE_DIR "/tests/parity/data/images/" + std::string(image)}}}},
          {{"type", "text"}, {"text", "What is it?"}}};
      rows += nlohmann::json{{"messages",
                              {{{"role", "user"}, {"content", content}},
                               {{"role", "assistant"}, {"content", std::to_string(i % 4)}}}}}
                  .dump() +
              "\n";
    }
    project.write("train.jsonl", rows);
  }

  static Words words(Words more = {}) {
    Words out{kModel,
              "dataset_config.processor_config.processor_name=tok",
              "dataset_config.processor_config.processor_type=qwen2_5_vl",
              "trainer_args.max_steps=6",
              "trainer_args.save_steps=3",
              "trainer_args.lr_scheduler_type=constant"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }

  const Project project;
};

TEST_F(Seeing, lowers_the_loss_and_goes_on_to_the_same_bits) {
  const Words packed = words({"dataset_config.packing=true", "dataset_config.packing_length=256",
                              "trainer_args.per_device_train_batch_size=1"});
  project.train_to_the_end(packed);
  const auto losses = column(metrics(project / "out"), "loss");
  ASSERT_EQ(losses.size(), 6u);
  EXPECT_LT(losses.back(), losses.front());
  const std::string at_once = weights(project / "out");
  for (const char* gone : {"checkpoint-6", "finished.json"}) fs::remove_all(project / "out" / gone);
  EXPECT_THAT(project.train_to_the_end(packed).err, HasSubstr("going on from out/checkpoint-3"));
  EXPECT_TRUE(weights(project / "out") == at_once);
  EXPECT_TRUE(fs::exists(project / "out/preprocessor_config.json"));
}

TEST_F(Seeing, learns_from_films_and_goes_on_to_the_same_bits) {
  std::string rows;
  for (int i = 0; i < 8; ++i) {
    const nlohmann::json film = {
        {"type", "video_url"},
        {"video_url", {{"url", LMMS_SOURCE_DIR "/tests/parity/data/videos/h264.mp4"}}}};
    const nlohmann::json content = {film, {{"type", "text"}, {"text", "What happens?"}}};
    rows += i % 3 == 2 ? chat_line("Count to 2, please.", "1 2.")
                       : nlohmann::json{{"messages",
                                         {{{"role", "user"}, {"content", content}},
                                          {{"role", "assistant"}, {"content", "It moves."}}}}}
                                 .dump() +
                             "\n";
  }
  project.write("train.jsonl", rows);
  const Words packed =
      words({"dataset_config.packing=true", "dataset_config.packing_length=256",
             "trainer_args.per_device_train_batch_size=1", "dataset_config.fps=5"});
  project.train_to_the_end(packed);
  const auto losses = column(metrics(project / "out"), "loss");
  EXPECT_LT(losses.back(), losses.front());
  const std::string at_once = weights(project / "out");
  for (const char* gone : {"checkpoint-6", "finished.json"}) fs::remove_all(project / "out" / gone);
  project.train_to_the_end(packed);
  EXPECT_TRUE(weights(project / "out") == at_once);
  const auto tokens_at = [&](const std::string& fps) {
    project.train_to_the_end(words({"dataset_config.fps=" + fps, "trainer_args.max_steps=1",
                                    "trainer_args.output_dir=fps" + fps}));
    return column(metrics(project / ("fps" + fps)), "tokens").at(0);
  };
  EXPECT_LT(tokens_at("5"), tokens_at("20"));
}

TEST_F(Seeing, images_change_what_is_learnt) {
  project.train_to_the_end(words());
  project.train_to_the_end(
      words({"trainer_args.freeze_modules=[visual]", "trainer_args.output_dir=frozen"}));
  EXPECT_FALSE(weights(project / "out") == weights(project / "frozen"));
  EXPECT_NE(column(metrics(project / "out"), "grad_norm"),
            column(metrics(project / "frozen"), "grad_norm"));
}

TEST_F(Seeing, accumulation_is_one_large_step) {
  project.train_to_the_end(words({"trainer_args.max_steps=1"}));
  project.train_to_the_end(words({"trainer_args.max_steps=1", "trainer_args.output_dir=two",
                                  "trainer_args.per_device_train_batch_size=2",
                                  "trainer_args.gradient_accumulation_steps=2"}));
  const auto one = metrics(project / "out").front(), two = metrics(project / "two").front();
  EXPECT_NEAR(one["loss"].get<double>(), two["loss"].get<double>(), 2e-6 * 8);
  EXPECT_NEAR(one["grad_norm"].get<double>(), two["grad_norm"].get<double>(),
              1e-5 * one["grad_norm"].get<double>());
}

TEST_F(Seeing, a_missing_image_is_named_or_skipped_by_policy) {
  project.write(
      "train.jsonl",
      R"({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "gone.png"}}]}, {"role": "assistant", "content": "x"}]})"
      "\n" +
          chat_line("Hi", "Hello") + chat_line("Hi", "Yes") + chat_line("Hi", "No"));
  const Ended ended = project.train(words());
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("train.jsonl:1: messages[0].content[0]"));
  EXPECT_THAT(ended.err, HasSubstr("gone.png"));
  const Ended skipped = project.train_to_the_end(
      words({"dataset_config.on_bad_sample=skip", "trainer_args.output_dir=skipping"}));
  EXPECT_THAT(skipped.err, HasSubstr("gone.png"));
}

TEST_F(Seeing, an_image_with_a_broken_end_is_named_or_skipped_by_policy) {
  const std::string image = LMMS_SOURCE_DIR "/tests/parity/data/images/cut_jpeg_half.jpg";
  project.write(
      "train.jsonl",
      R"({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": ")" +
          image +
          R"("}}]}, {"role": "assistant", "content": "x"}]})"
          "\n" +
          chat_line("Hi", "Hello") + chat_line("Hi", "Yes") + chat_line("Hi", "No"));
  const Ended ended = project.train(words());
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("train.jsonl:1"));
  const Ended skipped = project.train_to_the_end(
      words({"dataset_config.on_bad_sample=skip", "trainer_args.output_dir=skipping"}));
  EXPECT_THAT(skipped.err, HasSubstr("train.jsonl:1"));
}

TEST_F(Seeing, images_for_a_model_that_sees_none_are_refused) {
  const Ended blind = project.train({"dataset_config.processor_config.processor_name=tok",
                                     "dataset_config.processor_config.processor_type=qwen2_5_vl"});
  EXPECT_EQ(blind.exit, 2);
  EXPECT_THAT(blind.err, HasSubstr("prepares for model_type qwen2_5_vl, not qwen3"));
  std::string other = kModel;
  other.replace(other.find("image_token_id: 4098"), 20, "image_token_id: 4097");
  Words mixed = words();
  mixed[0] = other;
  const Ended ended = project.train(mixed);
  EXPECT_EQ(ended.exit, 2);
  EXPECT_THAT(ended.err, HasSubstr("image_token_id 4097"));
}

TEST_F(Seeing, answers_after_images_as_it_was_trained_to) {
  project.train_to_the_end(words({"trainer_args.max_steps=2"}));
  const std::string image = LMMS_SOURCE_DIR "/tests/parity/data/images/jpeg_65x16_5.jpg";
  const std::string other = LMMS_SOURCE_DIR "/tests/parity/data/images/bmp_24.bmp";
  const Words asked = {"generate", "out", "--cpu", "--json", "--max-new-tokens", "6"};
  const auto answers = [&](const Words& more) {
    Words all = asked;
    all.insert(all.end(), more.begin(), more.end());
    const Ended ended = run(all, project.here());
    EXPECT_EQ(ended.exit, 0) << ended.err;
    std::vector<nlohmann::json> rows;
    std::istringstream lines(ended.out);
    for (std::string line; std::getline(lines, line);) rows.push_back(nlohmann::json::parse(line));
    return rows;
  };
  // the same image from a file of chats, alone and beside text; the answer in the row is not read
  const auto alone = answers({"--image", image, "--prompt", "What is it?"});
  const auto rows = answers({"--messages", "train.jsonl"});
  ASSERT_EQ(rows.size(), 12u);
  EXPECT_EQ(rows[0], alone[0]);
  EXPECT_EQ(rows[4], alone[0]);
  EXPECT_LT(rows[3]["prompt_ids"].size(), alone[0]["prompt_ids"].size());  // text alone
  const auto both = answers({"--image", image, "--image", other, "--prompt", "What is it?"});
  EXPECT_GT(both[0]["prompt_ids"].size(), alone[0]["prompt_ids"].size());

  project.write("lines",
                "/image " + image + "\nWhat is it?\n/image gone.png\n/again\n/reset\nHi\n");
  Surroundings here = project.here();
  here.input = project / "lines";
  const Ended chat = run({"chat", "out", "--cpu", "--max-new-tokens", "6"}, here);
  EXPECT_EQ(chat.exit, 2) << chat.err;
  const std::string answer = alone[0]["answer"];
  EXPECT_THAT(chat.out, testing::StartsWith(answer));
  EXPECT_THAT(chat.out, Not(HasSubstr("gone.png"))) << "a program reads the answers";
  EXPECT_THAT(chat.err, HasSubstr("image gone.png: no such file"));
}

std::vector<nlohmann::json> journal_records(const fs::path& output, const std::string& kind) {
  std::vector<nlohmann::json> records;
  std::istringstream lines(read_file(output / "journal.jsonl").take());
  for (std::string line; std::getline(lines, line);) {
    nlohmann::json record = nlohmann::json::parse(line);
    if (record["kind"] == kind) records.push_back(std::move(record));
  }
  return records;
}

TEST_F(Seeing, an_evaluation_asks_prompts_and_rows_and_counts_exact_answers) {
  const std::string image = LMMS_SOURCE_DIR "/tests/parity/data/images/jpeg_65x16_5.jpg";
  const Words asking = words(
      {"dataset_config.eval_dataset_path=train.jsonl",
       "trainer_args.eval_generate={rows: 5, max_new_tokens: 4, prompts: [Hello, {image: " + image +
           ", text: \"What is it?\"}, {messages: [{role: user, content: Hi}, {role: assistant, "
           "content: never this}]}]}",
       "trainer_args.eval_strategy=steps", "trainer_args.eval_steps=3",
       "trainer_args.eval_on_start=true"});
  const Ended ended = project.train_to_the_end(asking);
  EXPECT_THAT(ended.err, HasSubstr("of 6 answers are exact"));
  const auto rows = metrics(project / "out");
  EXPECT_EQ(column(rows, "eval_exact").size(), 3u);
  EXPECT_EQ(column(rows, "eval_answers"), (std::vector<double>{6, 6, 6}));
  for (const auto& row : rows) EXPECT_EQ(row.contains("eval_exact"), row.contains("eval_loss"));

  const auto generations = journal_records(project / "out", "generation");
  ASSERT_EQ(generations.size(), 3u);
  const nlohmann::json& answers = generations.back()["answers"];
  ASSERT_EQ(answers.size(), 8u);
  EXPECT_EQ(generations.back()["exact"]["asked"], 6);
  EXPECT_FALSE(answers[0].contains("row") || answers[0].contains("expected"));
  EXPECT_EQ(answers[1]["prompt"], "What is it?");
  EXPECT_EQ(answers[2]["expected"], "never this");
  EXPECT_EQ(answers[2]["right"], false);
  EXPECT_EQ(answers[3]["row"], 1);
  EXPECT_EQ(answers[3]["answer"], answers[1]["answer"]);  // the same image and question
  EXPECT_EQ(answers[6]["prompt"], "Count to 2, please.");
  EXPECT_FALSE(answers[6].contains("pictures"));
  // a picture stands in the journal once, whoever shows it and how often
  const auto pictures = journal_records(project / "out", "pictures");
  ASSERT_EQ(pictures.size(), 1u);
  EXPECT_EQ(pictures[0]["pictures"].size(), 3u);
  EXPECT_EQ(answers[3]["pictures"], answers[1]["pictures"]);
  EXPECT_TRUE(pictures[0]["pictures"].contains(answers[3]["pictures"][0].get<std::string>()));
  EXPECT_THAT(read_file(project / "out/report.html").take(), HasSubstr("data:image/"));

  // nothing of the training changes by it
  project.train_to_the_end(words({"trainer_args.output_dir=silent"}));
  EXPECT_TRUE(weights(project / "silent") == weights(project / "out"));
}

TEST_F(Seeing, says_what_is_wrong_with_prompts_of_an_evaluation) {
  const auto error = [&](const std::string& asking, Words more = {}) {
    Words all = words({"trainer_args.eval_generate=" + asking, "trainer_args.eval_strategy=steps",
                       "trainer_args.eval_steps=3"});
    all.insert(all.end(), more.begin(), more.end());
    const Ended ended = project.train(all);
    EXPECT_EQ(ended.exit, 2) << ended.err;
    return ended.err;
  };
  EXPECT_THAT(error("{prompts: [x, {image: gone.png, text: y}]}"),
              testing::AllOf(HasSubstr("eval_generate.prompts[1]"), HasSubstr("gone.png")));
  EXPECT_THAT(error("{prompts: [{picture: gone.png}]}"), HasSubstr("eval_generate.prompts[0]"));
  EXPECT_THAT(error("{prompts: [[x]]}"), HasSubstr("a text or a map"));
  EXPECT_THAT(error("{rows: 3}"), HasSubstr("dataset_config.eval_dataset_path"));
  project.write("bad.jsonl", chat_line("Hi", "Yes") +
                                 R"({"messages": [{"role": "user", "content": [)"
                                 R"({"type": "image", "image": "gone.png"}]},)"
                                 R"({"role": "assistant", "content": "x"}]})"
                                 "\n");
  const Words set = {"dataset_config.eval_dataset_path=bad.jsonl"};
  EXPECT_THAT(error("{rows: 2}", set), HasSubstr("bad.jsonl:2"));
  Words skipping =
      words({"trainer_args.eval_generate={rows: 2}", "trainer_args.eval_strategy=steps",
             "trainer_args.eval_steps=6", "dataset_config.on_bad_sample=skip",
             "dataset_config.eval_dataset_path=bad.jsonl"});
  EXPECT_THAT(project.train_to_the_end(skipping).err, HasSubstr("1 rows could not be asked"));
}

TEST_F(Seeing, is_evaluated_to_the_same_bits_by_any_number_of_threads) {
  const auto evaluated = [&](const std::string& threads) {
    project.train_to_the_end(words(
        {"dataset_config.eval_dataset_path=train.jsonl", "trainer_args.eval_on_start=true",
         "trainer_args.max_steps=1", "trainer_args.per_device_eval_batch_size=2",
         "trainer_args.eval_generate={rows: 12, max_new_tokens: 3}",
         "trainer_args.dataloader_num_workers=" + threads, "trainer_args.output_dir=" + threads}));
    return std::pair(metrics(project / threads).front()["eval_loss"],
                     journal_records(project / threads, "generation").front()["answers"]);
  };
  const auto one = evaluated("1");
  EXPECT_EQ(one.second.size(), 12u);
  EXPECT_EQ(evaluated("4"), one);
}

TEST_F(Seeing, refuses_evaluation_images_that_are_not_there_or_broken_before_the_first_step) {
  for (const std::string image :
       {"gone.png", LMMS_SOURCE_DIR "/tests/parity/data/images/cut_jpeg_half.jpg"}) {
    project.write("eval.jsonl", chat_line("Hi", "Yes") +
                                    R"({"messages": [{"role": "user", "content": [)"
                                    R"({"type": "image", "image": ")" +
                                    image +
                                    R"("}]}, {"role": "assistant", "content": "x"}]})"
                                    "\n");
    const Ended ended = project.train(
        words({"dataset_config.eval_dataset_path=eval.jsonl", "trainer_args.eval_strategy=epoch"}));
    EXPECT_EQ(ended.exit, 2);
    EXPECT_THAT(ended.err, HasSubstr("eval.jsonl:2: "));
    EXPECT_FALSE(fs::exists(project / "out/checkpoint-3"));
    EXPECT_FALSE(fs::exists(project / "out/journal.jsonl"));
  }
}

TEST_F(Seeing, answers_after_a_video) {
  project.train_to_the_end(words({"trainer_args.max_steps=1"}));
  const std::string video = LMMS_SOURCE_DIR "/tests/parity/data/videos/h264.mp4";
  const Words asked = {"generate", "out", "--cpu", "--json", "--max-new-tokens", "4"};
  const auto ask = [&](const Words& more) {
    Words all = asked;
    all.insert(all.end(), more.begin(), more.end());
    return run(all, project.here());
  };
  const Ended seen = ask({"--video", video, "--prompt", "What happens?"});
  ASSERT_EQ(seen.exit, 0) << seen.err;
  project.write("rows.jsonl", R"({"messages": [{"role": "user", "content": [{"type": "video_url",)"
                              R"( "video_url": {"url": ")" +
                                  video +
                                  R"("}}, {"type": "text",)"
                                  R"( "text": "What happens?"}]}]})"
                                  "\n");
  EXPECT_EQ(ask({"--messages", "rows.jsonl"}).out, seen.out);
  EXPECT_THAT(seen.out, HasSubstr(",4099,4099,"));  // its pads
  project.write("lines", "/video config.yaml\n/video " + video + "\nWhat happens?\n");
  Surroundings here = project.here();
  here.input = project / "lines";
  const Ended chat = run({"chat", "out", "--cpu", "--max-new-tokens", "4"}, here);
  EXPECT_EQ(chat.exit, 2) << chat.err;
  EXPECT_THAT(chat.err, HasSubstr("video config.yaml: "));
  const std::string answer = nlohmann::json::parse(seen.out)["answer"];
  EXPECT_THAT(chat.out, testing::StartsWith(answer));
  const Ended wrong = ask({"--video", "config.yaml", "--prompt", "x"});
  EXPECT_EQ(wrong.exit, 2);
  EXPECT_THAT(wrong.err, HasSubstr("--video config.yaml"));
}

TEST_F(Seeing, says_what_is_wrong_with_images_to_answer) {
  project.train_to_the_end(words({"trainer_args.max_steps=1"}));
  const auto error = [&](Words more) {
    Words all = {"generate", "out", "--cpu"};
    all.insert(all.end(), more.begin(), more.end());
    const Ended ended = run(all, project.here());
    EXPECT_EQ(ended.exit, 2) << ended.out << ended.err;
    return ended.err;
  };
  const std::string images = LMMS_SOURCE_DIR "/tests/parity/data/images/";
  EXPECT_THAT(error({"--image", "gone.png", "--prompt", "x"}), HasSubstr("--image gone.png"));
  EXPECT_THAT(error({"--image", "config.yaml", "--prompt", "x"}), HasSubstr("expected an image"));
  EXPECT_THAT(error({"--image", images + "cut_jpeg_half.jpg", "--prompt", "x"}),
              HasSubstr("cut_jpeg_half.jpg"));
  EXPECT_THAT(error({"--image", images + "bmp_24.bmp"}), HasSubstr("give --prompt"));
  EXPECT_THAT(error({"--plain", "--image", images + "bmp_24.bmp", "--prompt", "x"}),
              HasSubstr("leave --plain out"));
  project.write(
      "gone.jsonl",
      R"({"messages": [{"role": "user", "content": [{"type": "image", "image": "x.png"}]}]})"
      "\n");
  EXPECT_THAT(error({"--messages", "gone.jsonl"}),
              HasSubstr("gone.jsonl:1: messages[0].content[0]"));
  EXPECT_THAT(error({"--messages", "gone.jsonl", "--data-folder", "far"}),
              HasSubstr("data_folder=far"));
  for (const Words& words : {Words{"--image", images + "bmp_24.bmp", "--prompt", "x"},
                             Words{"--messages", "gone.jsonl"}}) {
    Words all = {"generate", pretrained().string(), "--cpu"};
    all.insert(all.end(), words.begin(), words.end());
    const Ended blind = run(all, project.here());
    EXPECT_EQ(blind.exit, 2);
    EXPECT_THAT(blind.err, HasSubstr("takes text alone"));
  }
  project.write("out/preprocessor_config.json", "{\"patch_size\": 0}");
  EXPECT_THAT(error({"--image", images + "bmp_24.bmp", "--prompt", "x"}),
              HasSubstr("preprocessor_config.json"));
}

/// Most pixels of images and of videos in tok/processor_config.json, as transformers 5 saves it.
void nest(const Project& project, int images, int videos, const std::string& more = "") {
  const auto size = [](int most) {
    return R"("size": {"shortest_edge": 784, "longest_edge": )" + std::to_string(most) + "}";
  };
  project.write("tok/processor_config.json",
                R"({"image_processor": {"image_processor_type": "Qwen2VLImageProcessor", )" + more +
                    size(images) +
                    R"(}, "video_processor": {"video_processor_type": "Qwen2VLVideoProcessor", )" +
                    more + size(videos) + R"(}, "processor_class": "Qwen2_5_VLProcessor"})");
}

TEST_F(Seeing, reads_a_processor_as_transformers_5_saves_it) {
  const auto preview = [&](Words more = {}) {
    Words all = words(std::move(more));
    all.insert(all.begin(), {"preview", "config.yaml", "-n", "3"});
    const Ended ended = run(all, project.here());
    EXPECT_EQ(ended.exit, 0) << ended.err;
    return ended;
  };
  const std::string of_7840 = preview().out;
  nest(project, 784, 784);
  const std::string of_784 = preview().out;
  EXPECT_NE(of_784, of_7840);
  nest(project, 7840, 784);  // before the older file, whatever that says
  project.write("tok/preprocessor_config.json", R"({"max_pixels": 784})");
  EXPECT_EQ(preview().out, of_7840);
  fs::remove(project / "tok/preprocessor_config.json");
  EXPECT_EQ(preview().out, of_7840);
  const std::string kwargs = "dataset_config.processor_config.extra_kwargs=";
  EXPECT_EQ(preview({kwargs + "{image_max_pixels: 784, video_max_pixels: 784}"}).out, of_784);

  // what a checkpoint carries on decides what generate makes of an image
  const Ended trained = project.train_to_the_end(words(
      {"trainer_args.max_steps=1", kwargs + "{video_max_pixels: 7840, audio_max_length: 3}"}));
  EXPECT_THAT(trained.err, testing::AllOf(HasSubstr("extra_kwargs: audio_max_length: not read"),
                                          Not(HasSubstr("video_max_pixels"))));
  EXPECT_EQ(read_file(project / "out/processor_config.json").take(),
            read_file(project / "tok/processor_config.json").take());
  const auto pads = [&] {
    const Ended ended =
        run({"generate", "out", "--cpu", "--json", "--max-new-tokens", "1", "--image",
             LMMS_SOURCE_DIR "/tests/parity/data/images/source_128x96.jpg", "--prompt", "x"},
            project.here());
    EXPECT_EQ(ended.exit, 0) << ended.err;
    size_t count = 0;
    for (size_t at = 0; (at = ended.out.find(",4098", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  EXPECT_EQ(pads(), 6u);  // 128 x 96 pixels -> 84 x 56 of 7,840 at most
  fs::remove(project / "out/processor_config.json");
  project.write("out/preprocessor_config.json", R"({"max_pixels": 784})");
  EXPECT_EQ(pads(), 1u);
}

TEST_F(Seeing, says_what_it_assumes_and_what_does_not_fit) {
  const auto says = [&](int exit, Words more = {}) {
    Words all = words(std::move(more));
    all.insert(all.begin(), {"preview", "config.yaml"});
    const Ended ended = run(all, project.here());
    EXPECT_EQ(ended.exit, exit) << ended.err;
    return ended.err;
  };
  EXPECT_THAT(says(0), Not(HasSubstr("assumed")));
  fs::remove(project / "tok/preprocessor_config.json");
  EXPECT_THAT(says(0), testing::AllOf(HasSubstr("tok: no processor_config.json"),
                                      HasSubstr("images are prepared; assumed: patches of 14"),
                                      HasSubstr("3136 to 1003520 pixels"),
                                      HasSubstr("videos are prepared; assumed: patches of 14"),
                                      HasSubstr("100352 to 602112 pixels")));
  nest(project, 7840, 7840, "\"patch_size\": 16, ");
  EXPECT_THAT(says(2), HasSubstr("tok/processor_config.json: image_processor: patch_size 16, "
                                 "merge_size 2 and temporal_patch_size 2 are not the model's 14"));
  project.write("tok/processor_config.json",
                R"({"image_processor": {"image_processor_type": "CLIPImageProcessor"}})");
  EXPECT_THAT(says(2), HasSubstr("image_processor: image_processor_type: the model's images are "
                                 "prepared by Qwen2VLImageProcessor, not by CLIPImageProcessor"));
  nest(project, 7840, 7840);
  const std::string kwargs = "dataset_config.processor_config.extra_kwargs=";
  EXPECT_THAT(says(2, {kwargs + "{image_max_pixels: 700}"}),
              testing::AllOf(HasSubstr("image_min_pixels 784 is above image_max_pixels 700"),
                             HasSubstr("has 784 and 7840")));
  EXPECT_THAT(says(2, {"dataset_config.processor_config.processor_type=qwen3_vl"}),
              HasSubstr("qwen3_vl prepares for model_type qwen3_vl, not qwen2_5_vl"));
}

TEST_F(Seeing, qwen3_vl_learns_from_images_too) {
  std::string model = kModel;
  const auto put = [&](const std::string& from, const std::string& to) {
    ASSERT_NE(model.find(from), std::string::npos) << from;
    model.replace(model.find(from), from.size(), to);
  };
  put("model_type: qwen2_5_vl, config:\n  {", "model_type: qwen3_vl, config:\n  {text_config: {");
  put("tie_word_embeddings: true,",
      "head_dim: 16, rope_scaling: {mrope_section: [2, 3, 3], mrope_interleaved: true, rope_type: "
      "default}}, tie_word_embeddings: true,");
  put("rope_scaling: {type: mrope, mrope_section: [2, 3, 3]},", "");
  put("out_hidden_size: 32, patch_size: 14,",
      "out_hidden_size: 32, patch_size: 16, num_position_embeddings: 16, "
      "deepstack_visual_indexes: [0],");
  put(",\n     window_size: 56, fullatt_block_indexes: [1]", "");
  nest(project, 10240, 10240, "\"patch_size\": 16, ");
  Words all = words();
  all[0] = model;
  all[2] = "dataset_config.processor_config.processor_type=qwen3_vl";
  project.train_to_the_end(all);
  const auto losses = column(metrics(project / "out"), "loss");
  ASSERT_EQ(losses.size(), 6u);
  EXPECT_LT(losses.back(), losses.front());

  fs::remove(project / "tok/processor_config.json");
  project.write("tok/preprocessor_config.json",
                R"({"patch_size": 16, "min_pixels": 1024, "max_pixels": 10240})");
  all.insert(all.begin(), {"preview", "config.yaml"});
  const Ended unread = run(all, project.here());
  EXPECT_EQ(unread.exit, 0);
  EXPECT_THAT(unread.err,
              HasSubstr("preprocessor_config.json: min_pixels, max_pixels: not read by "
                        "Qwen3VLVideoProcessor; its limits are of size, 131072 to 786432"));
}

/// A tiny LLaVA-OneVision, whose views are 28 x 28 pixels, on the same chats.
class SeeingTiles : public Seeing {
 protected:
  SeeingTiles() {
    auto json = nlohmann::json::parse(read_file(project / "tok/tokenizer.json").take());
    for (auto& token : json["added_tokens"]) {
      if (token["content"] == "<|image_pad|>") token["content"] = "<image>";
      if (token["content"] == "<|video_pad|>") token["content"] = "<video>";
    }
    project.write("tok/tokenizer.json", json.dump());
    project.write("tok/preprocessor_config.json", R"({"size": {"height": 28, "width": 28},
      "image_grid_pinpoints": [[28, 28], [28, 56], [56, 28], [56, 56]], "resample": 3})");
  }

  static Words words(Words more = {}) {
    Words out = Seeing::words({"dataset_config.packing=true", "dataset_config.packing_length=600",
                               "trainer_args.per_device_train_batch_size=1"});
    out[0] = R"(model_config.load_from_config={model_type: llava_onevision, config: {
      text_config: {vocab_size: 4100, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2,
        num_attention_heads: 2, num_key_value_heads: 1, tie_word_embeddings: true},
      vision_config: {hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2,
        num_attention_heads: 2, image_size: 28, patch_size: 4},
      image_grid_pinpoints: [[28, 28], [28, 56], [56, 28], [56, 56]], tie_word_embeddings: true,
      image_token_index: 4098, video_token_index: 4099}})";
    out[2] = "dataset_config.processor_config.processor_type=llava";
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }
};

TEST_F(SeeingTiles, lower_the_loss_in_packed_rows_and_go_on_to_the_same_bits) {
  project.train_to_the_end(words());
  const auto losses = column(metrics(project / "out"), "loss");
  ASSERT_EQ(losses.size(), 6u);
  EXPECT_LT(losses.back(), losses.front());
  const std::string at_once = weights(project / "out");
  for (const char* gone : {"checkpoint-6", "finished.json"}) fs::remove_all(project / "out" / gone);
  EXPECT_THAT(project.train_to_the_end(words()).err, HasSubstr("going on from out/checkpoint-3"));
  EXPECT_TRUE(weights(project / "out") == at_once);
  EXPECT_TRUE(fs::exists(project / "out/preprocessor_config.json"));
}

TEST_F(SeeingTiles, change_what_is_learnt_and_are_the_models) {
  project.train_to_the_end(words({"trainer_args.max_steps=2"}));
  project.train_to_the_end(words({"trainer_args.max_steps=2", "trainer_args.output_dir=frozen",
                                  "trainer_args.freeze_modules=[vision_tower]"}));
  EXPECT_FALSE(weights(project / "out") == weights(project / "frozen"));
  project.write("tok/preprocessor_config.json", R"({"size": {"height": 56, "width": 56},
      "image_grid_pinpoints": [[56, 56]]})");
  const Ended other = project.train(words());
  EXPECT_EQ(other.exit, 2);
  EXPECT_THAT(other.err, HasSubstr("vision_config.image_size 28"));
  project.write("tok/processor_config.json", R"({"num_image_tokens": 49, "image_processor": {
      "image_processor_type": "LlavaOnevisionImageProcessor", "size": {"height": 28, "width": 28},
      "image_grid_pinpoints": [[28, 28], [28, 56], [56, 28], [56, 56]]}, "video_processor": {
      "video_processor_type": "LlavaOnevisionVideoProcessor", "size": {"height": 28, "width": 28}}})");
  project.train_to_the_end(words({"trainer_args.max_steps=1", "trainer_args.output_dir=nested"}));
  const Ended limited = project.train(
      words({"dataset_config.processor_config.extra_kwargs={image_max_pixels: 784}"}));
  EXPECT_EQ(limited.exit, 2);
  EXPECT_THAT(limited.err, HasSubstr("image_max_pixels: LLaVA-OneVision's views have one size"));
  Words mixed = words();
  mixed[2] = "dataset_config.processor_config.processor_type=qwen2_5_vl";
  EXPECT_EQ(project.train(mixed).exit, 2);
}

}  // namespace
}  // namespace lmms::e2e
