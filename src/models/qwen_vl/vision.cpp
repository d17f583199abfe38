#include "models/qwen_vl/vision.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "core/error.h"
#include "core/format.h"
#include "kernels/add_norm/add_norm.h"
#include "kernels/rope/rope.h"
#include "models/qwen_vl/vision_plan.h"
#include "nn/param_builder.h"

namespace lmms::models::qwen_vl {
namespace {

// Both norms of a block and the merger's, whatever the text config says.
constexpr double kNormEps = 1e-6;

// A host vector on the device, from pinned memory where there is a GPU.
template <class T>
at::Tensor moved(const std::vector<T>& values, at::ScalarType dtype, at::Device device) {
  at::Tensor host = at::empty({static_cast<int64_t>(values.size())},
                              at::TensorOptions().dtype(dtype).pinned_memory(device.is_cuda()));
  if (!values.empty())
    std::memcpy(host.mutable_data_ptr(), values.data(), values.size() * sizeof(T));
  return host.to(device, /*non_blocking=*/true);
}

kernels::AttentionPlan attention_plan(const std::vector<int64_t>& lengths, at::Device device) {
  kernels::AttentionPlan plan{lengths, {}, 0};
  std::vector<int32_t> ends{0};
  for (int64_t n : lengths) {
    ends.push_back(ends.back() + static_cast<int32_t>(n));
    plan.max_length = std::max(plan.max_length, n);
  }
  plan.cu_seqlens = moved(ends, at::kInt, device);
  return plan;
}

// Queries and keys turn in fp32, whatever the activations are: transformers does so in its towers.
at::Tensor turned(const at::Tensor& x, const VisionState& state) {
  return kernels::rope(x.to(at::kFloat), state.cos, state.sin).to(x.scalar_type());
}

nn::RopeConfig plain_rope(double theta) {
  nn::RopeConfig rope;
  rope.theta = theta;
  return rope;
}

bool trains(const nn::Linear& l) {
  return l.weight->trainable || (l.bias != nullptr && l.bias->trainable);
}

}  // namespace

VisionState VisionBlock::operator()(const VisionState& state) const {
  const int64_t P = state.hidden.size(0), D = qkv.weight->shape[1] / heads;
  const at::Tensor qkv_of = qkv(norm1(state.hidden)).view({P, 3, heads, D});
  const at::Tensor q = turned(qkv_of.select(1, 0), state), k = turned(qkv_of.select(1, 1), state);
  const at::Tensor seen = kernels::segment_attention(
      q, k, qkv_of.select(1, 2), full ? state.plans->frames : state.plans->windows,
      1.0 / std::sqrt(static_cast<double>(D)));  // [P, N, D]
  const auto [normed, residual] = kernels::add_norm(proj(seen.reshape({P, heads * D})),
                                                    state.hidden, norm2.weight->value, norm2.eps);
  VisionState out = state;
  out.hidden = residual + mlp(normed);
  return out;
}

VisionTower::VisionTower(nn::ParamTable& params, const VisionConfig& c, const std::string& prefix)
    : config_(c), rotary_(plain_rope(c.rope_theta), c.head_dim() / 2) {
  const std::string root = prefix + "root";
  const int64_t H = c.hidden_size, merged = H * c.merge * c.merge;
  patch_embed_ =
      &params.add(root, prefix + "patch_embed.proj.weight",
                  {H, c.in_channels, c.temporal_patch_size, c.patch_size, c.patch_size},
                  {nn::Init::Law::normal, c.initializer_range, -1}, nn::ParamClass::matrix);
  for (int64_t i = 0; i < c.depth; ++i) {
    const std::string unit = prefix + "blocks." + std::to_string(i);
    const nn::ParamBuilder build{params, unit, unit + ".", c.initializer_range, kNormEps};
    VisionBlock block;
    block.norm1 = build.norm("norm1", H);
    block.norm2 = build.norm("norm2", H);
    block.qkv = build.linear("attn.qkv", H, 3 * H, true);
    block.proj = build.linear("attn.proj", H, H, true);
    block.mlp = build.glu_mlp("mlp", H, c.intermediate_size, true);
    block.heads = c.heads;
    block.full = c.is_full[static_cast<size_t>(i)];
    blocks_.push_back(block);
  }
  const nn::ParamBuilder build{params, root, prefix + "merger.", c.initializer_range, kNormEps};
  merger_norm_ = build.norm("ln_q", H);
  merger_up_ = build.linear("mlp.0", merged, merged, true);
  merger_down_ = build.linear("mlp.2", merged, c.out_hidden_size, true);
}

void VisionTower::check(const nn::VisionInput& input) const {
  int64_t patches = 0;
  for (const PatchGrid& g : input.grids) {
    if (g.t < 1 || g.h < 1 || g.w < 1 || g.h % config_.merge != 0 || g.w % config_.merge != 0) {
      throw Error("images", fmt::format("a grid of {} x {} x {} patches; height and width must be "
                                        "multiples of spatial_merge_size {}",
                                        g.t, g.h, g.w, config_.merge));
    }
    patches += g.patches();
  }
  const at::IntArrayRef sizes = input.patches.sizes();
  if (sizes.size() == 2 && sizes[0] == patches && sizes[1] == config_.patch_width()) return;
  throw Error(
      "images",
      fmt::format("the grids hold {} patches and the model takes {} values a patch; pixel_values "
                  "are {}",
                  patches, config_.patch_width(), c10::str(sizes)),
      "use the processor that belongs to the model");
}

at::Tensor VisionTower::operator()(const nn::VisionInput& input,
                                   const nn::RunContext& context) const {
  check(input);
  std::optional<c10::NoGradGuard> frozen;  // nothing is kept for a backward that has no aim
  if (!trains()) frozen.emplace();
  const at::Device device = input.patches.device();
  const at::ScalarType dtype = patch_embed_->value.scalar_type();
  const VisionPlan plan = vision_plan(input.grids, config_.merge, config_.window);

  VisionState state;
  // Pixels, not hidden states, are brought in order of windows: nothing to undo in backward.
  const at::Tensor patches =
      input.patches.index_select(0, moved(plan.patches, at::kLong, device)).to(dtype);
  state.hidden = at::linear(patches, patch_embed_->value.flatten(1));  // [P, H]
  const auto by_row = rotary_.tables(moved(plan.rows, at::kInt, device), at::kFloat),
             by_column = rotary_.tables(moved(plan.columns, at::kInt, device), at::kFloat);
  state.cos = at::cat({by_row.first, by_column.first}, 1);  // [P, D / 2]
  state.sin = at::cat({by_row.second, by_column.second}, 1);
  state.plans = std::make_shared<VisionPlans>(
      VisionPlans{attention_plan(plan.windows, device), attention_plan(plan.frames, device)});
  for (const VisionBlock& block : blocks_) state = nn::run(context, block, state);

  const at::Tensor blocks_of_patches =
      merger_norm_(state.hidden).view({-1, merger_up_.weight->shape[1]});  // [M, merge^2 H]
  const at::Tensor features = merger_down_(at::gelu(merger_up_(blocks_of_patches)));
  return features.index_select(0, moved(plan.places, at::kLong, device));
}

nn::VisionInput VisionTower::smallest_input(at::Device device) const {
  const PatchGrid grid{1, config_.merge, config_.merge};
  const auto options = at::TensorOptions().dtype(at::kFloat).device(device);
  return {at::zeros({grid.patches(), config_.patch_width()}, options),
          {grid},
          at::empty({0}, options.dtype(at::kLong))};
}

bool VisionTower::trains() const {
  bool any = patch_embed_->trainable || merger_norm_.weight->trainable ||
             qwen_vl::trains(merger_up_) || qwen_vl::trains(merger_down_);
  for (const VisionBlock& b : blocks_) {
    any = any || b.norm1.weight->trainable || b.norm2.weight->trainable || qwen_vl::trains(b.qkv) ||
          qwen_vl::trains(b.proj) || qwen_vl::trains(b.mlp.gate_up) || qwen_vl::trains(b.mlp.down);
  }
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
  double flops = 0;
  bool flows = false;  // does backward go on below this point?
  const auto product = [&](const nn::Param& weight, double rows) {
    flops += 2 * rows * static_cast<double>(weight.elements()) *
             (1 + (flows ? 1 : 0) + (weight.trainable ? 1 : 0));
    flows = flows || weight.trainable;
  };
  product(*patch_embed_, P);
  for (const VisionBlock& b : blocks_) {
    product(*b.qkv.weight, P);
    flops += 4 * static_cast<double>(config_.hidden_size) * (b.full ? in_frames : in_windows) *
             (flows ? 3 : 1);
    for (const nn::Linear* l : {&b.proj, &b.mlp.gate_up, &b.mlp.down}) product(*l->weight, P);
  }
  product(*merger_up_.weight, M);
  product(*merger_down_.weight, M);
  return flops;
}

}  // namespace lmms::models::qwen_vl
