// RecordFunction has a member less where libtorch was compiled: it defines NDEBUG.
#ifndef NDEBUG
#define NDEBUG
#endif
#include "nn/run.h"

#include <ATen/core/ivalue.h>
#include <ATen/ops/zeros.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>

namespace lmms::nn::detail {
namespace {

using torch::autograd::AutogradContext;

struct Call {
  std::function<Tensors(const Tensors&)> unit;
  std::vector<size_t> fresh;  // outputs that are not inputs handed through
  size_t outputs = 0;
};

struct Recompute : torch::autograd::Function<Recompute> {
  static Tensors forward(AutogradContext* ctx, const std::shared_ptr<Call>& call,
                         at::TensorList inputs) {
    const Tensors in(inputs.begin(), inputs.end());
    const Tensors all = call->unit(in);  // grad mode is off inside a Function
    call->outputs = all.size();
    Tensors fresh;
    for (size_t i = 0; i < all.size(); ++i) {
      if (i < in.size() && all[i].is_same(in[i])) continue;
      call->fresh.push_back(i);
      fresh.push_back(all[i]);
    }
    ctx->save_for_backward(in);
    ctx->saved_data["call"] = c10::IValue::make_capsule(c10::make_intrusive<Holder>(call));
    return fresh;
  }

  static Tensors backward(AutogradContext* ctx, Tensors grads) {
    const auto holder =
        c10::static_intrusive_pointer_cast<Holder>(ctx->saved_data["call"].toCapsule());
    const Call& call = *holder->call;
    Tensors in = ctx->get_saved_variables();
    for (at::Tensor& t : in) {
      if (!t.defined()) continue;
      const bool wants = t.requires_grad();
      t = t.detach();
      t.set_requires_grad(wants);
    }
    Tensors all;
    {
      at::AutoGradMode on(true);
      all = call.unit(in);
    }
    Tensors roots, root_grads;
    for (size_t i = 0; i < call.fresh.size(); ++i) {
      if (!all[call.fresh[i]].requires_grad() || !grads[i].defined()) continue;
      roots.push_back(all[call.fresh[i]]);
      root_grads.push_back(grads[i]);
    }
    if (!roots.empty()) torch::autograd::backward(roots, root_grads);
    Tensors result{at::Tensor()};  // of `call`
    for (const at::Tensor& t : in) result.push_back(t.defined() ? t.grad() : at::Tensor());
    return result;
  }

 private:
  struct Holder : torch::CustomClassHolder {
    explicit Holder(std::shared_ptr<Call> c) : call(std::move(c)) {}
    std::shared_ptr<Call> call;
  };
};

}  // namespace

ProfiledRange::ProfiledRange(const std::string& name) {
  if (!at::hasCallbacks()) return;
  range_ = std::make_unique<at::RecordFunction>(at::RecordScope::USER_SCOPE);
  if (range_->isActive()) range_->before(name);
}
ProfiledRange::~ProfiledRange() = default;

bool recompute_applies(const UnitRun& how) {
  return how.keep == Keep::inputs && at::GradMode::is_enabled();
}

Tensors run_recomputed(const std::function<Tensors(const Tensors&)>& unit, const Tensors& inputs) {
  auto call = std::make_shared<Call>(Call{unit, {}, 0});
  // Without an input that needs a gradient autograd would drop the whole unit, weights included (a
  // frozen embedding): a dummy leaf keeps it in the graph.
  Tensors in = inputs;
  in.push_back(at::zeros({}, at::TensorOptions().dtype(at::kFloat)).set_requires_grad(true));
  const at::TensorList list(in);
  Tensors fresh = Recompute::apply(call, list);
  Tensors out = inputs;
  out.resize(call->outputs);
  for (size_t i = 0; i < fresh.size(); ++i) out[call->fresh[i]] = std::move(fresh[i]);
  return out;
}

}  // namespace lmms::nn::detail
