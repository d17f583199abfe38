#pragma once
/// What a phase of an objective sees of a step.
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/linear_loss/linear_loss.h"
#include "models/model.h"
#include "nn/batch.h"
#include "nn/run_context.h"

namespace lmms::objectives {

/// A network as objectives see it.
struct NamedModel {
  std::string name;
  const models::Model* model = nullptr;
};

/// Sums over the micro-steps of a step, fp32 scalars on the device; undefined: nothing was added.
struct StepValues {
  at::Tensor loss;                ///< of what went backward
  std::vector<at::Tensor> terms;  ///< by term; where there is one only, the loss is it
};

/// One micro-step of one phase.
class StepContext {
 public:
  struct Inputs {
    std::span<const NamedModel> models;
    const nn::Batch& batch;
    const nn::RunContext& run;
    std::span<const double> denominators = {};  ///< by term
    at::Tensor fault = {};  ///< int32 scalar on the device; undefined: none is kept
    bool gradients = true;  ///< false: an evaluation
  };
  /// `values`, as many terms as the objective has, outlives it.
  StepContext(const Inputs& inputs, StepValues& values) : in_(inputs), values_(values) {}

  const nn::Batch& batch() const { return in_.batch; }
  const nn::RunContext& run() const { return in_.run; }
  const models::Model& model(std::string_view network) const;
  /// Of a term, over all micro-steps and ranks of the step. Goes into the weights of the term
  /// before the loss is computed: ops make gradients in the forward.
  double denominator(size_t term) const { return in_.denominators[term]; }
  /// Where ops note what only the device can find out (kernels::StepFault).
  const at::Tensor& fault() const { return in_.fault; }
  /// For LanguageModel::loss, with the fault set.
  kernels::LinearLossOptions loss_options() const;

  /// Adds the gradients of a scalar to those of the phase's network, and its value to the loss of
  /// the step. Of several, each takes its graph with it.
  void backward(const at::Tensor& loss);
  /// Adds the value of a term, as it stands in the loss: with its denominator and factors. Not
  /// needed where there is only one.
  void add(size_t term, const at::Tensor& value);
  /// The gradients of a scalar with respect to `of`, tensors of its graph or weights; it keeps its
  /// graph. Those of all weights are afterwards as they were before: a copy of the ones that train
  /// is held meanwhile. Weights must belong to the phase's network and to units that keep
  /// everything (nn::Keep); a head that linear_loss serves has none.
  std::vector<at::Tensor> grad_of(const at::Tensor& loss, std::span<const at::Tensor> of) const;

 private:
  Inputs in_;
  StepValues& values_;
};

}  // namespace lmms::objectives
