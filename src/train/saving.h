#pragma once
/// Checkpoints of a run: written, found, restored, and the model at the end.
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "checkpoint/checkpoint_dir.h"
#include "checkpoint/side_files.h"
#include "optim/metric_schedule.h"
#include "step/state_files.h"
#include "train/best_model.h"
#include "train/config.h"
#include "train/data_fingerprints.h"
#include "train/data_statistics.h"

namespace lmms::train {

/// What a run must know to go on, besides tensors.
struct RunState {
  int64_t step = 0;             ///< attempted updates
  double epoch = 0;             ///< passes over the data after that step
  int64_t global_rows = 0;      ///< L, fixed at the first start
  std::string loader;           ///< data::StepBatch::state()
  int64_t applied_updates = 0;  ///< of the first network
  int64_t skipped_in_a_row = 0, skipped_steps = 0;
  DataStatistics data;                                        ///< trained so far
  std::optional<optim::MetricScheduleState> metric_schedule;  ///< where the schedule has one
  std::optional<BestState> best;  ///< where the run seeks its best evaluation
  bool evaluation_due = false;    ///< a signal came first: the run that goes on begins with it
  std::optional<DataFingerprints> fingerprints;  ///< absent: of a time when none were taken
  int threads = 0;  ///< of the math library: other numbers give other bits
  std::string device;
  std::string config;  ///< the resolved config
};

/// A checkpoint to go on from: its bytes are those that were saved.
struct Beginning {
  checkpoint::Checkpoint checkpoint;
  RunState state;
  std::vector<int64_t>
      deleted{};  ///< steps of checkpoints that save_total_limit leaves no room for
};

/// What a save did.
struct Saved {
  checkpoint::Checkpoint checkpoint;
  std::vector<int64_t> deleted;  ///< steps of the checkpoints that went
};

class Saver {
 public:
  /// The state must outlive the saver. The side files go into every checkpoint and beside the final
  /// model, `config` (Objective::checkpoint_config) into its config.json.
  Saver(const TrainerArgs& args, step::TrainState& state,
        std::shared_ptr<const checkpoint::SideFiles> side_files,
        nlohmann::json config = nlohmann::json::object());

  /// The checkpoint that the config wants to go on from, if there is one: read whole, once, and
  /// compared with its manifest. A damaged one is passed over for the one before it. Removes what a
  /// killed run left behind, and moves checkpoints aside that belong to a run that is left: a later
  /// start must not take them for this one's. Throws Error for a path that is no complete
  /// checkpoint, and if none is left but there are damaged ones.
  static std::optional<Beginning> find(const LoadedConfig& loaded);
  /// Fills all networks, their schedules too.
  void restore(const Beginning& beginning);

  /// Writes checkpoint-N whole, then deletes those beyond save_total_limit; never the best one.
  Saved save(const RunState& state);
  /// Writes the models after the last step, and their averages, into the output folder itself.
  void publish(int64_t step) const { files_.publish(step); }
  /// Copies those of checkpoint-STEP there, if its bytes are those that were saved. Else says why
  /// not, and writes nothing.
  [[nodiscard]] std::optional<Fault> publish_checkpoint(int64_t step) const;

 private:
  step::TrainState& state_;
  step::StateFiles files_;
  std::filesystem::path output_;
  std::optional<int64_t> save_total_limit_;
};

}  // namespace lmms::train
