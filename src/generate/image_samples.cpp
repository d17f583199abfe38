#include "generate/image_samples.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "core/format.h"
#include "data/draws.h"

// N images, P patches of each, W values of a patch, C channels of h x w
namespace lmms::generate {
namespace {

// A stream of draws of its own for every image.
int64_t ordinal_of(const ImageRequest& request, int64_t image) {
  return request.class_of(image) << 32 | image % request.per_class;
}

at::Tensor noise_of(const models::LatentShape& shape, const ImageRequest& request, int64_t first,
                    int64_t count) {
  const int64_t values = shape.values();
  at::Tensor noise = at::empty({count, values}, at::kFloat);
  float* to = noise.mutable_data_ptr<float>();
  for (int64_t n = 0; n < count; ++n) {
    const data::DrawKey key(request.seed, ordinal_of(request, first + n));
    for (int64_t i = 0; i < values; ++i)
      *to++ = static_cast<float>(key.normal(rng::Purpose::noise, i));
  }
  return noise.view({count * shape.patches(), shape.patch_values()});  // [N * P, W]
}

/// [N * P, W] -> [N, C, h, w]
at::Tensor planes_of(const at::Tensor& tokens, const models::LatentShape& shape) {
  const int64_t p = shape.patch;
  return tokens.view({-1, shape.rows(), shape.columns(), shape.channels, p, p})
      .permute({0, 3, 1, 4, 2, 5})
      .reshape({-1, shape.channels, shape.height, shape.width});
}

/// Of pixels [C, H, W] in [-1, 1]; a single channel is gray.
media::Image image_of(const at::Tensor& pixels) {
  const int64_t channels = pixels.size(0), height = pixels.size(1), width = pixels.size(2);
  const at::Tensor bytes = pixels.to(at::kCPU, at::kFloat)
                               .nan_to_num(0)
                               .add(1)
                               .mul(127.5)
                               .clamp(0, 255)
                               .round()
                               .to(at::kByte)
                               .permute({1, 2, 0})
                               .contiguous();  // [H, W, C]
  const auto* from = bytes.const_data_ptr<uint8_t>();
  media::Image image(static_cast<int>(width), static_cast<int>(height));
  uint8_t* to = image.pixels().data();
  for (int64_t i = 0; i < height * width; ++i, from += channels)
    for (int64_t c = 0; c < 3; ++c) *to++ = from[channels == 3 ? c : 0];
  return image;
}

/// -> pixels [N, 3 or 1, H, W], about [-1, 1]
at::Tensor decoded(const at::Tensor& planes, const models::Autoencoder* autoencoder,
                   const nn::RunContext& context) {
  if (autoencoder == nullptr) return planes;
  return autoencoder->decode(planes / autoencoder->scale() + autoencoder->shift(), context);
}

[[noreturn]] void no_class(const std::string& where, const std::string& what, int64_t classes) {
  throw Error(where, what,
              classes == 0 ? "leave it out: the model is told no class"
                           : fmt::format("name classes from 0 to {}, or all", classes - 1));
}

std::optional<int64_t> number_in(std::string_view word) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;
  return value;
}

}  // namespace

void check_request(const models::Denoiser& denoiser, const ImageRequest& request,
                   const std::string& where) {
  for (const int64_t c : request.classes) {
    const bool none = c == denoiser.classes();  // a table without dropout has no row for it
    if (c < 0 || c > denoiser.classes() ||
        (none && denoiser.classes() > 0 && denoiser.class_dropout() <= 0))
      no_class(where, fmt::format("the model knows no class {}", c), denoiser.classes());
  }
  if (request.denoising.guidance != 1 &&
      (denoiser.classes() == 0 || denoiser.class_dropout() <= 0)) {
    throw Error(where,
                "guidance compares what the model says with and without a class, and this one was "
                "trained with its class always (class_dropout_prob 0)",
                "leave guidance at 1");
  }
}

void check_autoencoder(const models::Denoiser& denoiser, const models::Autoencoder* autoencoder,
                       const std::string& where) {
  const models::LatentShape shape = denoiser.shape();
  if (autoencoder != nullptr && autoencoder->channels() != shape.channels) {
    throw Error(where,
                fmt::format("the autoencoder has latents of {} channels, the model denoises {}",
                            autoencoder->channels(), shape.channels),
                "name the autoencoder that the model was trained with");
  }
  if (autoencoder == nullptr && shape.channels != 3 && shape.channels != 1) {
    throw Error(
        where,
        fmt::format("the model denoises latents of {} channels: an autoencoder makes images "
                    "of them",
                    shape.channels),
        "name it: --vae FOLDER, or vae_path in config.json");
  }
}

media::GridOptions grid_for(const ImageRequest& request, int side) {
  return {.columns = media::grid_columns(static_cast<int>(request.classes.size()),
                                         static_cast<int>(request.per_class)),
          .gap = std::clamp(side / 16, 1, 4),
          .scale = media::grid_scale(side)};
}

std::vector<media::Image> make_images(const step::ForwardModel& forward,
                                      const models::Autoencoder* autoencoder,
                                      const ImageRequest& request, const ImageHooks& hooks) {
  const c10::NoGradGuard no_grad;
  const models::Denoiser& denoiser = *forward.model.denoiser();
  const models::LatentShape shape = denoiser.shape();
  std::vector<media::Image> out;
  for (int64_t first = 0; first < request.count(); first += request.batch) {
    const int64_t count = std::min(request.batch, request.count() - first);
    std::vector<int64_t> classes, ordinals;
    for (int64_t n = first; n < first + count; ++n) {
      classes.push_back(request.class_of(n));
      ordinals.push_back(ordinal_of(request, n));
    }
    const auto data = denoise(
        forward, noise_of(shape, request, first, count).to(forward.device),
        {.classes = classes, .seed = request.seed, .ordinals = ordinals}, request.denoising,
        {.stop = hooks.stop, .progress = [&](double share) {
           hooks.progress((static_cast<double>(first) + share * static_cast<double>(count)) /
                          static_cast<double>(request.count()));
         }});
    if (!data) break;
    const at::Tensor pixels = decoded(planes_of(*data, shape), autoencoder, forward.context);
    for (int64_t n = 0; n < count; ++n) {
      out.push_back(image_of(pixels[n]));
      hooks.made(first + n, out.back());
    }
  }
  return out;
}

std::vector<std::string> class_labels(const nlohmann::json& config, int64_t classes,
                                      std::span<const int64_t> asked) {
  const auto names = config.find("id2label");
  std::vector<std::string> out;
  for (const int64_t c : asked) {
    std::string label = c == classes ? "none" : fmt::format("{}", c);
    if (names != config.end() && names->is_object()) {
      const auto name = names->find(label);
      if (name != names->end() && name->is_string()) label = name->get<std::string>();
    }
    out.push_back(std::move(label));
  }
  return out;
}

std::vector<int64_t> classes_from(std::span<const std::string> words,
                                  const models::Denoiser& denoiser, const std::string& where) {
  const int64_t classes = denoiser.classes();
  std::vector<int64_t> out;
  const auto add = [&](std::string_view word) {
    if (word == "none") return out.push_back(classes);
    if (word == "all") {
      for (int64_t c = 0; c < classes; ++c) out.push_back(c);
      if (classes == 0) out.push_back(classes);
      return;
    }
    const size_t dash = word.find('-', 1);
    const auto first = number_in(word.substr(0, dash));
    const auto last = dash == word.npos ? first : number_in(word.substr(dash + 1));
    if (!first || !last || *first < 0 || *last >= classes || *first > *last)
      no_class(where, fmt::format("'{}' names no class of the model", word), classes);
    for (int64_t c = *first; c <= *last; ++c) out.push_back(c);
  };
  for (const std::string& text : words) {
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      add(std::string_view(text).substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return out;
}

}  // namespace lmms::generate
