#include "inspect/machine/kernel_choice.h"

#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <functional>

#include "core/format.h"
#include "kernels/attention/attention.h"
#include "kernels/attention/attention_rule.h"
#include "kernels/device.h"
#include "kernels/linear_loss/linear_loss.h"
#include "kernels/peak.h"
#include "optim/adamw.h"

namespace lmms::inspect {
namespace {

// The first line of what an exception says: the rest is a stack.
std::string tried(const std::function<bool()>& run) {
  std::string said;
  try {
    if (!run()) said = "its result is not finite";
  } catch (const c10::Error& e) {
    said = e.what_without_backtrace();
  } catch (const std::exception& e) {
    said = e.what();
  }
  return said.substr(0, said.find('\n'));
}

bool finite(const at::Tensor& t) {
  return at::isfinite(t).all().item<bool>();
}

// Two segments of 100 and 156 tokens, 2 query heads on 1 KV head of 64.
bool try_attention(const at::TensorOptions& options) {
  const auto ones = [&](int64_t heads) {
    return at::full({256, heads, 64}, 0.5, options).set_requires_grad(true);
  };
  const at::Tensor q = ones(2), k = ones(1), v = ones(1);
  const kernels::AttentionPlan plan = kernels::attention_plan({100, 156}, options.device());
  const at::Tensor out = kernels::attention(q, k, v, plan, {.scale = 0.125});  // [256, 2, 64]
  out.sum().backward();
  return finite(out) && finite(q.grad());
}

bool try_head(const at::TensorOptions& options) {
  const at::Tensor h = at::full({8, 32}, 0.1, options).set_requires_grad(true);
  const at::Tensor W = at::full({64, 32}, 0.1, options).set_requires_grad(true);
  const at::Tensor targets = at::zeros({8}, options.dtype(at::kLong));
  const at::Tensor loss =
      kernels::linear_loss(h, W, targets, at::ones({8}, options.dtype(at::kFloat)));
  loss.backward();
  return finite(loss) && finite(W.grad());
}

bool try_optimizer(const at::TensorOptions& options, at::ScalarType dtype) {
  std::vector<parallel::Bucket> buckets;
  buckets.emplace_back(parallel::BucketLayout{{"try", dtype, /*trainable=*/true}, dtype},
                       std::vector<parallel::BucketEntry>{{"w", {1000}, true}}, options.device());
  buckets.front().local().gradients.fill_(0.5);
  const optim::OptimizerConfig config;
  optim::StepDecision decision(buckets, config.max_grad_norm);
  optim::Adamw adamw({.buckets = buckets, .config = config});
  const double rate = 1e-3;
  decision.decide(at::ones({}, options.dtype(at::kFloat)));
  adamw.update(decision, {&rate, 1});
  return decision.control().applied == 1 && finite(buckets.front().local().weights);
}

}  // namespace

std::vector<KernelChoice> kernel_choices(c10::Device device, c10::ScalarType dtype) {
  const auto options = at::TensorOptions().device(device).dtype(dtype);
  const std::string numbers = dtype == c10::kFloat ? "fp32" : "bf16";
  const bool cuda = device.is_cuda();
  const kernels::AttentionChoice attention =
      kernels::attention_choice(kernels::attention_device(device), dtype);
  kernels::Peak peak;
  const std::string products = tried([&] {
    peak = kernels::peak_of(device, dtype);
    const at::Tensor a = at::ones({64, 64}, options);
    return finite(at::mm(a, a));
  });
  return {
      {"matrix products", numbers,
       peak.flops_per_second < 1e12
           ? fmt::format("ATen, {:.3g} GFLOP/s at most", peak.flops_per_second / 1e9)
           : fmt::format("ATen, {:.3g} TFLOP/s at most", peak.flops_per_second / 1e12),
       peak.source + "; MFU is a share of it", products},
      {"attention", numbers, attention.kernel, attention.why,
       tried([&] { return try_attention(options); })},
      {"head and loss", numbers, "chunked linear cross entropy over ATen's matrix products",
       "the logits of all tokens never exist at once", tried([&] { return try_head(options); })},
      {"AdamW", numbers,
       cuda ? "own CUDA kernel, one pass over the buckets"
            : "own loop over the buckets, on all threads",
       "norm, clip and update without waiting for the host",
       tried([&] { return try_optimizer(options, dtype); })},
  };
}

std::vector<KernelChoice> merged(const std::vector<KernelChoice>& choices) {
  std::vector<KernelChoice> out;
  for (const KernelChoice& choice : choices) {
    const auto same = std::find_if(out.begin(), out.end(), [&](const KernelChoice& other) {
      return other.op == choice.op && other.kernel == choice.kernel && other.why == choice.why &&
             other.trouble == choice.trouble;
    });
    if (same == out.end())
      out.push_back(choice);
    else
      same->numbers += ", " + choice.numbers;
  }
  return out;
}

}  // namespace lmms::inspect
