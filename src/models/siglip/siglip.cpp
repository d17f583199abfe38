#include "models/siglip/siglip.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linear.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <memory>
#include <optional>

#include "nn/param_builder.h"

namespace lmms::models::siglip {
namespace {

nn::VisionBlock make_layer(const nn::ParamBuilder& build, const Config& c) {
  const int64_t H = c.hidden_size;
  nn::VisionBlock layer;
  layer.name = build.unit;
  layer.norm1 = build.norm("layer_norm1", H, /*bias=*/true);
  layer.norm2 = build.norm("layer_norm2", H, /*bias=*/true);
  layer.qkv = build.stacked("self_attn.qkv_proj",
                            {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, {H, H, H},
                            H, true);
  layer.proj = build.linear("self_attn.out_proj", H, H, true);
  nn::ParamBuilder mlp = build;
  mlp.bias_std = 1e-6;
  const nn::Width inner = nn::inner_width(c.intermediate_size);
  const nn::Linear up = mlp.linear("mlp.fc1", H, inner, true);
  layer.mlp = {up, mlp.linear("mlp.fc2", inner, H, true), kernels::Activation::gelu_tanh};
  layer.heads = c.heads;
  layer.full = true;
  return layer;
}

// What is in the files and no hidden state passes: torch's optimisers leave a parameter without a
// gradient as it is, weight decay included, and so do we.
void set_aside(nn::ParamTable& params, size_t from) {
  for (size_t i = from; i < params.all().size(); ++i) params.all()[i].trainable = false;
}

// One number, or a list of two that are the same.
int64_t side(const ConfigReader& vision, const char* key, int64_t fallback) {
  const nlohmann::json& value = vision.value(key);
  if (!value.is_array()) return vision.integer(key, fallback, 1, 1 << 16);
  if (value.size() != 2 || value[0] != value[1] || !value[0].is_number_integer() || value[0] < 1 ||
      value[0] > 1 << 16)
    vision.fail(key, "expected a number, or two that are the same; got " + value.dump());
  return value[0].get<int64_t>();
}

}  // namespace

Config read_config(const ConfigReader& vision, const Config& defaults) {
  Config c = defaults;
  const std::string type = vision.text("model_type", "siglip_vision_model");
  if (type != "siglip_vision_model")
    vision.fail("model_type", "not built yet: '" + type + "' (siglip_vision_model is)");
  c.layers = vision.integer("num_hidden_layers", c.layers, 1, 100000);
  c.hidden_size = vision.integer("hidden_size", c.hidden_size, 1, 1 << 20);
  c.intermediate_size = vision.integer("intermediate_size", c.intermediate_size);
  c.heads = vision.integer("num_attention_heads", c.heads);
  if (c.hidden_size % c.heads != 0) {
    vision.fail("num_attention_heads", std::to_string(c.heads) + " does not divide hidden_size " +
                                           std::to_string(c.hidden_size));
  }
  c.channels = vision.integer("num_channels", c.channels, 1, 4096);
  c.image_size = side(vision, "image_size", c.image_size);
  c.patch_size = side(vision, "patch_size", c.patch_size);
  if (c.side() < 1) {
    vision.fail("patch_size", std::to_string(c.patch_size) + " is larger than image_size " +
                                  std::to_string(c.image_size));
  }
  const std::string activation = vision.text("hidden_act", "gelu_pytorch_tanh");
  if (activation != "gelu_pytorch_tanh")
    vision.fail("hidden_act", "not built yet: '" + activation + "' (gelu_pytorch_tanh is)");
  if (vision.number("attention_dropout", 0.0) != 0.0)
    vision.fail("attention_dropout", "not built yet: values other than 0");
  if (vision.boolean("vision_use_head", false))
    vision.fail("vision_use_head", "not built yet: the pooling head (false is)");
  c.norm_eps = vision.number("layer_norm_eps", c.norm_eps);
  c.layers_run = c.layers;
  return c;
}

Tower::Tower(nn::ParamTable& params, const Config& c, const std::string& prefix) : config_(c) {
  nn::ParamBuilder root{params, prefix + "root", prefix};
  root.norm_eps = c.norm_eps;
  root.glorot = true;
  const std::string embeddings = prefix + "embeddings.";
  // LeCun's law in transformers: truncated at +-2 instead of two deviations, as good as not at all,
  // but made wider for it.
  const double patch_std =
      1 / std::sqrt(static_cast<double>(c.patch_width())) / 0.87962566103423978;
  patch_embed_ = &params.add(root.unit, embeddings + "patch_embedding.weight",
                             {c.hidden_size, c.channels, c.patch_size, c.patch_size},
                             {nn::Init::Law::normal, patch_std, -1}, nn::ParamClass::matrix);
  patch_bias_ = root.vector("embeddings.patch_embedding.bias", c.hidden_size, nn::Init::Law::zeros);
  positions_ = &params.add(
      root.unit, embeddings + "position_embedding.weight", {c.view_patches(), c.hidden_size},
      {nn::Init::Law::normal, 1 / std::sqrt(static_cast<double>(c.hidden_size)), -1},
      nn::ParamClass::embedding);
  size_t unused = 0;
  for (int64_t i = 0; i < c.layers; ++i) {
    if (i == c.layers_run) unused = params.all().size();
    nn::ParamBuilder build = root;
    build.prefix = prefix + "encoder.layers." + std::to_string(i) + ".";
    build.unit = build.prefix.substr(0, build.prefix.size() - 1);
    const nn::VisionBlock layer = make_layer(build, c);
    if (i < c.layers_run) layers_.push_back(layer);
  }
  if (c.layers_run == c.layers) unused = params.all().size();
  root.norm("post_layernorm", c.hidden_size, /*bias=*/true);
  set_aside(params, unused);
}

at::Tensor Tower::operator()(const at::Tensor& patches, const nn::RunContext& context) const {
  std::optional<c10::NoGradGuard> frozen;  // nothing is kept for a backward that has no aim
  if (!trains()) frozen.emplace();
  const int64_t per_view = config_.view_patches(), views = patches.size(0) / per_view;
  nn::VisionState state;
  state.hidden = embed(patches, context);
  state.plans = std::make_shared<nn::VisionPlans>(nn::VisionPlans{
      {},
      kernels::attention_plan(std::vector<int64_t>(static_cast<size_t>(views), per_view),
                              patches.device(), AttentionMode::full)});
  for (const nn::VisionBlock& layer : layers_) state = nn::run(context, layer, state);
  state.settle();
  return state.hidden;
}

at::Tensor Tower::embed(const at::Tensor& patches, const nn::RunContext& context) const {
  const nn::Scope weights = nn::scope(context, patch_embed_->unit);
  const int64_t per_view = config_.view_patches(), views = patches.size(0) / per_view;
  const at::Tensor& kernel = patch_embed_->value();
  const at::Tensor embedded = at::linear(patches.to(kernel.scalar_type()), kernel.flatten(1),
                                         patch_bias_->value());  // [P, H]
  return (embedded.view({views, per_view, -1}) + positions_->value()).view({patches.size(0), -1});
}

bool Tower::trains() const {
  bool any = patch_embed_->trainable || patch_bias_->trainable || positions_->trainable;
  for (const nn::VisionBlock& layer : layers_) any = any || layer.trains();
  return any;
}

void Tower::count(nn::ChainFlops& chain, double views) const {
  const auto per_view = static_cast<double>(config_.view_patches());
  chain.product(*patch_embed_, views * per_view);
  chain.flows = chain.flows || patch_bias_->trainable || positions_->trainable;
  for (const nn::VisionBlock& layer : layers_)
    layer.count(chain, views * per_view, views * per_view * per_view);
}

}  // namespace lmms::models::siglip
