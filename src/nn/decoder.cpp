#include "nn/decoder.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "kernels/form.h"
#include "kernels/scatter_rows/scatter_rows.h"
#include "nn/attention.h"
#include "nn/param_builder.h"

namespace lmms::nn {
namespace {

std::unique_ptr<Mixer> make_attention(const ParamBuilder& build, const DecoderConfig& c,
                                      size_t index) {
  const int64_t q = c.heads * c.head_dim, kv = c.kv_heads * c.head_dim;
  auto a = std::make_unique<Attention>();
  a->qkv = build.stacked("self_attn.qkv_proj",
                         {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, {q, kv, kv},
                         c.hidden_size, c.qkv_bias);
  a->output = build.linear("self_attn.o_proj", q, c.hidden_size, c.output_bias);
  if (c.qk_norm) {
    a->q_norm = build.norm("self_attn.q_norm", c.head_dim).weight;
    a->k_norm = build.norm("self_attn.k_norm", c.head_dim).weight;
  }
  a->heads = c.heads;
  a->kv_heads = c.kv_heads;
  a->head_dim = c.head_dim;
  a->window = c.layers[index].window;
  a->eps = c.rms_norm_eps;
  a->slot = index;
  return a;
}

std::unique_ptr<Mixer> make_mixer(const ParamBuilder& build, const DecoderConfig& c, size_t index) {
  switch (c.layers[index].mixer) {
    case MixerKind::attention:
      return make_attention(build, c, index);
  }
  TORCH_INTERNAL_ASSERT(false, build.unit, ": a mixer of no known kind");
}

std::unique_ptr<Mlp> make_mlp(const ParamBuilder& build, const DecoderConfig& c, size_t index) {
  switch (c.layers[index].mlp) {
    case MlpKind::dense:
      return std::make_unique<DenseMlp>(
          build.glu_mlp("mlp", c.hidden_size, c.intermediate_size, c.mlp_bias));
  }
  TORCH_INTERNAL_ASSERT(false, build.unit, ": an MLP of no known kind");
}

DecoderLayer make_layer(const ParamBuilder& build, const DecoderConfig& c, size_t index) {
  DecoderLayer layer;
  layer.name = build.unit;
  layer.index = index;
  layer.input_norm = build.norm("input_layernorm", c.hidden_size);
  layer.mixer = make_mixer(build, c, index);
  layer.post_attention_norm = build.norm("post_attention_layernorm", c.hidden_size);
  layer.mlp = make_mlp(build, c, index);
  return layer;
}

}  // namespace

DecoderState DecoderLayer::operator()(const DecoderState& state) const {
  DecoderState out = state;
  out.delta = (*mixer)(out.settle_through(input_norm, state.how), state);
  mlp_half(out, post_attention_norm, *mlp, state.how);
  if (index < state.features.size()) {
    out.settle();
    out.hidden = kernels::add_rows(out.hidden, state.feature_rows, state.features[index]);
    out.features[index] = at::Tensor();
  }
  return out;
}

bool DecoderLayer::trains() const {
  return input_norm.trains() || post_attention_norm.trains() || mixer->trains() || mlp->trains();
}

void DecoderLayer::count(ChainFlops& chain, std::span<const int64_t> lengths,
                         double extra_pairs) const {
  double tokens = 0;
  for (const int64_t n : lengths) tokens += static_cast<double>(n);
  mixer->count(chain, lengths, extra_pairs);
  mlp->count(chain, tokens);
}

Decoder::Decoder(ParamTable& params, const DecoderConfig& config, const std::string& prefix)
    : config_(config), root_(prefix + "root"), rotary_(config.rope, config.head_dim) {
  embedding_.weight = &params.add(
      root_, prefix + "embed_tokens.weight", {config.vocab_size, config.hidden_size},
      {Init::Law::normal, config.initializer_range, config.pad_token_id}, ParamClass::embedding);
  const auto below = [&](const std::string& unit, const std::string& names) {
    return ParamBuilder{params, unit, names, config.initializer_range, config.rms_norm_eps};
  };
  for (size_t i = 0; i < config.layers.size(); ++i) {
    const std::string unit = prefix + "layers." + std::to_string(i);
    layers_.push_back(make_layer(below(unit, unit + "."), config, i));
  }
  norm_ = below(root_, prefix).norm("norm", config.hidden_size);
}

at::Tensor Decoder::embed(const Batch& batch, const RunContext& context) const {
  const Scope weights = scope(context, root_);
  return embedding_(batch.input_ids, batch.embedding);
}

DecoderState Decoder::enter(at::Tensor embeddings, const Batch& batch,
                            const Injection& injection) const {
  DecoderState state;
  state.hidden = std::move(embeddings);
  const bool wide = kernels::has_kernels(state.hidden);  // the kernels take tables in fp32
  std::tie(state.cos, state.sin) =
      rotary_.tables(batch.position_ids, wide ? at::kFloat : state.hidden.scalar_type());
  if (!injection.after_layer.empty()) {
    state.feature_rows = injection.rows;
    state.features = injection.after_layer;
  }
  state.attention = &batch.attention;
  state.cache = batch.cache;
  return state;
}

DecoderState Decoder::run_layers(DecoderState state, size_t first, size_t last,
                                 const RunContext& context) const {
  for (size_t i = first; i < last; ++i) state = run(context, layers_[i], std::move(state));
  return state;
}

Hidden Decoder::leave(const DecoderState& state, const RunContext& context) const {
  const Scope weights = scope(context, root_);
  return {norm_(state.hidden, state.delta, weights.how()).y};
}

Hidden Decoder::from_embeddings(at::Tensor embeddings, const Batch& batch,
                                const RunContext& context, const Injection& injection) const {
  return leave(
      run_layers(enter(std::move(embeddings), batch, injection), 0, layers_.size(), context),
      context);
}

bool Decoder::trains() const {
  return embedding_.weight->trainable || norm_.trains() ||
         std::any_of(layers_.begin(), layers_.end(),
                     [](const DecoderLayer& layer) { return layer.trains(); });
}

double Decoder::train_flops(std::span<const int64_t> lengths, bool below_trains,
                            double extra_pairs) const {
  ChainFlops chain;
  chain.flows = below_trains || embedding_.weight->trainable;
  for (const DecoderLayer& layer : layers_) layer.count(chain, lengths, extra_pairs);
  return chain.flops;
}

}  // namespace lmms::nn
