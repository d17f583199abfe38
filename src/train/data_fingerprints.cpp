#include "train/data_fingerprints.h"

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/format.h"
#include "core/log.h"
#include "core/threads.h"
#include "optim/metric_schedule.h"
#include "train/config_changes.h"

namespace lmms::train {
namespace {

/// Some of the changes, as one text.
std::string changes_text(const std::vector<std::string>& changes) {
  constexpr size_t kMost = 5;
  std::string text;
  for (size_t i = 0; i < std::min(changes.size(), kMost); ++i)
    text += (i == 0 ? "" : "; ") + changes[i];
  if (changes.size() > kMost) text += fmt::format("; and {} more", changes.size() - kMost);
  return text;
}

void notice_folders(const DataFingerprints& before, const DataFingerprints& now) {
  for (size_t s = 0; s < std::min(before.training.size(), now.training.size()); ++s) {
    const std::string &old = before.training[s].data_folder, &folder = now.training[s].data_folder;
    if (plain_path(old) == plain_path(folder)) continue;
    log::notice(fmt::format("changed since the checkpoint: data_folder of {}: '{}', before: '{}'",
                            now.training[s].path, folder, old));
  }
}

}  // namespace

FingerprintTaker::FingerprintTaker(const RunData& data) {
  std::promise<DataFingerprints> promise;
  taken_ = promise.get_future().share();
  thread_ = std::jthread([&data, promise = std::move(promise)](std::stop_token stop) mutable {
    name_this_thread("fingerprints");
    try {
      DataFingerprints out;
      out.training = data::fingerprints_of(*data.training, stop);
      if (data.evaluation.dataset)
        out.evaluation = data::fingerprints_of(*data.evaluation.dataset, stop);
      promise.set_value(std::move(out));
    } catch (...) {  // surfaces in get()
      promise.set_exception(std::current_exception());
    }
  });
}

void check_data(const DataFingerprints& before, const DataFingerprints& now,
                const LoadedConfig& loaded, const std::filesystem::path& checkpoint) {
  const TrainConfig& config = loaded.config;
  if (const auto changes = data::changed_files(before.training, now.training); !changes.empty()) {
    if (config.dataset.on_changed_data == data::OnChangedData::fail) {
      throw Error(checkpoint.string(),
                  "the data has changed since this checkpoint: " + changes_text(changes),
                  "put the files back, start anew with resume_from_checkpoint: false, or go on at "
                  "the same place in the changed data with dataset_config.on_changed_data: go_on");
    }
    log::notice(
        fmt::format("the data has changed since {}, and the run goes on at the same place: {}",
                    checkpoint.string(), changes_text(changes)));
  }
  if (config.dataset.datasets.empty()) notice_folders(before, now);
  if (!optim::follows_metric(config.trainer.schedule.lr_scheduler_type)) return;
  const auto changes = data::changed_files(before.evaluation, now.evaluation);
  if (!changes.empty()) {
    log::notice(
        "changed since the checkpoint: the evaluation set, which the learning rate follows: " +
        changes_text(changes));
  }
}

nlohmann::json to_json(const DataFingerprints& fingerprints) {
  return {{"training", data::to_json(fingerprints.training)},
          {"evaluation", data::to_json(fingerprints.evaluation)}};
}

DataFingerprints data_fingerprints_from(const nlohmann::json& json) {
  return {data::fingerprints_from(json.at("training")),
          data::fingerprints_from(json.at("evaluation"))};
}

}  // namespace lmms::train
