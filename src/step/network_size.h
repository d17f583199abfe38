#pragma once
/// How much memory a network takes on its device, from its table of parameters alone.
#include <cstdint>

#include "step/network.h"

namespace lmms::step {

/// Bytes that last on the device, without activations, by what they are for.
struct NetworkSize {
  int64_t trained = 0, frozen = 0;  ///< parameters
  int64_t weights = 0;
  int64_t masters = 0;  ///< 0 where the weights themselves are fp32
  int64_t gradients = 0, optimizer_states = 0, averages = 0;
  int64_t averaged = 0;  ///< parameters that an average follows

  int64_t bytes() const { return weights + masters + gradients + optimizer_states + averages; }
};

NetworkSize network_size(const nn::ParamTable& params, const NetworkOptions& options);

}  // namespace lmms::step
