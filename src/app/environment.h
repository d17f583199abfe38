#pragma once
/// What the program takes from its environment; no other room reads it.
#include <cstdio>
#include <filesystem>

#include "train/model_setup.h"

namespace lmms::app {

/// The hub's cache folder by the rules of huggingface_hub: HF_HUB_CACHE, else HF_HOME/hub, else
/// ~/.cache/huggingface/hub; empty if there is no home.
std::filesystem::path hub_cache();
/// The hub's cache folder and the local rank (LOCAL_RANK).
train::Place place();

/// Whether colours are welcome on a stream: it is a terminal that knows them, and NO_COLOR is not
/// set.
bool wants_colour(std::FILE* stream);

}  // namespace lmms::app
