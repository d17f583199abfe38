#include "train/exhibit.h"

namespace lmms::train {

std::optional<double> Shown::metric(const std::string& field) const {
  const auto found = metrics.find(field);
  if (found == metrics.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

}  // namespace lmms::train
