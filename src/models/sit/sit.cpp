#include "models/sit/sit.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cos.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/sin.h>

#include <cmath>

#include "kernels/dims.h"
#include "kernels/qkv_attention/qkv_attention.h"
#include "models/registry.h"
#include "models/sit/processor.h"
#include "nn/param_builder.h"

// T tokens (patches, perhaps a pad behind them) of S samples with N each, width H; C channels.

namespace lmms::models::sit {
namespace {

constexpr double kNormEps = 1e-6;
constexpr int64_t kFrequencies = 128;  // of a time, each as cosine and sine
constexpr char kRoot[] = "root";       // the unit of what stands outside of blocks

nn::ParamBuilder builder(nn::ParamTable& params, const std::string& unit,
                         const std::string& prefix) {
  nn::ParamBuilder build{params, unit, prefix};
  build.glorot = true;
  return build;
}

// A product that is 0 at first: adaLN-Zero.
nn::Linear zero_linear(nn::ParamTable& params, const std::string& unit, const std::string& name,
                       int64_t in, int64_t out) {
  const nn::Init zeros{nn::Init::Law::zeros, 0, -1};
  return {&params.add(unit, name + ".weight", {out, in}, zeros, nn::ParamClass::matrix),
          &params.add(unit, name + ".bias", {out}, zeros, nn::ParamClass::vector)};
}

// The weights of a product that is computed in fp32, whatever they are kept in.
kernels::LinearWeights in_fp32(const nn::Linear& linear) {
  kernels::LinearWeights w{linear.weight->handle(), linear.bias->handle()};
  w.weight.value = w.weight.value.to(at::kFloat);
  w.bias.value = w.bias.value.to(at::kFloat);
  return w;
}

// The condition stays in fp32, so that what all blocks make of its gradient is summed in fp32.
at::Tensor modulated(const nn::Linear& linear, const at::Tensor& condition) {
  return linear(condition.to(linear.weight->value().scalar_type()));
}

// t [S] -> [S, 2 * kFrequencies] fp32: cosines, then sines of t * 10000^(-i / kFrequencies).
at::Tensor time_waves(const at::Tensor& t) {
  const at::Tensor i = at::arange(kFrequencies, t.options().dtype(at::kFloat));
  const at::Tensor frequencies = at::exp(i * (-std::log(10000.0) / kFrequencies));
  const at::Tensor angles = t.to(at::kFloat).unsqueeze(1) * frequencies;  // [S, kFrequencies]
  return at::cat({at::cos(angles), at::sin(angles)}, 1);
}

}  // namespace

State Block::operator()(const State& state) const {
  const nn::UnitRun& how = state.how;
  const int64_t D = qkv.weight->shape[0] / 3 / heads;
  State out = state;
  const std::vector<nn::Modulation> by = nn::halves_of(modulated(modulation, state.condition), 2);
  const kernels::Normed normed = out.settle_through(by[0].shift, by[0].scale, kNormEps, how);
  kernels::QkvAttention attention;
  attention.norm_rope = {heads, heads, D, {}, {}, 0, {}, {}};
  attention.shape = {0, 1.0 / std::sqrt(static_cast<double>(D))};
  attention.form = how.kernels.rope;
  out.delta = proj(kernels::qkv_attention(qkv(normed, how), *state.plan, attention));
  out.gate = by[0].gate;
  nn::modulated_mlp_half(out, by[1], kNormEps, mlp, how);
  return out;
}

void Block::count(nn::ChainFlops& tokens, nn::ChainFlops& condition, double P, double S,
                  double pairs) const {
  condition.product(*modulation.weight, S);
  tokens.flows = tokens.flows || condition.flows;
  tokens.product(*qkv.weight, P);
  tokens.attention(static_cast<double>(proj.weight->shape[0]), pairs);
  tokens.product(*proj.weight, P);
  mlp.count(tokens, P);
}

Sit::Sit(const nlohmann::json& config, const std::string& where)
    : Model(config, "SiTModel"), settings_(read_config({config_, where, &keys_read_})) {
  add_embeddings();
  for (int64_t i = 0; i < settings_.depth; ++i) blocks_.push_back(add_block(i));
  add_final_layer();
  params_.also_read("", "model.");  // lmms_engine, whose files hold an autoencoder too
}

void Sit::add_embeddings() {
  const Config& c = settings_;
  const int64_t H = c.hidden_size, width = c.latent.patch_values();
  const nn::ParamBuilder root = builder(params_, kRoot, "");
  const nn::Init glorot{nn::Init::Law::uniform, std::sqrt(2.0 / static_cast<double>(width + H)),
                        -1};
  patch_embed_.weight = &params_.add(kRoot, "x_embedder.proj.weight",
                                     {H, c.latent.channels, c.latent.patch, c.latent.patch}, glorot,
                                     nn::ParamClass::matrix);
  patch_embed_.bias = root.vector("x_embedder.proj.bias", H, nn::Init::Law::zeros);
  nn::Param& positions = params_.add(kRoot, "pos_embed", {1, c.latent.patches(), H},
                                     {nn::Init::Law::sincos_2d, 0, -1}, nn::ParamClass::embedding);
  positions.trainable = false;
  positions_ = &positions;
  nn::ParamBuilder time = root;
  time.glorot = false;
  time_in_ = time.linear("t_embedder.mlp.0", 2 * kFrequencies, H, true);
  time_out_ = time.linear("t_embedder.mlp.2", H, H, true);
  class_table_.weight =
      &params_.add(kRoot, "y_embedder.embedding_table.weight", {c.class_rows(), H},
                   {nn::Init::Law::normal, 0.02, -1}, nn::ParamClass::embedding);
}

Block Sit::add_block(int64_t index) {
  const int64_t H = settings_.hidden_size, inner = settings_.intermediate_size;
  const std::string name = "blocks." + std::to_string(index);
  const nn::ParamBuilder build = builder(params_, name, name + ".");
  Block block;
  block.name = name;
  block.heads = settings_.heads;
  block.qkv = build.linear("attn.qkv", H, 3 * H, true);
  block.proj = build.linear("attn.proj", H, H, true);
  const nn::Width width = nn::inner_width(inner);
  const nn::Linear up = build.linear("mlp.fc1", H, width, true);
  block.mlp = {up, build.linear("mlp.fc2", width, H, true), kernels::Activation::gelu_tanh};
  block.modulation = zero_linear(params_, name, build.prefix + "adaLN_modulation.1", H, 6 * H);
  return block;
}

void Sit::add_final_layer() {
  const int64_t H = settings_.hidden_size, patch = settings_.latent.patch;
  final_ = zero_linear(params_, kRoot, "final_layer.linear", H,
                       patch * patch * settings_.out_channels());
  final_modulation_ = zero_linear(params_, kRoot, "final_layer.adaLN_modulation.1", H, 2 * H);
}

at::Tensor Sit::embed(const NoisyInput& in) const {
  kernels::LinearWeights w{patch_embed_.weight->handle(), patch_embed_.bias->handle()};
  w.weight.value = w.weight.value.flatten(1);
  if (w.weight.slot.defined()) w.weight.slot = w.weight.slot.flatten(1);
  const at::Tensor embedded = kernels::linear(in.x.to(w.weight.value.scalar_type()), w);  // [T, H]
  const int64_t S = in.t.size(0), N = settings_.latent.patches(), H = settings_.hidden_size;
  const at::Tensor placed =
      (embedded.narrow(0, 0, S * N).view({S, N, H}) + positions_->value()).view({S * N, H});
  if (embedded.size(0) == S * N) return placed;
  return at::cat({placed, embedded.narrow(0, S * N, embedded.size(0) - S * N)});
}

at::Tensor Sit::condition(const NoisyInput& in) const {
  const at::Tensor waves = time_waves(in.t);
  const at::Tensor time =
      kernels::linear(at::silu(kernels::linear(waves, in_fp32(time_in_))), in_fp32(time_out_));
  const at::Tensor classes = class_table_(in.classes);
  return at::silu(time + classes);
}

at::Tensor Sit::head(State state, const nn::UnitRun& how) const {
  const int64_t H = settings_.hidden_size, patch = settings_.latent.patch,
                C = settings_.latent.channels;
  const at::Tensor by = modulated(final_modulation_, state.condition).to(at::kFloat);  // [S, 2 H]
  const kernels::Normed normed =
      state.settle_through(by.narrow(1, 0, H), by.narrow(1, H, H), kNormEps, how);
  const at::Tensor out = final_(normed, how);  // [T, patch * patch * out_channels], channels last
  return out.view({out.size(0), patch, patch, settings_.out_channels()})
      .narrow(3, 0, C)
      .permute({0, 3, 1, 2})
      .to(at::kFloat)
      .reshape({out.size(0), settings_.latent.patch_values()});
}

at::Tensor Sit::predict(const NoisyInput& in, const nn::RunContext& context) const {
  const auto [T, W] = kernels::dims<2>(in.x, "x");
  const int64_t S = in.t.size(0), N = settings_.latent.patches();
  TORCH_INTERNAL_ASSERT(W == settings_.latent.patch_values() && T >= S * N &&
                            in.classes.dim() == 1 && in.classes.size(0) == S,
                        "x ", in.x.sizes(), ", t ", in.t.sizes(), ", classes ", in.classes.sizes(),
                        " for patches of ", settings_.latent.patch_values(), " values, ", N,
                        " a sample");
  State state;
  state.plan = std::make_shared<kernels::AttentionPlan>(in.attention);
  state.rows = kernels::rows_of_segments(in.attention, S);
  {
    const nn::Scope weights = nn::scope(context, kRoot);
    state.condition = condition(in);
    state.hidden = embed(in);
  }
  for (const Block& block : blocks_) state = nn::run(context, block, std::move(state));
  const nn::Scope weights = nn::scope(context, kRoot);
  return head(std::move(state), weights.how());
}

double Sit::train_flops(const Workload& work) const {
  const auto S = static_cast<double>(work.lengths.size());
  double P = 0, pairs = 0;
  for (const int64_t n : work.lengths) {
    P += static_cast<double>(n);
    pairs += static_cast<double>(n) * static_cast<double>(n);
  }
  nn::ChainFlops condition, tokens;
  condition.product(*time_in_.weight, S);
  condition.flows = condition.flows || time_in_.trains();
  condition.product(*time_out_.weight, S);
  condition.flows = condition.flows || time_out_.trains() || class_table_.weight->trainable;
  tokens.product(*patch_embed_.weight, P);
  tokens.flows = tokens.flows || patch_embed_.trains();
  for (const Block& block : blocks_) block.count(tokens, condition, P, S, pairs);
  condition.product(*final_modulation_.weight, S);
  tokens.flows = tokens.flows || condition.flows;
  tokens.product(*final_.weight, P);
  return condition.flops + tokens.flops;
}

double Sit::lmms_engine_flops(const Workload& /*work*/) const {
  return 0;
}

ModelEntry entry() {
  return {"sit", "SiTModel", "SiT: denoises images or latents, by class (S, B, L, XL)",
          [](const nlohmann::json& config, const std::string& where) -> std::unique_ptr<Model> {
            return std::make_unique<Sit>(config, where);
          },
          class_image_processor};
}

}  // namespace lmms::models::sit
