#pragma once
/// What a phase runs once.
#include <vector>

#include "nn/batch.h"

namespace lmms::step {

struct MicroStep {
  nn::Batch batch;
  std::vector<double> denominators;  ///< of the step, by term of the objective
};

}  // namespace lmms::step
