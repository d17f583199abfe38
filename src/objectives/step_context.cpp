#include "objectives/step_context.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

namespace lmms::objectives {
namespace {

void add_to(at::Tensor& sum, const at::Tensor& value) {
  sum = sum.defined() ? sum + value : value;
}

/// Where ops add the gradient of a weight; undefined: nowhere.
at::Tensor slot_of(const at::Tensor& t) {
  return t.is_leaf() ? t.grad() : at::Tensor();
}

struct HeldSlot {
  at::Tensor slot, before;
};

void hold(std::vector<HeldSlot>& held, const at::Tensor& slot) {
  const auto is_held = [&](const HeldSlot& h) { return h.slot.is_same(slot); };
  if (slot.defined() && std::none_of(held.begin(), held.end(), is_held))
    held.push_back({slot, slot.clone()});
}

}  // namespace

const models::Model& StepContext::model(std::string_view network) const {
  for (const NamedModel& named : in_.models)
    if (named.name == network) return *named.model;
  TORCH_INTERNAL_ASSERT(false, "no network '", network, "'");
}

kernels::LinearLossOptions StepContext::loss_options() const {
  kernels::LinearLossOptions options;
  options.fault = in_.fault;
  return options;
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
  // Ops add the gradient of every weight on the way to its slot, whoever asks: what is asked for is
  // taken from there, and then all slots get back what they had.
  std::vector<HeldSlot> held;
  for (const NamedModel& named : in_.models) {
    for (const nn::Param& param : named.model->params().all())
      if (param.trainable) hold(held, slot_of(param.leaf()));
  }
  for (const at::Tensor& t : of) {
    const at::Tensor slot = slot_of(t);
    hold(held, slot);
    if (slot.defined()) slot.zero_();
  }
  std::vector<at::Tensor> out = torch::autograd::grad(
      {loss}, of.empty() ? std::vector<at::Tensor>() : std::vector(of.begin(), of.end()), {},
      /*retain_graph=*/true, /*create_graph=*/false, /*allow_unused=*/true);
  const c10::NoGradGuard no_grad;
  for (size_t i = 0; i < of.size(); ++i) {
    if (const at::Tensor slot = slot_of(of[i]); slot.defined()) {
      out[i] = out[i].defined() ? out[i] + slot : slot.clone();
    } else if (!out[i].defined()) {
      out[i] = at::zeros_like(of[i]);
    }
  }
  for (const HeldSlot& h : held) h.slot.copy_(h.before);
  return out;
}

}  // namespace lmms::objectives
