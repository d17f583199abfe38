#include "step/forward_model.h"

namespace lmms::step {

std::optional<int64_t> known_positions(const nlohmann::json& config) {
  if (!config.is_object()) return std::nullopt;
  const auto positions = config.find("max_position_embeddings");
  if (positions != config.end() && positions->is_number_integer()) return positions->get<int64_t>();
  const auto text = config.find("text_config");
  return text == config.end() ? std::nullopt : known_positions(*text);
}

}  // namespace lmms::step
