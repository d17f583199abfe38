#include "models/autoencoder_kl/autoencoder_kl.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/format.h"
#include "kernels/dims.h"
#include "kernels/meta_device.h"
#include "kernels/work.h"
#include "nn/param_builder.h"
#include "nn/scope.h"

// N images of C channels, H x W.

namespace lmms::models::autoencoder_kl {
namespace {

constexpr double kNormEps = 1e-6;
constexpr char kEncoder[] = "encoder", kDecoder[] = "decoder";  // units

// --- Structure.

struct Builder {
  nn::ParamTable& params;
  std::string unit;
  const Config& config;

  Convolution convolution(const std::string& name, int64_t in, int64_t out, int64_t size) const {
    // torch's default for convolutions
    const double std = 1 / std::sqrt(3.0 * static_cast<double>(in * size * size));
    const nn::Init init{nn::Init::Law::uniform, std, -1};
    return {
        &params.add(unit, name + ".weight", {out, in, size, size}, init, nn::ParamClass::matrix),
        &params.add(unit, name + ".bias", {out}, init, nn::ParamClass::vector)};
  }
  GroupNorm norm(const std::string& name, int64_t width) const {
    const nn::ParamBuilder build{params, unit, ""};
    return {build.vector(name + ".weight", width, nn::Init::Law::ones),
            build.vector(name + ".bias", width, nn::Init::Law::zeros)};
  }
  Resnet resnet(const std::string& name, int64_t in, int64_t out) const {
    Resnet r;
    r.norm1 = norm(name + ".norm1", in);
    r.conv1 = convolution(name + ".conv1", in, out, 3);
    r.norm2 = norm(name + ".norm2", out);
    r.conv2 = convolution(name + ".conv2", out, out, 3);
    if (in != out) r.shortcut = convolution(name + ".conv_shortcut", in, out, 1);
    return r;
  }
  Middle middle(const std::string& name, int64_t width) const {
    Middle m;
    m.first = resnet(name + ".resnets.0", width, width);
    m.second = resnet(name + ".resnets.1", width, width);
    if (!config.middle_attention) return m;
    const std::string attention = name + ".attentions.0.";
    const nn::ParamBuilder build{params, unit, attention};
    m.attention.norm = norm(attention + "group_norm", width);
    m.attention.q = build.linear("to_q", width, width, true);
    m.attention.k = build.linear("to_k", width, width, true);
    m.attention.v = build.linear("to_v", width, width, true);
    m.attention.out = build.linear("to_out.0", width, width, true);
    // diffusers' names up to 0.16
    params.also_read(attention + "to_q.", attention + "query.");
    params.also_read(attention + "to_k.", attention + "key.");
    params.also_read(attention + "to_v.", attention + "value.");
    params.also_read(attention + "to_out.0.", attention + "proj_attn.");
    return m;
  }
};

Half make_encoder(const Builder& build) {
  const Config& c = build.config;
  Half half;
  half.conv_in = build.convolution("encoder.conv_in", c.in_channels, c.widths.front(), 3);
  int64_t width = c.widths.front();
  for (size_t i = 0; i < c.widths.size(); ++i) {
    const std::string name = fmt::format("encoder.down_blocks.{}", i);
    Stage stage;
    for (int64_t k = 0; k < c.layers; ++k) {
      stage.resnets.push_back(
          build.resnet(fmt::format("{}.resnets.{}", name, k), width, c.widths[i]));
      width = c.widths[i];
    }
    if (i + 1 < c.widths.size())
      stage.resample = build.convolution(name + ".downsamplers.0.conv", width, width, 3);
    half.stages.push_back(std::move(stage));
  }
  half.middle = build.middle("encoder.mid_block", width);
  half.norm_out = build.norm("encoder.conv_norm_out", width);
  half.conv_out = build.convolution("encoder.conv_out", width, 2 * c.latent_channels, 3);
  return half;
}

Half make_decoder(const Builder& build) {
  const Config& c = build.config;
  Half half;
  int64_t width = c.widths.back();
  half.conv_in = build.convolution("decoder.conv_in", c.latent_channels, width, 3);
  half.middle = build.middle("decoder.mid_block", width);
  for (size_t i = 0; i < c.widths.size(); ++i) {
    const std::string name = fmt::format("decoder.up_blocks.{}", i);
    const int64_t out = c.widths[c.widths.size() - 1 - i];
    Stage stage;
    for (int64_t k = 0; k < c.layers + 1; ++k) {
      stage.resnets.push_back(build.resnet(fmt::format("{}.resnets.{}", name, k), width, out));
      width = out;
    }
    if (i + 1 < c.widths.size())
      stage.resample = build.convolution(name + ".upsamplers.0.conv", width, width, 3);
    half.stages.push_back(std::move(stage));
  }
  half.norm_out = build.norm("decoder.conv_norm_out", width);
  half.conv_out = build.convolution("decoder.conv_out", width, c.out_channels, 3);
  return half;
}

// --- Forward, without gradients: activations may be overwritten.

at::Tensor convolve(const Convolution& conv, const at::Tensor& x, int64_t stride = 1,
                    int64_t padding = 1) {
  return at::conv2d(x, conv.weight->value(), conv.bias->value(), stride, padding);
}

at::Tensor normalise(const GroupNorm& norm, const at::Tensor& x, int64_t groups) {
  return at::group_norm(x, groups, norm.weight->value(), norm.bias->value(), kNormEps);
}

at::Tensor forward(const Resnet& r, const at::Tensor& x, int64_t groups) {
  at::Tensor h = normalise(r.norm1, x, groups);
  h = convolve(r.conv1, at::silu_(h));
  h = normalise(r.norm2, h, groups);
  h = convolve(r.conv2, at::silu_(h));
  return h.add_(r.shortcut.weight != nullptr ? convolve(r.shortcut, x, 1, 0) : x);
}

// Every place sees every place of its image. q, k, v [N, P, C] -> [N, P, C].
at::Tensor one_head(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  if (q.is_meta()) {  // ATen would show a plan a matrix of all pairs, which no device makes
    const int64_t rows = q.size(0) * q.size(1), P = q.size(1), C = q.size(2);
    kernels::record_product({rows, P, C});
    kernels::record_product({rows, C, P});
    return at::empty_like(v);
  }
  return at::scaled_dot_product_attention(q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1))
      .squeeze(1)
      .contiguous();
}

at::Tensor forward(const MiddleAttention& a, const at::Tensor& x, int64_t groups) {
  const auto [N, C, H, W] = kernels::dims<4>(x, "x");
  const at::Tensor places = normalise(a.norm, x, groups).flatten(2).transpose(1, 2).contiguous();
  const at::Tensor seen = one_head(a.q(places), a.k(places), a.v(places));
  return a.out(seen).transpose(1, 2).reshape({N, C, H, W}).add_(x);
}

at::Tensor forward(const Middle& m, const at::Tensor& x, int64_t groups) {
  at::Tensor h = forward(m.first, x, groups);
  if (m.attention.norm.weight != nullptr) h = forward(m.attention, h, groups);
  return forward(m.second, h, groups);
}

at::Tensor finish(const Half& half, const at::Tensor& x, int64_t groups) {
  at::Tensor h = normalise(half.norm_out, x, groups);
  return convolve(half.conv_out, at::silu_(h));
}

// [N, 3, H, W] -> [N, 2 latent channels, H / stride, W / stride]
at::Tensor encode(const Half& half, const at::Tensor& pixels, int64_t groups) {
  at::Tensor h = convolve(half.conv_in, pixels);
  for (const Stage& stage : half.stages) {
    for (const Resnet& resnet : stage.resnets) h = forward(resnet, h, groups);
    // one row below and one column to the right, as the first release padded
    if (stage.resample.weight != nullptr)
      h = convolve(stage.resample, at::constant_pad_nd(h, {0, 1, 0, 1}), 2, 0);
  }
  return finish(half, forward(half.middle, h, groups), groups);
}

at::Tensor decode(const Half& half, const at::Tensor& latents, int64_t groups) {
  at::Tensor h = forward(half.middle, convolve(half.conv_in, latents), groups);
  for (const Stage& stage : half.stages) {
    for (const Resnet& resnet : stage.resnets) h = forward(resnet, h, groups);
    if (stage.resample.weight != nullptr) {
      h = at::upsample_nearest2d(h, {2 * h.size(2), 2 * h.size(3)});
      h = convolve(stage.resample, h);
    }
  }
  return finish(half, h, groups);
}

// `run` of parts of the images of so many pixels together, so that memory is bounded.
at::Tensor in_parts(const at::Tensor& images, int64_t pixels_each,
                    const std::function<at::Tensor(const at::Tensor&)>& run) {
  const int64_t most =
      kernels::computes_as_cpu(images.device()) ? int64_t{1} << 16 : int64_t{1} << 21;
  const int64_t each = std::max<int64_t>(1, most / std::max<int64_t>(pixels_each, 1));
  std::vector<at::Tensor> out;
  for (int64_t begin = 0; begin < images.size(0); begin += each)
    out.push_back(run(images.narrow(0, begin, std::min(each, images.size(0) - begin))));
  return out.size() == 1 ? out[0] : at::cat(out);
}

}  // namespace

AutoencoderKl::AutoencoderKl(const nlohmann::json& config, const std::string& where)
    : Model(config, "AutoencoderKL"), settings_(read_config({config_, where, &keys_read_})) {
  const Builder encoder{params_, kEncoder, settings_}, decoder{params_, kDecoder, settings_};
  encoder_ = make_encoder(encoder);
  decoder_ = make_decoder(decoder);
  const int64_t C = settings_.latent_channels;
  if (settings_.quant) quant_ = encoder.convolution("quant_conv", 2 * C, 2 * C, 1);
  if (settings_.post_quant) post_quant_ = decoder.convolution("post_quant_conv", C, C, 1);
  for (nn::Param& p : params_.all()) p.trainable = false;
}

Posterior AutoencoderKl::encode(const at::Tensor& pixels, const nn::RunContext& context) const {
  const auto [N, C, H, W] = kernels::dims<4>(pixels, "pixels");
  if (C != settings_.in_channels || H % stride() != 0 || W % stride() != 0) {
    throw Error("autoencoder",
                fmt::format("{} images of {} x {} x {}; it encodes {} channels and sides that are "
                            "multiples of {}",
                            N, C, H, W, settings_.in_channels, stride()));
  }
  const c10::NoGradGuard no_grad;
  const nn::Scope weights = nn::scope(context, kEncoder);
  const at::ScalarType dtype = encoder_.conv_in.weight->value().scalar_type();
  const at::Tensor moments = in_parts(pixels, H * W, [&](const at::Tensor& some) {
    const at::Tensor h = autoencoder_kl::encode(encoder_, some.to(dtype), settings_.groups);
    return (settings_.quant ? convolve(quant_, h, 1, 0) : h).to(at::kFloat);
  });
  const int64_t latent = settings_.latent_channels;
  return {moments.narrow(1, 0, latent).contiguous(),
          at::clamp(moments.narrow(1, latent, latent), -30, 20).mul_(0.5).exp_()};
}

at::Tensor AutoencoderKl::decode(const at::Tensor& latents, const nn::RunContext& context) const {
  const auto [N, C, h, w] = kernels::dims<4>(latents, "latents");
  if (C != settings_.latent_channels) {
    throw Error("autoencoder",
                fmt::format("latents of {} channels; it decodes {}", C, settings_.latent_channels));
  }
  const c10::NoGradGuard no_grad;
  const nn::Scope weights = nn::scope(context, kDecoder);
  const at::ScalarType dtype = decoder_.conv_in.weight->value().scalar_type();
  return in_parts(latents, h * w * stride() * stride(), [&](const at::Tensor& some) {
    const at::Tensor z = some.to(dtype);
    return autoencoder_kl::decode(decoder_,
                                  settings_.post_quant ? convolve(post_quant_, z, 1, 0) : z,
                                  settings_.groups)
        .to(at::kFloat);
  });
}

double AutoencoderKl::train_flops(const Workload& /*work*/) const {
  return 0;
}

double AutoencoderKl::lmms_engine_flops(const Workload& /*work*/) const {
  return 0;
}

}  // namespace lmms::models::autoencoder_kl
