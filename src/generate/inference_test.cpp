#include "generate/inference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "checkpoint/scratch_folder.h"
#include "core/files.h"
#include "models/registry_testing.h"

namespace lmms::generate {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// What opening the model says on stderr.
std::string notices_of(const fs::path& folder, PromptForm form) {
  InferenceOptions options;
  options.device.use_cpu = true;
  options.prompting.form = form;
  testing::internal::CaptureStderr();
  try {
    (void)open_model(models::built_in_models(), folder.string(), "", options);
  } catch (...) {
    testing::internal::GetCapturedStderr();
    throw;
  }
  return testing::internal::GetCapturedStderr();
}

TEST(OpenModel, says_where_chats_of_llama_differ_from_the_template_beside_the_tokenizer) {
  const fs::path data = fs::path(LMMS_SOURCE_DIR) / "tests/parity/data";
  const checkpoint::ScratchFolder folder;
  for (const char* name : {"config.json", "model.safetensors"})
    fs::copy_file(data / "llama/tied" / name, folder / name);
  fs::copy_file(data / "llama_chats/tokenizer.json", folder / "tokenizer.json");
  write_atomically(folder / "tokenizer_config.json",
                   R"({"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"})");
  const auto cases =
      nlohmann::json::parse(read_file((data / "llama_chats/cases.json").string()).take());
  const auto with_template = [&](const char* form) {
    write_atomically(folder / "chat_template.jinja", cases["templates"][form].get<std::string>());
    return notices_of(folder.path(), PromptForm::chat);
  };
  EXPECT_THAT(with_template("3.1"), testing::Not(HasSubstr("chat template")));
  EXPECT_THAT(with_template("3.2"), HasSubstr("names the day of its use"));
  write_atomically(
      folder / "chat_template.jinja",
      "{% for m in messages %}{{ m.role ~ ': ' ~ m.content ~ eos_token }}{% endfor %}");
  EXPECT_THAT(notices_of(folder.path(), PromptForm::chat),
              HasSubstr("chats are written by the checkpoint's own template, "));
  EXPECT_THAT(notices_of(folder.path(), PromptForm::plain),
              testing::Not(HasSubstr("chat template")));
}

}  // namespace
}  // namespace lmms::generate
