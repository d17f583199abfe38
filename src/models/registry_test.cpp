#include "models/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/error.h"
#include "core/files.h"
#include "models/registry_testing.h"

namespace lmms::models {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string message(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

ProcessorRegistry processors() {
  ProcessorRegistry registry("processor_type");
  register_processors(registry, built_in_models());
  return registry;
}

TEST(Registry, finds_every_model_by_its_type) {
  EXPECT_FALSE(built_in_models().entries().empty());
  for (const auto& [type, help, entry, origin] : built_in_models().entries()) {
    const ModelEntry& found = model_entry({{"model_type", type}}, "here");
    EXPECT_STREQ(found.architecture, entry.architecture);
    EXPECT_EQ(origin, "built in");
  }
}

TEST(Registry, names_the_nearest_type_of_an_unknown_one) {
  const auto of = [](json config) { return message([&] { model_entry(config, "a.yaml:2:3"); }); };
  EXPECT_THAT(of({{"model_type", "qwen33"}}),
              HasSubstr("a.yaml:2:3: model_type: not built yet: 'qwen33'; did you mean 'qwen3'?"));
  const std::string far = of({{"model_type", "mamba"}});
  EXPECT_THAT(far, HasSubstr("model_type: not built yet: 'mamba'"));
  EXPECT_EQ(far.find("did you mean"), std::string::npos);
  EXPECT_THAT(of({{"model_type", "llada"}}), HasSubstr("not built: the released LLaDA"));
  EXPECT_THAT(of(json::object()), HasSubstr("model_type: is missing"));
  EXPECT_THAT(of({{"model_type", 3}}), HasSubstr("model_type: got 3"));
}

TEST(Processors, are_those_that_the_config_takes_as_built) {
  const ProcessorRegistry registry = processors();
  size_t built = 0;
  for (const config::Name& name : data::processor_type_names()) {
    const ProcessorEntry* entry = registry.find(name.name);
    EXPECT_EQ(entry != nullptr, name.built == config::Built::built) << name.name;
    if (entry == nullptr) continue;
    ++built;
    EXPECT_EQ(entry->processor_type, name.name);
    const bool media = data::processor_form(name.name) == data::RecordForm::media_chats;
    EXPECT_EQ(entry->image_token != nullptr, media) << name.name;
  }
  EXPECT_EQ(built, registry.entries().size());
  for (const auto& entry : registry.entries()) EXPECT_FALSE(entry.help.empty()) << entry.name;
}

TEST(Processors, of_every_model_are_registered_and_shared_by_siblings) {
  const ProcessorRegistry registry = processors();
  for (const auto& model : built_in_models().entries()) {
    const ProcessorEntry& own = model.value.processor();
    ASSERT_NE(registry.find(own.processor_type), nullptr) << model.name;
    EXPECT_EQ(registry.find(own.processor_type)->make, own.make) << model.name;
  }
}

const ProcessorEntry& another_chat() {
  static constexpr ProcessorEntry entry{
      .processor_type = "qwen2",
      .make = [](const ProcessorSetup&) -> std::shared_ptr<const data::Processor> {
        return nullptr;
      }};
  return entry;
}

TEST(Processors, of_another_family_under_a_name_that_is_taken_are_refused) {
  ModelRegistry models("model_type");
  register_models(models);
  models.add("mine", "", {"mine", "MineForCausalLM", "", nullptr, another_chat}, "/opt/mine.so");
  ProcessorRegistry registry("processor_type");
  EXPECT_THAT(
      message([&] { register_processors(registry, models); }),
      HasSubstr("/opt/mine.so: processor_type 'qwen2' is registered already, by: built in"));
}

TEST(Processors, of_plain_text_end_texts_with_the_eos_token_where_they_are_told_to) {
  const std::string folder = std::string(LMMS_SOURCE_DIR) + "/examples/chat_tiny/tokenizer";
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder).take();
  const auto last = [&](config::Value append_eos) {
    config::Value::Map given;
    given.emplace_back("append_eos", std::move(append_eos));
    const auto processor = plain_text_processor().make(
        {.tokenizer = tokenizer, .extra_kwargs = config::Value{std::move(given)}});
    data::Record record;
    record.fields = {{"text", "Once"}};
    return processor->process(record).take().text.input_ids.back();
  };
  EXPECT_EQ(last(config::Value{true}), *tokenizer.eos());
  EXPECT_NE(last(config::Value{false}), *tokenizer.eos());
  EXPECT_THAT(message([&] { last(config::Value{std::string("yes")}); }),
              HasSubstr("extra_kwargs: append_eos: expected true or false"));
}

/// A model of no tower, or of one whose features take the place of token 7.
class NoModel final : public Model {
 public:
  explicit NoModel(std::optional<int32_t> token)
      : Model({{"model_type", "none"}}, "NoneForCausalLM"), token_(token) {}
  std::optional<int32_t> image_token() const override { return token_; }
  double train_flops(const Workload&) const override { return 0; }
  double lmms_engine_flops(const Workload&) const override { return 0; }

 private:
  std::optional<int32_t> token_;
};

TEST(Processors, put_images_under_the_token_of_the_model) {
  const std::string folder = std::string(LMMS_SOURCE_DIR) + "/tests/parity/data/tokenizer/chat";
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder).take();
  const ProcessorEntry sees{
      .processor_type = "sees", .make = nullptr, .image_token = "<|image_pad|>"};
  const auto check = [&](const ProcessorEntry& processor, std::optional<int32_t> token,
                         const std::string& fix = "",
                         const ProcessorEntry& own = chat_processor()) {
    return message([&] {
      check_image_token(processor, own, NoModel(token), tokenizer, "a.yaml:3: type", fix);
    });
  };
  const std::optional<int32_t> pad = tokenizer.id("<|image_pad|>");
  ASSERT_TRUE(pad);
  EXPECT_EQ(check(sees, pad), "no error");
  EXPECT_EQ(check(chat_processor(), std::nullopt), "no error");
  EXPECT_EQ(check(sees, std::nullopt),
            "a.yaml:3: type: sees reads images, and the model, none, has no vision tower\n"
            "    fix: take a model that sees, or processor_type: qwen2");
  const ProcessorEntry mine{.processor_type = "mine", .make = nullptr};
  EXPECT_THAT(check(sees, std::nullopt, "", mine), testing::EndsWith(", or processor_type: mine"));
  EXPECT_THAT(check(sees, std::nullopt, "", sees), testing::EndsWith("take a model that sees"));
  EXPECT_THAT(check(sees, 7),
              HasSubstr(", the model's image_token_id 7\n    fix: use the tokenizer "
                        "that belongs to the model"));
  EXPECT_THAT(check(sees, 7, "take another"), HasSubstr("fix: take another"));
}

}  // namespace
}  // namespace lmms::models
