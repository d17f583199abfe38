#include "nn/run.h"

#include <ATen/core/ivalue.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>
#include <optional>
#include <string>

namespace lmms::nn::detail {
namespace {

using torch::autograd::AutogradContext;

/// A scope that can be opened once more.
struct ScopeCopy {
  std::string unit;
  UnitRun how;
};

std::optional<ScopeCopy> copy_of_innermost() {
  const Scope* scope = Scope::innermost();
  return scope == nullptr ? std::nullopt : std::optional(ScopeCopy{scope->unit(), scope->how()});
}

struct Call {
  std::function<Tensors(const Tensors&)> unit;
  std::optional<ScopeCopy> scope;
  std::vector<size_t> given;  // inputs that are defined: those that autograd sees
  std::vector<size_t> fresh;  // outputs that are defined and not inputs handed through
  size_t inputs = 0;
  Tensors outputs;  // of the forward, without the fresh ones; until the caller takes them

  /// All inputs, of those that are defined.
  Tensors whole(const Tensors& defined) const {
    Tensors all(inputs);
    for (size_t i = 0; i < given.size(); ++i) all[given[i]] = defined[i];
    return all;
  }
};

struct Recompute : torch::autograd::Function<Recompute> {
  static Tensors forward(AutogradContext* ctx, const std::shared_ptr<Call>& call,
                         at::TensorList inputs) {
    const Tensors defined(inputs.begin(), inputs.end());
    const Tensors in = call->whole(defined);
    call->outputs = call->unit(in);  // grad mode is off inside a Function
    Tensors fresh;
    for (size_t i = 0; i < call->outputs.size(); ++i) {
      at::Tensor& out = call->outputs[i];
      if (!out.defined() || (i < in.size() && out.is_same(in[i]))) continue;
      call->fresh.push_back(i);
      fresh.push_back(std::move(out));
    }
    ctx->save_for_backward(defined);
    ctx->saved_data["call"] = c10::IValue::make_capsule(c10::make_intrusive<Holder>(call));
    return fresh;
  }

  static Tensors backward(AutogradContext* ctx, Tensors grads) {
    const auto holder =
        c10::static_intrusive_pointer_cast<Holder>(ctx->saved_data["call"].toCapsule());
    const Call& call = *holder->call;
    std::optional<Scope> scope;  // around the backward too, which needs the weights as well
    if (call.scope) scope.emplace(call.scope->unit, call.scope->how);
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
      all = call.unit(call.whole(in));
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

bool recompute_applies(const UnitRun& how) {
  return how.keep == Keep::inputs && at::GradMode::is_enabled();
}

Tensors run_recomputed(const std::function<Tensors(const Tensors&)>& unit, const Tensors& inputs) {
  auto call = std::make_shared<Call>();
  call->unit = unit;
  call->scope = copy_of_innermost();
  call->inputs = inputs.size();
  Tensors defined;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined()) continue;
    call->given.push_back(i);
    defined.push_back(inputs[i]);
  }
  // Without an input that needs a gradient autograd would drop the whole unit, weights included (a
  // frozen embedding): a dummy leaf keeps it in the graph.
  defined.push_back(at::zeros({}, at::TensorOptions().dtype(at::kFloat)).set_requires_grad(true));
  const at::TensorList list(defined);
  Tensors fresh = Recompute::apply(call, list);
  // Inputs handed through are taken from the caller's, which are part of the graph.
  Tensors out = std::move(call->outputs);
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i].defined()) out[i] = inputs[i];
  }
  for (size_t i = 0; i < fresh.size(); ++i) out[call->fresh[i]] = std::move(fresh[i]);
  return out;
}

}  // namespace lmms::nn::detail
