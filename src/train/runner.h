#pragma once
/// A training run from a config: everything is built, checked and restored, then the loop runs.
#include "core/error.h"
#include "train/config.h"
#include "train/model_setup.h"

namespace lmms::train {

/// Trains as the config says. Throws Error; returns Exit::done or Exit::interrupted.
Exit train(const LoadedConfig& loaded, const Place& place);

}  // namespace lmms::train
