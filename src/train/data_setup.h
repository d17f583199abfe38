#pragma once
/// From dataset_config to data sets, processor and loader options.
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "data/loader.h"
#include "data/processor.h"
#include "models/processor_entry.h"
#include "text/tokenizer.h"
#include "train/config.h"

namespace lmms::train {

/// What makes samples of records, without any data.
struct RunProcessor {
  std::shared_ptr<const data::Processor> processor;
  std::optional<text::Tokenizer> tokenizer;  ///< of a processor that needs one
  std::filesystem::path tokenizer_folder;    ///< empty without one

  const text::Tokenizer* tokenizer_or_null() const { return tokenizer ? &*tokenizer : nullptr; }
  int32_t pad_id() const { return tokenizer ? tokenizer->pad().value_or(0) : 0; }
};

/// The evaluation set and how it is read: once, in order.
struct EvaluationData {
  std::shared_ptr<const data::Dataset> dataset;  ///< null without one
  std::shared_ptr<const data::Processor> processor;
  data::LoaderOptions options;
  std::string where;  ///< it stands in the config
};

struct RunData {
  std::shared_ptr<const data::Dataset> training;
  EvaluationData evaluation;
  RunProcessor processing;
};

/// The entry of processor_config.processor_type. Throws Error.
const models::ProcessorEntry& processor_entry(const LoadedConfig& loaded);

/// What processor_config makes of records. `folder`: of the tokenizer, where the processor's own
/// files are too. `model`: its config.json, which processors of media ask. `system`: of the turn in
/// front of a chat that has none; absent: the chat layout's own. Throws Error.
std::shared_ptr<const data::Processor> make_processor(
    const LoadedConfig& loaded, const std::optional<text::Tokenizer>& tokenizer,
    const std::filesystem::path& folder, const nlohmann::json& model,
    const std::optional<std::string>& system = {}, const std::filesystem::path& hub_cache = {});

/// Throws Error if the config's processor puts images where the model sees none, or under another
/// token than the model's.
void check_images(const models::Model& model, const std::optional<text::Tokenizer>& tokenizer,
                  const LoadedConfig& loaded);

/// Makes the processor, with a tokenizer if it needs one. `model_folder`: where the tokenizer is if
/// the config names none. Throws Error.
RunProcessor open_processor(const LoadedConfig& loaded, const std::filesystem::path& model_folder,
                            const std::filesystem::path& hub_cache);

/// What happens to records that cannot be trained as they are.
data::Policies training_policies(const data::DataConfig& config);
/// The same in evaluation, where a row is a sample: max_length is the only limit, and the rows of
/// packing have none to give.
data::Policies evaluation_policies(const data::DataConfig& config);

EvaluationData open_evaluation(const LoadedConfig& loaded, const RunProcessor& processing);

/// Opens data sets and tokenizer. `model_folder`: where the tokenizer is if the config names none.
/// Throws Error.
RunData open_data(const LoadedConfig& loaded, const std::filesystem::path& model_folder,
                  const std::filesystem::path& hub_cache);

/// The loader's options; `global_rows` as the first start fixed it. `costs`: of the model.
data::LoaderOptions loader_options(const TrainConfig& config, int64_t global_rows, int32_t pad_id,
                                   const data::CostModel& costs = {});

}  // namespace lmms::train
