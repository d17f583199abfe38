#include "models/qwen_vl/vision.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/StringUtil.h>

#include <cmath>
#include <memory>
#include <optional>

#include "core/error.h"
#include "core/format.h"
#include "kernels/on_device.h"
#include "models/qwen_vl/vision_plan.h"
#include "nn/param_builder.h"

namespace lmms::models::qwen_vl {
namespace {

using kernels::on_device;

// Both norms of a block and the merger's, whatever the text config says.
constexpr double kNormEps = 1e-6;

nn::RopeConfig plain_rope(double theta) {
  nn::RopeConfig rope;
  rope.theta = theta;
  return rope;
}

bool trains(const nn::Param* p) {
  return p != nullptr && p->trainable;
}

nn::Norm make_norm(const nn::ParamBuilder& build, const VisionConfig& c, const std::string& name,
                   int64_t size) {
  return build.norm(name, size, /*bias=*/c.generation == Generation::qwen3);
}

nn::VisionBlock make_block(const nn::ParamBuilder& build, const VisionConfig& c, size_t i) {
  const int64_t H = c.hidden_size;
  nn::VisionBlock block;
  block.name = build.unit;
  block.norm1 = make_norm(build, c, "norm1", H);
  block.norm2 = make_norm(build, c, "norm2", H);
  block.qkv = build.linear("attn.qkv", H, 3 * H, true);
  block.proj = build.linear("attn.proj", H, H, true);
  if (c.generation == Generation::qwen2_5) {
    block.mlp = build.glu_mlp("mlp", H, c.intermediate_size, true);
  } else {
    const nn::Width inner = nn::inner_width(c.intermediate_size);
    const nn::Linear up = build.linear("mlp.linear_fc1", H, inner, true);
    block.mlp = {up, build.linear("mlp.linear_fc2", inner, H, true),
                 kernels::Activation::gelu_tanh};
  }
  block.heads = c.heads;
  block.full = c.is_full[i];
  return block;
}

VisionMerger make_merger(const nn::ParamBuilder& build, const VisionConfig& c, bool norms_merged) {
  const bool old = c.generation == Generation::qwen2_5;
  const int64_t merged = c.hidden_size * c.merge * c.merge;
  VisionMerger merger;
  merger.norms_merged = norms_merged;
  merger.norm = make_norm(build, c, old ? "ln_q" : "norm", norms_merged ? merged : c.hidden_size);
  merger.up = build.linear(old ? "mlp.0" : "linear_fc1", merged, merged, true);
  merger.down = build.linear(old ? "mlp.2" : "linear_fc2", merged, c.out_hidden_size, true);
  return merger;
}

}  // namespace

at::Tensor VisionMerger::operator()(const at::Tensor& x, const nn::UnitRun& how) const {
  const int64_t merged = up.weight->shape[1];  // merge^2 H
  const at::Tensor rows = norms_merged ? x.view({-1, merged}) : x;
  const at::Tensor normed = norm(rows, {}, how).y.view({-1, merged});
  return down.after(kernels::Activation::gelu_erf, up(normed), how);
}

VisionTower::VisionTower(nn::ParamTable& params, const VisionConfig& c, const std::string& prefix)
    : config_(c), root_(prefix + "root"), rotary_(plain_rope(c.rope_theta), c.head_dim() / 2) {
  const nn::ParamBuilder root{params, root_, prefix, c.initializer_range, kNormEps};
  const nn::Init normal{nn::Init::Law::normal, c.initializer_range, -1};
  patch_embed_ =
      &params.add(root.unit, prefix + "patch_embed.proj.weight",
                  {c.hidden_size, c.in_channels, c.temporal_patch_size, c.patch_size, c.patch_size},
                  normal, nn::ParamClass::matrix);
  if (c.generation == Generation::qwen3)
    patch_bias_ = root.vector("patch_embed.proj.bias", c.hidden_size, nn::Init::Law::zeros);
  if (c.positions > 0) {
    positions_ = &params.add(root.unit, prefix + "pos_embed.weight", {c.positions, c.hidden_size},
                             normal, nn::ParamClass::embedding);
  }
  const auto below = [&](const std::string& unit, const std::string& name) {
    return nn::ParamBuilder{params, unit, prefix + name + ".", c.initializer_range, kNormEps};
  };
  for (size_t i = 0; i < static_cast<size_t>(c.depth); ++i) {
    const std::string name = "blocks." + std::to_string(i);
    blocks_.push_back(make_block(below(prefix + name, name), c, i));
  }
  merger_ = make_merger(below(root.unit, "merger"), c, false);
  for (size_t k = 0; k < c.deepstack.size(); ++k) {
    deepstack_.push_back(
        make_merger(below(root.unit, "deepstack_merger_list." + std::to_string(k)), c, true));
  }
}

void VisionTower::check(const nn::MediaInput& input) const {
  int64_t patches = 0;
  for (const PatchGrid& g : input.grids) {
    if (g.t < 1 || g.h < 1 || g.w < 1 || g.h % config_.merge != 0 || g.w % config_.merge != 0) {
      throw Error("images", fmt::format("a grid of {} x {} x {} patches; height and width must be "
                                        "multiples of spatial_merge_size {}",
                                        g.t, g.h, g.w, config_.merge));
    }
    patches += g.patches();
  }
  const at::IntArrayRef sizes = input.values.sizes();
  if (sizes.size() == 2 && sizes[0] == patches && sizes[1] == config_.patch_width()) return;
  throw Error(
      "images",
      fmt::format("the grids hold {} patches and the model takes {} values a patch; pixel_values "
                  "are {}",
                  patches, config_.patch_width(), c10::str(sizes)),
      "use the processor that belongs to the model");
}

at::Tensor VisionTower::embed(const nn::MediaInput& input, const VisionPlan& plan,
                              const nn::RunContext& context) const {
  const nn::Scope weights = nn::scope(context, root_);
  const at::Device device = input.values.device();
  const at::Tensor& kernel = patch_embed_->value();
  const at::ScalarType dtype = kernel.scalar_type();
  // Pixels, not hidden states, are brought in order of windows: nothing to undo in backward.
  const at::Tensor patches =
      input.values.index_select(0, on_device(plan.patches, at::kLong, device)).to(dtype);
  const at::Tensor embedded = at::linear(
      patches, kernel.flatten(1),
      patch_bias_ != nullptr ? std::optional(patch_bias_->value()) : std::nullopt);  // [P, H]
  if (positions_ == nullptr) return embedded;
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(config_.positions)));
  const PositionTaps taps = position_taps(plan, input.grids, side);
  const at::Tensor entries =
      at::embedding(positions_->value(), on_device(taps.entries, at::kLong, device).view({-1, 4}));
  const at::Tensor shares = on_device(taps.weights, at::kFloat, device).view({-1, 4, 1});
  // [P, 4, H] in fp32 summed to [P, H]
  return embedded + (entries * shares).sum(1).to(dtype);
}

at::Tensor VisionTower::merged(const VisionMerger& merger, const at::Tensor& hidden,
                               const at::Tensor& places, const nn::RunContext& context) const {
  const nn::Scope weights = nn::scope(context, root_);
  return merger(hidden, weights.how()).index_select(0, places);
}

VisionFeatures VisionTower::operator()(const nn::MediaInput& input,
                                       const nn::RunContext& context) const {
  check(input);
  std::optional<c10::NoGradGuard> frozen;  // nothing is kept for a backward that has no aim
  if (!trains()) frozen.emplace();
  const at::Device device = input.values.device();
  const VisionPlan plan = vision_plan(input.grids, config_.merge, config_.window);

  nn::VisionState state;
  state.hidden = embed(input, plan, context);
  const auto by_row = rotary_.tables(on_device(plan.rows, at::kInt, device), at::kFloat),
             by_column = rotary_.tables(on_device(plan.columns, at::kInt, device), at::kFloat);
  state.cos = at::cat({by_row.first, by_column.first}, 1);  // [P, D / 2]
  state.sin = at::cat({by_row.second, by_column.second}, 1);
  state.plans = std::make_shared<nn::VisionPlans>(
      nn::VisionPlans{kernels::attention_plan(plan.windows, device, AttentionMode::full),
                      kernels::attention_plan(plan.frames, device, AttentionMode::full)});
  const at::Tensor places = on_device(plan.places, at::kLong, device);
  for (size_t i = 0; i < blocks_.size(); ++i) {
    state = nn::run(context, blocks_[i], std::move(state));
    const size_t k = state.features.size();
    if (k < deepstack_.size() && config_.deepstack[k] == static_cast<int64_t>(i)) {
      state.settle();
      state.features.push_back(merged(deepstack_[k], state.hidden, places, context));
    }
  }
  state.settle();
  return {merged(merger_, state.hidden, places, context), state.features};
}

nn::MediaInput VisionTower::smallest_input(at::Device device) const {
  const PatchGrid grid{1, config_.merge, config_.merge};
  const auto options = at::TensorOptions().dtype(at::kFloat).device(device);
  return {std::string(kVision),
          at::zeros({grid.patches(), config_.patch_width()}, options),
          {grid},
          {},
          at::empty({0}, options.dtype(at::kLong))};
}

bool VisionTower::trains() const {
  bool any = qwen_vl::trains(patch_embed_) || qwen_vl::trains(patch_bias_) ||
             qwen_vl::trains(positions_) || merger_.trains();
  for (const VisionMerger& m : deepstack_) any = any || m.trains();
  for (const nn::VisionBlock& b : blocks_) any = any || b.trains();
  return any;
}

double VisionTower::train_flops(std::span<const PatchGrid> grids) const {
  const VisionPlan plan = vision_plan(grids, config_.merge, config_.window);
  const auto P = static_cast<double>(plan.patches.size()),
             M = static_cast<double>(plan.tokens.size());
  const auto pairs = [](const std::vector<int64_t>& lengths) {
    double sum = 0;
    for (int64_t n : lengths) sum += static_cast<double>(n) * static_cast<double>(n);
    return sum;
  };
  const double in_windows = pairs(plan.windows), in_frames = pairs(plan.frames);
  nn::ChainFlops chain;
  chain.product(*patch_embed_, P);
  for (const nn::VisionBlock& b : blocks_) b.count(chain, P, b.full ? in_frames : in_windows);
  const auto merger = [&](const VisionMerger& m) {
    chain.product(*m.up.weight, M);
    chain.product(*m.down.weight, M);
  };
  for (const VisionMerger& m : deepstack_) merger(m);
  merger(merger_);
  return chain.flops;
}

}  // namespace lmms::models::qwen_vl
