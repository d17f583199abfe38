#include "nn/decoder.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "kernels/qkv_attention/qkv_attention.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "nn/param_builder.h"

namespace lmms::nn {
namespace {

DecoderLayer make_layer(ParamBuilder build, const DecoderConfig& c, size_t slot) {
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  DecoderLayer layer;
  layer.name = build.unit;
  layer.input_norm = build.norm("input_layernorm", c.hidden_size);
  Attention& a = layer.attention;
  a.qkv = build.stacked("self_attn.qkv_proj",
                        {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, {q, kv, kv},
                        c.hidden_size, c.qkv_bias);
  a.output = build.linear("self_attn.o_proj", q, c.hidden_size, c.output_bias);
  if (c.qk_norm) {
    a.q_norm = build.norm("self_attn.q_norm", c.head_dim).weight;
    a.k_norm = build.norm("self_attn.k_norm", c.head_dim).weight;
  }
  a.heads = c.heads;
  a.kv_heads = c.kv_heads;
  a.head_dim = c.head_dim;
  a.window = c.windows[slot];
  a.eps = c.rms_norm_eps;
  a.slot = slot;
  layer.post_attention_norm = build.norm("post_attention_layernorm", c.hidden_size);
  layer.mlp = build.glu_mlp("mlp", c.hidden_size, c.intermediate_size, false);
  return layer;
}

}  // namespace

at::Tensor Attention::operator()(const kernels::Normed& x, const DecoderState& state) const {
  const at::Tensor projected = qkv(x, state.how);  // [T, (Nq + 2 Nkv) D]
  kernels::QkvAttention how;
  how.treatment = {heads, kv_heads, head_dim, {}, {}, eps, state.cos, state.sin};
  if (q_norm != nullptr) {
    how.treatment.q_norm = q_norm->handle();
    how.treatment.k_norm = k_norm->handle();
  }
  how.shape = {kernels::Mask::causal, window, 1.0 / std::sqrt(static_cast<double>(head_dim))};
  how.keep_treated = state.how.keep == Keep::everything;
  how.form = state.how.kernels.rope;
  if (state.cache == nullptr)
    return output(kernels::qkv_attention(projected, *state.attention, how));
  const kernels::QkvHeads h = kernels::treated_heads(projected, how);
  const at::Tensor seen = state.cache->attend(slot, h.q, h.k, h.v, *state.attention,
                                              how.shape.scale, window);  // [T, Nq, D]
  return output(seen.reshape({projected.size(0), heads * head_dim}));
}

DecoderState DecoderLayer::operator()(const DecoderState& state) const {
  DecoderState out = state;
  out.delta = attention(out.settle_through(input_norm, state.how), state);
  mlp_half(out, post_attention_norm, mlp, state.how);
  return out;
}

Decoder::Decoder(ParamTable& params, const DecoderConfig& config, const std::string& prefix)
    : config_(config), rotary_(config.rope, config.head_dim) {
  const std::string root = prefix + "root";
  embedding_.weight = &params.add(
      root, prefix + "embed_tokens.weight", {config.vocab_size, config.hidden_size},
      {Init::Law::normal, config.initializer_range, config.pad_token_id}, ParamClass::embedding);
  for (size_t i = 0; i < static_cast<size_t>(config.layers); ++i) {
    const std::string unit = prefix + "layers." + std::to_string(i);
    layers_.push_back(make_layer(
        {params, unit, unit + ".", config.initializer_range, config.rms_norm_eps}, config, i));
  }
  norm_ = ParamBuilder{params, root, prefix, config.initializer_range, config.rms_norm_eps}.norm(
      "norm", config.hidden_size);
}

at::Tensor Decoder::from_embeddings(at::Tensor embeddings, const Batch& batch,
                                    const RunContext& context, const Injection& injection) const {
  DecoderState state;
  state.hidden = std::move(embeddings);
  const bool wide = kernels::has_kernels(state.hidden);  // the kernels take tables in fp32
  std::tie(state.cos, state.sin) =
      rotary_.tables(batch.position_ids, wide ? at::kFloat : state.hidden.scalar_type());
  state.attention = &batch.attention;
  state.cache = batch.cache;
  for (size_t i = 0; i < layers_.size(); ++i) {
    state = run(context, layers_[i], state);
    if (i >= injection.after_layer.size()) continue;
    state.settle();
    state.hidden = kernels::add_rows(state.hidden, injection.rows, injection.after_layer[i]);
  }
  return norm_(state.hidden, state.delta, context.of("")).y;
}

bool Decoder::trains() const {
  bool any = embedding_.weight->trainable || norm_.weight->trainable;
  for (const DecoderLayer& l : layers_) {
    any = any || l.input_norm.weight->trainable || l.post_attention_norm.weight->trainable ||
          l.attention.qkv.trains() || l.attention.output.trains() || l.mlp.gate_up.trains() ||
          l.mlp.down.trains() ||
          (l.attention.q_norm != nullptr &&
           (l.attention.q_norm->trainable || l.attention.k_norm->trainable));
  }
  return any;
}

double Decoder::train_flops(std::span<const int64_t> lengths, bool below_trains) const {
  double tokens = 0;
  for (int64_t n : lengths) tokens += static_cast<double>(n);
  double flops = 0;
  bool flows =
      below_trains || embedding_.weight->trainable;  // does backward go on below this point?
  for (const DecoderLayer& layer : layers_) {
    for (const Linear* l :
         {&layer.attention.qkv, &layer.attention.output, &layer.mlp.gate_up, &layer.mlp.down}) {
      const double product = 2 * tokens * static_cast<double>(l->weight->elements());
      flops += product * (1 + (flows ? 1 : 0) + (l->weight->trainable ? 1 : 0));
      flows = flows || l->weight->trainable;
    }
    const Attention& a = layer.attention;
    for (int64_t length : lengths) {
      const auto n = static_cast<double>(length);
      const double w = a.window > 0 ? std::min(n, static_cast<double>(a.window)) : n;
      const double pairs =
          w * (w + 1) / 2 + (n - w) * w;  // the first w queries see 1..w keys, the others w each
      flops += 4 * static_cast<double>(a.heads * a.head_dim) * pairs * (flows ? 3 : 1);
    }
  }
  return flops;
}

}  // namespace lmms::nn
