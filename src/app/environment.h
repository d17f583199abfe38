#pragma once
/// What the program takes from its environment; no other room reads it.
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>

#include "core/launch.h"
#include "train/place.h"

namespace lmms::app {

/// The hub's cache folder by the rules of huggingface_hub: HF_HUB_CACHE, else HF_HOME/hub, else
/// ~/.cache/huggingface/hub; empty if there is no home.
std::filesystem::path hub_cache();
/// The home folder; empty if there is none.
std::string home();
/// Where programs keep what they remember of their user: XDG_STATE_HOME, else ~/.local/state; empty
/// if there is no home.
std::filesystem::path state_folder();
/// Those of the variables that are set.
Environment variables(std::span<const char* const> names);
/// Throws Error if a launcher says that this process is one of many (core/launch.h).
void refuse_many_ranks();
/// The hub's cache folder, the home folder, the local rank (LOCAL_RANK; throws Error if it is
/// none), CUDA_VISIBLE_DEVICES, LMMS_DEVICE, and what the launcher says of CUDA's library
/// (LMMS_CUDA_TROUBLE, start/README.md).
train::Place place();

/// Whether colours are welcome on a stream: it is a terminal that knows them, and NO_COLOR is not
/// set.
bool wants_colour(std::FILE* stream);
/// Whether a stream is a terminal on which one can go back and write anew.
bool draws_in_place(std::FILE* stream);
/// Columns that text on a stream may take: COLUMNS if that is set, else those of the terminal;
/// `otherwise` if there is none.
int columns_of(std::FILE* stream, int otherwise);

}  // namespace lmms::app
