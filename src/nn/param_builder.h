#pragma once
/// Adds the Params of a module's parts below one prefix, with the usual laws of initialisation.
#include <cstdint>
#include <string>
#include <vector>

#include "nn/linear.h"
#include "nn/mlp.h"
#include "nn/param.h"

namespace lmms::nn {

/// Names are those of the checkpoint behind `prefix`. Matrices are drawn normal(0, std); biases
/// start at 0, norms at 1. Fields say otherwise.
struct ParamBuilder {
  ParamTable& params;
  std::string unit, prefix;
  double std = 0.02, norm_eps = 1e-6;
  /// Matrices are drawn uniformly with variance 2 / (in + out) instead (Glorot and Bengio 2010).
  bool glorot = false;
  double bias_std = 0;  ///< biases are drawn normal(0, bias_std)

  const Param* vector(const std::string& name, int64_t size, Init::Law law) const;
  /// RMSNorm, or LayerNorm with a bias.
  Norm norm(const std::string& name, int64_t size, bool bias = false) const;
  Linear linear(const std::string& name, Width in, Width out, bool bias) const;
  /// One product for several projections of the same input: `rows[i]` outputs belong to names[i].
  Linear stacked(const std::string& name, const std::vector<std::string>& names,
                 const std::vector<Width>& rows, Width in, bool bias) const;
  /// gate_proj, up_proj and down_proj below `name`.
  DenseMlp glu_mlp(const std::string& name, int64_t hidden, int64_t intermediate, bool bias) const;

 private:
  Init matrix_init(int64_t in, int64_t out) const;
  Init bias_init() const;
};

}  // namespace lmms::nn
