#include "models/lmms_engine_flops.h"

namespace lmms::models {

double lmms_engine_flops(const nn::DecoderConfig& c, const Workload& work) {
  const auto H = static_cast<double>(c.hidden_size), I = static_cast<double>(c.intermediate_size);
  const auto Nq = static_cast<double>(c.heads), Nkv = static_cast<double>(c.kv_heads),
             D = static_cast<double>(c.head_dim);
  const auto L = static_cast<double>(c.layers.size());
  const double N =
      L * (3 * H * I + H * D * (2 * Nq + 2 * Nkv)) + 2 * static_cast<double>(c.vocab_size) * H;
  double tokens = 0, squares = 0;
  for (int64_t n : work.lengths) {
    tokens += static_cast<double>(n);
    squares += static_cast<double>(n) * static_cast<double>(n);
  }
  return 6 * N * tokens + 12 * L * Nq * D * squares;
}

}  // namespace lmms::models
