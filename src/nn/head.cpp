#include "nn/head.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/logsumexp.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <vector>

#include "nn/scope.h"

namespace lmms::nn {

at::Tensor Head::loss(const at::Tensor& h, const at::Tensor& targets, const at::Tensor& weights,
                      kernels::LinearLossOptions options, const RunContext& context) const {
  const Scope opened = scope(context, weight->unit);
  const kernels::Weight W = weight->handle();
  options.weight_gradient = W.slot;
  const auto loss = opened.how().kernels.loss == kernels::Form::fused
                        ? &kernels::linear_loss
                        : &kernels::linear_loss_reference;
  return loss(h, W.value, targets, weights, options);
}

at::Tensor Head::log_probabilities(const at::Tensor& h, const at::Tensor& targets,
                                   const RunContext& context) const {
  constexpr int64_t kChunkBytes = int64_t{256} << 20;  // of fp32 logits
  const c10::NoGradGuard no_grad;
  const Scope opened = scope(context, weight->unit);
  const at::Tensor& W = weight->value();  // [V, H]
  const int64_t N = h.size(0), rows = std::max<int64_t>(1, kChunkBytes / (4 * W.size(0)));
  std::vector<at::Tensor> chunks;
  for (int64_t begin = 0; begin == 0 || begin < N; begin += rows) {  // at least one: N may be 0
    const int64_t n = std::min(rows, N - begin);
    const at::Tensor x = at::linear(h.narrow(0, begin, n), W).to(at::kFloat);  // [n, V]
    const at::Tensor picked = x.gather(1, targets.narrow(0, begin, n).unsqueeze(1)).squeeze(1);
    chunks.push_back(picked - at::logsumexp(x, 1));
  }
  return at::cat(chunks);
}

at::Tensor Head::logits(const at::Tensor& h, const RunContext& context) const {
  const Scope opened = scope(context, weight->unit);
  return at::linear(h, weight->value());
}

double Head::train_flops(int64_t positions, bool below_trains) const {
  return 2.0 * static_cast<double>(positions) * static_cast<double>(weight->elements()) *
         (1 + (below_trains ? 1 : 0) + (weight->trainable ? 1 : 0));
}

Head add_head(ParamTable& params, const Decoder& decoder, bool tied, const std::string& prefix) {
  const Param& embedding = *decoder.embedding().weight;
  const std::string name = prefix + "lm_head.weight";
  params.set_head({name, embedding.name});
  if (tied) return {&embedding};
  const DecoderConfig& c = decoder.config();
  return {&params.add(prefix + "lm_head", name, {c.vocab_size, c.hidden_size},
                      {Init::Law::normal, c.initializer_range, -1}, ParamClass::embedding)};
}

}  // namespace lmms::nn
