#pragma once
/// A capability: networks that squeeze images into latents and back.
#include <ATen/core/Tensor.h>

#include <cstdint>

#include "nn/run_context.h"

namespace lmms::models {

/// A diagonal Gaussian over latents.
struct Posterior {
  at::Tensor mean, deviation;  ///< [N, C, h, w] fp32, unscaled
};

class Autoencoder {
 public:
  virtual ~Autoencoder() = default;
  /// pixels [N, 3, H, W] fp32 in [-1, 1], sides multiples of stride().
  virtual Posterior encode(const at::Tensor& pixels, const nn::RunContext& context) const = 0;
  /// latents [N, C, h, w] fp32, unscaled -> pixels [N, 3, H, W] fp32, about [-1, 1].
  virtual at::Tensor decode(const at::Tensor& latents, const nn::RunContext& context) const = 0;
  virtual int64_t channels() const = 0;  ///< C
  virtual int64_t stride() const = 0;    ///< pixels a side of a latent
  /// What denoisers see is scale() * (latent - shift()).
  virtual double scale() const = 0;
  virtual double shift() const = 0;
};

}  // namespace lmms::models
