#pragma once
/// Whether a run that goes on has the data that its checkpoint was trained with.
#include <filesystem>
#include <future>
#include <nlohmann/json_fwd.hpp>
#include <thread>
#include <vector>

#include "data/fingerprint.h"
#include "train/config.h"
#include "train/data_setup.h"

namespace lmms::train {

struct DataFingerprints {
  std::vector<data::SourceFingerprint> training, evaluation;

  bool operator==(const DataFingerprints&) const = default;
};

/// Takes the fingerprints of a run's data in a thread beside whatever the run does first. `data`
/// must outlive it; ending it stops the thread.
class FingerprintTaker {
 public:
  explicit FingerprintTaker(const RunData& data);

  /// Waits for them.
  const DataFingerprints& get() const { return taken_.get(); }

 private:
  std::shared_future<DataFingerprints> taken_;
  std::jthread thread_;
};

/// Throws Error (exit 2) if training data has another content than before, naming the files; under
/// on_changed_data: go_on each is a notice. So is a changed evaluation set where the learning rate
/// follows it, and another data_folder of a mixture that is a file of its own (the config's own
/// changes are config_changes()'s affair).
void check_data(const DataFingerprints& before, const DataFingerprints& now,
                const LoadedConfig& loaded, const std::filesystem::path& checkpoint);

nlohmann::json to_json(const DataFingerprints& fingerprints);
/// Throws nlohmann::json::exception if it is not what to_json() made.
DataFingerprints data_fingerprints_from(const nlohmann::json& json);

}  // namespace lmms::train
