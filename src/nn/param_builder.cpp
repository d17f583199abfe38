#include "nn/param_builder.h"

#include <cmath>

namespace lmms::nn {

Init ParamBuilder::matrix_init(int64_t in, int64_t out) const {
  if (glorot) return {Init::Law::uniform, std::sqrt(2.0 / static_cast<double>(in + out)), -1};
  return {Init::Law::normal, std, -1};
}

Init ParamBuilder::bias_init() const {
  return bias_std > 0 ? Init{Init::Law::normal, bias_std, -1} : Init{Init::Law::zeros, 0, -1};
}

const Param* ParamBuilder::vector(const std::string& name, int64_t size, Init::Law law) const {
  return &params.add(unit, prefix + name, {size}, {law, 0, -1}, ParamClass::vector);
}

Norm ParamBuilder::norm(const std::string& name, int64_t size, bool bias) const {
  return {vector(name + ".weight", size, Init::Law::ones),
          bias ? vector(name + ".bias", size, Init::Law::zeros) : nullptr, norm_eps};
}

Linear ParamBuilder::linear(const std::string& name, Width in, Width out, bool bias) const {
  return stacked(name, {name}, {out}, in, bias);
}

Linear ParamBuilder::stacked(const std::string& name, const std::vector<std::string>& names,
                             const std::vector<Width>& rows, Width in, bool bias) const {
  const auto hub = [&](const char* suffix) {
    std::vector<std::string> full;
    for (const std::string& n : names) full.push_back(prefix + n + suffix);
    return full;
  };
  Linear linear;
  // parts have the same number of rows where the law depends on it
  linear.weight = &params.add_stacked(unit, prefix + name + ".weight", hub(".weight"), rows, in,
                                      matrix_init(in.hub, rows[0].hub), ParamClass::matrix);
  if (bias) {
    linear.bias = &params.add_stacked(unit, prefix + name + ".bias", hub(".bias"), rows, {},
                                      bias_init(), ParamClass::vector);
  }
  return linear;
}

DenseMlp ParamBuilder::glu_mlp(const std::string& name, int64_t hidden, int64_t intermediate,
                               bool bias) const {
  const Width inner = inner_width(intermediate);
  const Linear gate_up = stacked(name + ".gate_up_proj", {name + ".gate_proj", name + ".up_proj"},
                                 {inner, inner}, hidden, bias);
  return {gate_up, linear(name + ".down_proj", inner, hidden, bias), kernels::Activation::silu_glu};
}

}  // namespace lmms::nn
