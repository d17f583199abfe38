#pragma once
/// What stands in the output folder before a run writes there.
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/checkpoint_dir.h"
#include "train/config.h"

namespace lmms::train {

/// Where a run's models stand in its output folder, relative to it ("" for itself): of all networks
/// that a run makes, which is one now, and of their averages.
std::vector<std::string> model_folders();

/// Throws Error if the run would write over what it reads: if output_dir is the folder of the model
/// or of the tokenizer, however it is spelled, if that folder is one of its checkpoints or
/// averages, or holds links to files that the run would replace.
void check_output_folder(const LoadedConfig& loaded, const std::filesystem::path& model_folder,
                         const std::filesystem::path& tokenizer_folder);

/// Before a run's first step: an earlier run that this one does not go on, or a model that this
/// program did not write, is moved whole into the first free of output_dir/old, old2, ..., and the
/// user is told. An unfinished run of the same mathematics is left where it is: this one begins it
/// again. `from`: the checkpoint that the run goes on from; null: it begins anew. Renames alone:
/// nothing is lost at any moment. Throws Error.
void move_earlier_aside(const LoadedConfig& loaded, const checkpoint::Checkpoint* from);

/// Finishes a move that a kill cut short. Call it at the start, with no other run in the folder.
void finish_moving_aside(const TrainerArgs& args);

}  // namespace lmms::train
