#pragma once
/// Which weights a model's operators read.
#include <functional>
#include <string>
#include <vector>

#include "step/step.h"

namespace lmms::parity {

/// The weights that operators read while `run` runs, in order; one that is read again at once
/// stands once.
std::vector<std::string> weights_read(const step::Network& network,
                                      const std::function<void()>& run);

}  // namespace lmms::parity
