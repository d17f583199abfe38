#pragma once
/// Square crops for generators of images.
#include "media/image.h"

namespace lmms::media {

/// The middle of an image, size x size: halved by means of 2 x 2 pixels while its shorter side is
/// at least twice `size`, brought to `size` on that side (bicubic), and cut. Source: Dhariwal &
/// Nichol 2021, "Diffusion models beat GANs on image synthesis", whose code (center_crop_arr) DiT
/// and SiT take; within one level of it (Pillow's filters round otherwise).
Image centre_crop(Image image, int size);

}  // namespace lmms::media
