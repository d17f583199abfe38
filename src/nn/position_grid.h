#pragma once
/// Fixed embeddings of the places of a square grid: sines and cosines of column and row.
#include <cstdint>
#include <span>

namespace lmms::nn {

/// out [side^2, width], row by row of the grid; width a multiple of 4. The first half of a place
/// tells its column, the second its row, each as sines and then cosines of
///   place * 10000^(-4 i / width),   0 <= i < width / 4
/// computed in fp64. Source: He et al. 2022, "Masked autoencoders", pos_embed.py.
void fill_position_grid(std::span<float> out, int64_t width);

}  // namespace lmms::nn
