#include "objectives/step_context.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

namespace lmms::objectives {
namespace {

void add_to(at::Tensor& sum, const at::Tensor& value) {
  sum = sum.defined() ? sum + value : value;
}

}  // namespace

const models::Model& StepContext::model(std::string_view network) const {
  for (const NamedModel& named : in_.models)
    if (named.name == network) return *named.model;
  TORCH_INTERNAL_ASSERT(false, "no network '", network, "'");
}

void StepContext::backward(const at::Tensor& loss) {
  if (in_.gradients && loss.requires_grad()) torch::autograd::backward({loss}, {});
  add_to(values_.loss, loss.detach());
}

void StepContext::add(size_t term, const at::Tensor& value) {
  if (values_.terms.size() > 1) add_to(values_.terms.at(term), value.detach());
}

std::vector<at::Tensor> StepContext::grad_of(const at::Tensor& loss,
                                             std::span<const at::Tensor> of) const {
  TORCH_INTERNAL_ASSERT(in_.gradients, "an evaluation has no gradients");
  // Our ops add a weight's gradient to its slot, whoever asks: it is taken from there.
  std::vector<at::Tensor> before;
  for (const at::Tensor& t : of) {
    before.push_back(t.is_leaf() && t.grad().defined() ? t.grad().clone() : at::Tensor());
    if (before.back().defined()) t.grad().zero_();
  }
  std::vector<at::Tensor> out = torch::autograd::grad(
      {loss}, of.empty() ? std::vector<at::Tensor>() : std::vector(of.begin(), of.end()), {},
      /*retain_graph=*/true, /*create_graph=*/false, /*allow_unused=*/true);
  const c10::NoGradGuard no_grad;
  for (size_t i = 0; i < of.size(); ++i) {
    if (before[i].defined()) {
      out[i] = out[i].defined() ? out[i] + of[i].grad() : of[i].grad().clone();
      of[i].grad().copy_(before[i]);
    } else if (!out[i].defined()) {
      out[i] = at::zeros_like(of[i]);
    }
  }
  return out;
}

}  // namespace lmms::objectives
