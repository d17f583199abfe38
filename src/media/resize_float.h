#pragma once
/// Resizing of 8-bit images in float32, as torch does it to float tensors with antialias=True on a
/// CPU (bicubic, a = -0.5): the loaders of Qwen's videos resize this way. resize.h is the other
/// way, which image processors take; they differ by a few levels.
#include <vector>

#include "media/image.h"

namespace lmms::media {

/// torchvision.transforms.functional.resize of a uint8 tensor: rounded half to even, clamped to
/// 0..255. Equal bit for bit to torch 2.11 on processors with AVX2. An image that keeps its size is
/// not touched.
Image resize_rounded(const Image& image, int width, int height);

/// The same without rounding and clamping: [height][width * 3].
std::vector<float> resize_unrounded(const Image& image, int width, int height);

}  // namespace lmms::media
