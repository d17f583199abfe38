#pragma once
/// `model_config.overwrite_config`: keys of a model's config.json with other values.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/model.h"

namespace lmms::models {

/// `config` with the values of the map `overwrite`. text_config and vision_config take theirs key
/// by key; any other value is replaced whole. Throws Error(where) for a text_config over a config
/// that keeps those keys at its top.
nlohmann::json overwritten(nlohmann::json config, const nlohmann::json& overwrite,
                           const std::string& where);

/// A key that would change nothing.
struct KeyFault {
  std::string text;  ///< "rms_norm_epss: unknown key; did you mean 'rms_norm_eps'?"
  bool unknown;      ///< or known, and without effect where it stands or beside the others
};

/// The keys of `keys`, laid out as in config.json, that the model does not ask for, unless training
/// has no use for them (use_cache, ids of tokens, architectures, ...): a mistyped one with the
/// nearest that is known, one in the wrong section with its place.
std::vector<KeyFault> key_faults(const nlohmann::json& keys, const Model& model);

/// Throws one Error that names all key_faults of `overwrite`. `where` names overwrite_config.
void check_overwrite(const nlohmann::json& overwrite, const Model& model, const std::string& where);

}  // namespace lmms::models
