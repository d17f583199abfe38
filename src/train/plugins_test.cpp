#include "train/plugins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "train/config_help.h"
#include "train/config_testing.h"
#include "train/plugin.h"
#include "train/registries.h"

namespace lmms::train {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kArguments[] = {"question"};

/// The registries as a plugin leaves them.
Registries more() {
  Registries out = built_in_registries();
  models::ProcessorEntry processor = models::chat_processor();
  processor.processor_type = "table_text";
  processor.form = data::RecordForm::plain_text;
  processor.arguments = kArguments;
  out.processors.add("table_text", "rows of a table", processor, "/opt/a.so");
  out.datasets.add("tables", "tables", {data::Dataset::open, data::RecordForm::plain_text},
                   "/opt/a.so");
  out.objectives.add("my_trainer", "of mine", *out.objectives.find("fsdp2_trainer"), "/opt/a.so");
  out.optimizers.add("sign_sgd", "of mine", out.optimizers.at("adamw_torch", ""), "/opt/a.so");
  out.schedules.add("steps", "of mine", out.schedules.at("cosine", ""), "/opt/a.so");
  out.patches.add("probe", "of mine", {}, "/opt/a.so");
  out.metric_sinks.add("my_sink", "of mine", {}, "/opt/a.so");
  return out;
}

class Plugins : public TrainConfigTest {
 protected:
  static std::string trouble(const std::string& path) {
    Registries registries;
    try {
      load_plugin(path, "a.yaml:1:11: plugins[0]", registries);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit(), Exit::bad_input);
      EXPECT_TRUE(registries.plugins.empty());
      return error.what();
    }
    return "";
  }
  static std::string elf(const std::string& text) {
    return std::string("\x7f") + "ELF" + std::string(60, '\0') + text + '\0' + "more";
  }
};

TEST_F(Plugins, say_what_differs_between_two_texts) {
  const std::string here =
      "lmms plugin abi: lmms 0.1.0; torch 2.11.0; compiler gcc 12; C++ ABI 1017";
  EXPECT_EQ(abi_difference(here, here), "");
  EXPECT_EQ(abi_difference(
                "lmms plugin abi: lmms 0.2.0; torch 2.11.0; compiler clang 14; C++ ABI 1017", here),
            "lmms 0.2.0 (here 0.1.0), compiler clang 14 (here gcc 12)");
  EXPECT_EQ(abi_difference("lmms plugin abi: lmms 0.1.0", here),
            "torch ? (here 2.11.0), compiler ? (here gcc 12), C++ ABI ? (here 1017)");
  EXPECT_THAT(std::string(plugin_abi()),
              AllOf(HasSubstr("lmms " LMMS_VERSION), HasSubstr("headers "), HasSubstr("torch "),
                    HasSubstr("std::string ABI 1")));
}

TEST_F(Plugins, that_are_none_are_named_with_the_cure) {
  write("libmine.so", "text");
  EXPECT_THAT(trouble("libmin.so"), AllOf(HasSubstr("a.yaml:1:11: plugins[0]: there is no file"),
                                          HasSubstr("did you mean 'libmine.so'?")));
  EXPECT_THAT(trouble("libmine.so"), HasSubstr("is no shared library"));
  EXPECT_THAT(trouble("."), HasSubstr("'.' is no file"));
  write("libother.so", elf("nothing"));
  EXPECT_THAT(trouble("libother.so"), AllOf(HasSubstr("is no plugin: it has no lmms_plugin_abi"),
                                            HasSubstr("fix: write LMMS_PLUGIN")));
  write("empty.so", "");
  EXPECT_THAT(trouble("empty.so"), HasSubstr("is no shared library"));
}

TEST_F(Plugins, for_another_program_are_refused_before_they_are_opened) {
  // Files that cannot be opened at all: had one been, another message would stand here.
  write("old.so", elf("lmms plugin abi: lmms 0.0.1; torch 1.0"));
  EXPECT_THAT(
      trouble("old.so"),
      AllOf(HasSubstr("is a plugin for another program: lmms 0.0.1 (here " LMMS_VERSION ")"),
            HasSubstr("torch 1.0 (here"), HasSubstr("find_package(lmms)")));
  write("torn.so", elf(std::string(plugin_abi())));
  EXPECT_THAT(trouble("torn.so"), HasSubstr("torn.so' cannot be opened: "));
  write("garbage.so", elf("lmms plugin abi: \x01\xff" + std::string(5000, 'x')));
  EXPECT_THAT(trouble("garbage.so"), AllOf(HasSubstr("another program"), Not(HasSubstr("\x01"))));
}

TEST_F(Plugins, of_a_config_are_opened_before_anything_else_is_read) {
  EXPECT_THAT(faults(right("{}", "", "plugins: [a.so]\nno_such_key: 1\n")),
              AllOf(HasSubstr("a.yaml:2:11: plugins[0]: there is no file 'a.so'"),
                    Not(HasSubstr("no_such_key"))));
  EXPECT_THAT(faults(right("{}", "", "plugins: b.so\n")), HasSubstr("there is no file 'b.so'"));
  EXPECT_THAT(faults(right("{}", "", "plugins: {a: b}\n")), HasSubstr("a.yaml:2:10: plugins: got"));
  EXPECT_EQ(load(right("{}", "", "plugins: null\n")).registries, &built_in_registries());
}

TEST_F(Plugins, bring_names_that_configs_may_use) {
  const Registries registries = more();
  write("a.yaml", right("{optim: sign_sgd, lr_scheduler_type: steps, report_to: my_sink}",
                        "  packing: true\n", "trainer_type: my_trainer\nmonkey_patch: probe\n"));
  const LoadedConfig loaded = load_train_config(
      std::vector<std::string>{"a.yaml",
                               "dataset_config.processor_config.processor_type=table_text",
                               "dataset_config.dataset_type=tables",
                               "+dataset_config.processor_config.extra_kwargs.question=why"},
      "", registries);
  EXPECT_EQ(loaded.registries, &registries);
  EXPECT_TRUE(loaded.config.dataset.plain_text());
  for (const std::string& notice : loaded.notices) EXPECT_THAT(notice, Not(HasSubstr("not read")));
}

TEST_F(Plugins, have_their_names_in_faults_and_in_help) {
  const Registries registries = more();
  write("a.yaml", right("{}", "", "trainer_type: my_trainr\n"));
  try {
    load_train_config(std::vector<std::string>{"a.yaml"}, "", registries);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("my_trainer"));
  }
  EXPECT_THAT(explain_word("my_trainer", {}, 100, registries),
              AllOf(HasSubstr("trainer_type: my_trainer"), HasSubstr("of mine")));
  EXPECT_THROW(explain_word("my_trainer", {}, 100), Error);
  const auto keys = config_keys(registries);
  EXPECT_TRUE(std::any_of(keys.begin(), keys.end(), [](const config::FieldText& text) {
    return text.key == "trainer_args.optim" && text.type.find("sign_sgd") != std::string::npos;
  }));
  // Without the plugin its names and arguments are faults.
  EXPECT_THAT(faults(right(), {"dataset_config.processor_config.processor_type=table_text"}),
              HasSubstr("processor_type"));
  EXPECT_THAT(faults(right(), {"+dataset_config.processor_config.extra_kwargs.question=why"}),
              HasSubstr("unknown key"));
}

}  // namespace
}  // namespace lmms::train
