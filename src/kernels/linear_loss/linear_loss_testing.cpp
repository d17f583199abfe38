#include "kernels/linear_loss/linear_loss_testing.h"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>

#include "core/error.h"
#include "kernels/op_testing.h"
#include "kernels/step_control/step_control.h"

namespace lmms::kernels::testing {

LinearLossProblem problem_of(const LinearLossCase& c, at::ScalarType dtype, at::Device device) {
  const double scale = 6.0 / std::sqrt(static_cast<double>(c.H));
  return {(random("h", {c.N, c.H}) * 2.0).to(device).to(dtype),
          (random("W", {c.V, c.H}) * scale).to(device).to(dtype),
          ((random("t", {c.N}) + 1.0) * 0.5 * static_cast<double>(c.V))
              .floor()
              .clamp(0, c.V - 1)
              .to(at::kLong)
              .to(device),
          (random("w", {c.N}) + 1.5).to(device)};
}

void expect_scaled_losses_found(at::ScalarType dtype, at::Device device) {
  const LinearLossProblem p = problem_of({13, 37, 8, 5, kOnBoth}, dtype, device);
  at::Tensor h;
  LinearLossOptions options;
  options.weight_gradient = at::zeros_like(p.W);
  const auto fault_of = [&](const std::function<at::Tensor(at::Tensor, at::Tensor)>& combine) {
    options.fault = at::zeros({}, p.targets.options().dtype(at::kInt));
    const auto loss = [&] { return linear_loss(h, p.W, p.targets, p.weights, options); };
    torch::autograd::backward({combine(loss(), loss())}, {});
    return static_cast<StepFault>(options.fault.item<int32_t>());
  };
  using T = const at::Tensor&;
  for (const bool below_trains : {true, false}) {
    SCOPED_TRACE(below_trains ? "h trains" : "the head alone trains");
    h = p.h.clone().set_requires_grad(below_trains);
    EXPECT_EQ(fault_of([](T a, T b) { return a + b; }), StepFault::none);
    EXPECT_EQ(fault_of([](T a, T b) { return a * 1.0 + b; }), StepFault::none);
    EXPECT_EQ(fault_of([](T a, T b) { return a + b * 0.5; }), StepFault::scaled_loss);
    EXPECT_EQ(fault_of([](T a, T b) { return b * 0.5 + a; }), StepFault::scaled_loss)
        << "one loss without a fault does not take back what another found";
    EXPECT_EQ(fault_of([](T a, T b) { return (a + b) / 2; }), StepFault::scaled_loss) << "mean";
    EXPECT_EQ(fault_of([](T a, T) { return a + a; }), StepFault::scaled_loss) << "twice the same";

    options.fault = at::Tensor();
    const auto loss = [&] { return linear_loss(h, p.W, p.targets, p.weights, options); };
    torch::autograd::backward({loss() + loss()}, {});
    EXPECT_THROW(torch::autograd::backward({loss() * 3.0}, {}), Error);
  }
}

}  // namespace lmms::kernels::testing
