#pragma once
/// What is minimised. An objective asks a model for a capability and turns a micro-step into loss
/// terms.
#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/model.h"
#include "nn/batch.h"
#include "nn/run.h"

namespace lmms::objectives {

/// The losses of one micro-step. Every term is already divided by its denominator over the whole
/// step, so that micro-steps and ranks add up and backward needs no factor.
struct Losses {
  at::Tensor total;                                       ///< fp32 scalar
  std::vector<std::pair<std::string, at::Tensor>> terms;  ///< named parts, where there are several
};

class Objective {
 public:
  virtual ~Objective() = default;
  virtual const char* name() const = 0;
  /// Throws Error if the model lacks a capability that the objective needs.
  virtual void check(const models::Model& model, const std::string& where) const = 0;
  virtual Losses losses(const models::Model& model, const nn::Batch& batch,
                        const nn::RunContext& context) const = 0;
};

/// Cross entropy of the next token, weighted per target.
std::unique_ptr<Objective> next_token();

}  // namespace lmms::objectives
