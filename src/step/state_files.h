#pragma once
/// A TrainState in files: the networks as model folders, and under resume/ whatever those do not
/// hold bit for bit. Every component says itself what it keeps.
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_dir.h"
#include "checkpoint/resume.h"
#include "checkpoint/side_files.h"
#include "models/tensor_io.h"
#include "step/train_state.h"

namespace lmms::step {

/// The component of resume/ that keeps a run's own value (StateFiles::write).
inline constexpr const char* kRunValue = "run";
/// The folder of an averaged model, inside that of the weights.
inline constexpr const char* kEmaFolder = "ema";

/// Where the models of networks with these `saved_in` (Network) stand in a checkpoint or an output
/// folder, relative to it: weights, then averages.
std::vector<std::string> model_folders(std::span<const std::string> saved_in);

struct FileOptions {
  std::filesystem::path output;                       ///< of the run: gets the models of its end
  c10::ScalarType saved_as = c10::ScalarType::Float;  ///< of the models' weights
  /// Beside every model; null: none.
  std::shared_ptr<const checkpoint::SideFiles> side_files = nullptr;
  bool begin_with_average = false;  ///< after a restore the averages are the weights
  /// Keys that the config.json of the first network gets beside the model's own.
  nlohmann::json config = nlohmann::json::object();
};

/// A model's own files are those of its network's folder (Network::saved_in: of the first network
/// alone it is empty); its average stands in kEmaFolder inside that. State under resume/ is called
/// by its component: "first_moment"; of a network with a folder of its own "NAME-first_moment".
class StateFiles {
 public:
  /// `state` must outlive it. No two networks, and no two of what they keep, may have one name in
  /// files.
  StateFiles(TrainState& state, FileOptions options);

  /// Writes models, averages and resume state after `step` into a checkpoint that is being made.
  /// `run`: a value to keep under "run". Throws Error, also for weights that are not finite.
  void write(checkpoint::PendingCheckpoint& to, int64_t step, const nlohmann::json& run) const;
  /// Fills weights, masters, states of optimisers, averages, and the counters and schedules of all
  /// networks but the first, whose own are of the run: their schedules must have been made. Throws
  /// Error for files that do not fit.
  void restore(const checkpoint::Checkpoint& from);
  /// Writes the models after the last step, and their averages, into the output folder itself.
  void publish(int64_t step) const;
  /// The same of a checkpoint that this run wrote: its models, byte for byte.
  void publish(const checkpoint::Checkpoint& from) const;

 private:
  void move_old_average_aside(const std::filesystem::path& ema) const;
  checkpoint::FileSums write_model(const std::filesystem::path& folder, const Network& network,
                                   const models::FlatOf& weights) const;
  /// What model files do not hold bit for bit, besides optimiser states.
  struct Beside {
    bool masters = false, frozen = false, ema = false;
  };
  Beside beside_files(const Network& network) const;
  bool files_hold_masters(const Network& network) const;
  /// Of the running network, as exact as the files can be.
  models::FlatOf weights(const Network& network) const;
  /// Averages after `step`; weights where there are none.
  models::FlatOf averages(const Network& network, int64_t step) const;
  void register_network(checkpoint::ResumeState& out, Network& network, Beside beside) const;
  void register_values(checkpoint::ResumeState& out, const nlohmann::json& run) const;
  void restore_ema(Network& network, const checkpoint::Checkpoint& from) const;

  TrainState& state_;
  FileOptions options_;
};

}  // namespace lmms::step
