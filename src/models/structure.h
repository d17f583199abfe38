#pragma once
/// The structure that a config and the weights beside it make together.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "models/registry.h"

namespace lmms::checkpoint {
class TensorIndex;
}

namespace lmms::models {

/// Makes the model of a config, without memory. As in transformers, a head in the files that is not
/// the embedding is the head, even if the config ties the two; that is told as a warning, and the
/// model's own config says tie_word_embeddings: false. `weights`: nullptr if there are none.
/// `where` names the source of the config in errors; if it is a file, they name the line of the key
/// too. Throws ConfigFault, or another Error.
std::unique_ptr<Model> make_structure(const ModelRegistry& models, const nlohmann::json& config,
                                      const std::string& where,
                                      const checkpoint::TensorIndex* weights);

}  // namespace lmms::models
