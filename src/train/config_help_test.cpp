#include "train/config_help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "train/config.h"

namespace lmms::train {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string help(const char* word, int width = 80) {
  const std::vector<std::string> commands{"train", "plan"};
  return explain_word(word, commands, width);
}

std::string refusal(const char* word) {
  try {
    return help(word);
  } catch (const Error& e) {
    return e.what();
  }
}

TEST(ConfigHelp, says_type_default_values_place_and_page) {
  const std::string text = help("trainer_args.learning_rate");
  for (const char* part : {"trainer_args.learning_rate\n", "a number >= 0", "5.0e-05",
                           "trainer_args: {", "docs/guide/training.md"})
    EXPECT_THAT(text, HasSubstr(part));
  EXPECT_THAT(help("packing_strategy"), HasSubstr("first_fit, best_fit, balanced, sequential"));
  EXPECT_THAT(help("processor_type"), HasSubstr("text chats in the ChatML layout"));
  EXPECT_THAT(help("processor_type"), HasSubstr("must be given"));
}

TEST(ConfigHelp, takes_a_key_as_people_type_it) {
  for (const char* word :
       {"packing_length", "dataset_config.packing_length", "--dataset_config.packing_length=4096",
        "+packing_length=", "~packing_length"})
    EXPECT_THAT(help(word), testing::StartsWith("dataset_config.packing_length\n")) << word;
  EXPECT_THAT(help("evaluation_strategy"), testing::StartsWith("trainer_args.eval_strategy\n"));
  EXPECT_THAT(help("trainer_args.learning_rates[0].modules"),
              HasSubstr("learning_rates: [{modules"));
}

TEST(ConfigHelp, tells_of_sections_names_and_what_is_not_built) {
  EXPECT_THAT(help("trainer_args"), HasSubstr("learning_rate "));
  EXPECT_THAT(help("trainer_args"), Not(HasSubstr("use_mps_device")));
  EXPECT_THAT(help("cosine"), HasSubstr("trainer_args.lr_scheduler_type: cosine"));
  EXPECT_THAT(help("lora_r"), HasSubstr("not built yet"));
  EXPECT_THAT(help("tp_degree"), HasSubstr("not built yet"));
  EXPECT_THAT(help("push_to_hub_token"), HasSubstr("no meaning here"));
}

TEST(ConfigHelp, names_the_nearest_for_a_typo) {
  EXPECT_THAT(refusal("packing_lenght"), HasSubstr("did you mean 'packing_length'?"));
  EXPECT_THAT(refusal("tarin"), HasSubstr("did you mean 'train'?"));
  EXPECT_THAT(refusal("pixels"), HasSubstr("dataset_config.video_max_pixels"));
  for (const char* word : {"", "=", "[", "a[", "..", "\xff\xfe", "~~~"})
    EXPECT_THAT(refusal(word), HasSubstr("lmms help")) << word;
}

TEST(ConfigHelp, fits_the_terminal) {
  for (const config::FieldText& key : config_keys()) {
    std::istringstream lines(help(key.key.c_str()));
    for (std::string line; std::getline(lines, line);) {
      const bool one_word = line.find(' ', line.find_first_not_of(' ')) == std::string::npos;
      EXPECT_TRUE(line.size() <= 80 || one_word || line.find(key.key) != std::string::npos) << line;
    }
  }
}

TEST(ConfigHelp, names_pages_and_places_that_are_there) {
  const std::string root = LMMS_SOURCE_DIR;
  for (const config::FieldText& key : config_keys()) {
    const std::string page(guide_page(key.key));
    const size_t hash = page.find('#');
    const std::string file = root + "/" + page.substr(0, hash);
    const auto text = read_file(file);
    ASSERT_TRUE(text.ok()) << key.key << ": " << file;
    const size_t dot = key.key.rfind('.');
    const bool of_its_own = key.meaning == config::Meaning::plain && dot != std::string::npos &&
                            page != guide_page(key.key.substr(0, dot));
    if (of_its_own) {  // a page for this key says its name
      EXPECT_THAT(*text, HasSubstr(key.key.substr(dot + 1))) << file;
    }
    if (hash == std::string::npos) continue;
    bool found = false;  // a heading of that anchor
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with('#')) continue;
      std::string anchor;
      for (const char c : line.substr(line.find_first_not_of("# "))) {
        if (c == ' ')
          anchor += '-';
        else if (std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-')
          anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      }
      found |= anchor == page.substr(hash + 1);
    }
    EXPECT_TRUE(found) << page;
  }
}

TEST(ConfigHelp, lists_what_is_obeyed) {
  EXPECT_THAT(list_keys(80), HasSubstr("dataset_config.packing_length"));
  EXPECT_THAT(list_keys(80), Not(HasSubstr("hub_token")));
}

}  // namespace
}  // namespace lmms::train
