#pragma once
/// `lmms init`: a config for a checkpoint and data, with whatever can be found out.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/place.h"

namespace lmms::train {

struct Registries;

struct InitRequest {
  std::string model;              ///< folder of a checkpoint, or a name of the hub
  std::vector<std::string> data;  ///< files, globs or folders
  std::string output;             ///< the file that will hold the config, for its comments
  std::string command;            ///< as the user typed it, for its comments
  std::optional<std::string> media_folder;
  std::string card;           ///< "cpu", a card by its name, or empty: this machine's GPU
  bool from_scratch = false;  ///< random weights in the shape of the model's config.json
};

struct InitResult {
  std::string yaml;
  /// What was found and chosen, a line each.
  std::vector<std::pair<std::string, std::string>> found;
};

/// Looks at model and data as training will, measures samples, and lets the planner choose for the
/// card. Writes nothing. Throws Error for what cannot be trained, or not on this card.
InitResult init_config(const InitRequest& request, const Place& place,
                       const Registries& registries);

}  // namespace lmms::train
