#pragma once
/// Samples of a denoiser: an image or its latent as tokens, with a class and no text.
///
/// A sample has one MediaPart, one full segment, and as many tokens as the denoiser has patches (P,
/// of W values each). Its kind says what its values are:
///   kLatents  [P, W], grid {1, rows, columns}: the data x1 itself
///   kPixels   [1, 3 * H * W] (channel, row, column) in [-1, 1], grid {1, 1, 1}: an image that an
///             autoencoder encodes in the step
/// A processor leaves `values` empty where a choice is still to be made, and gives what to choose
/// from as extras, which the drawing of the objective takes away (take_choice):
///   kMean       [versions x values]: the image, and behind it the image mirrored
///   kDeviation  as kMean, where each is a Gaussian to draw from (a latent cache); else absent
///   kVersions   [1] how many there are, 1 or 2
/// A sample that is not decoded yet has neither values nor these extras.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/sample.h"

namespace lmms::data {

class DrawKey;

/// Kinds of media.
inline constexpr char kLatents[] = "latents";
inline constexpr char kPixels[] = "pixels";

/// Extras of the processor. The drawing adds more (kTime, kNoise).
inline constexpr char kClass[] = "class";          ///< [1] of the image
inline constexpr char kMean[] = "mean";            ///< consumed by the drawing
inline constexpr char kDeviation[] = "deviation";  ///< consumed by the drawing
inline constexpr char kVersions[] = "versions";    ///< consumed by the drawing
/// Extras of the drawing.
inline constexpr char kTime[] = "time";    ///< [1] t
inline constexpr char kNoise[] = "noise";  ///< [P * W] x0, standard normal
/// [latent values] (channel, row, column): what an autoencoder's posterior is drawn with, of a
/// sample of kPixels.
inline constexpr char kPosterior[] = "posterior";

/// In Sample::counts: 1 of every such sample.
inline constexpr char kImages[] = "images";

/// Chooses the version (Purpose::augmentation, element 0; without `flip` the first) and draws from
/// its Gaussian (Purpose::posterior, an element for each value): values of its media are there
/// afterwards, and kMean, kDeviation and kVersions are gone. Without these extras it leaves the
/// sample as it is.
void take_choice(Sample& sample, const DrawKey& key, bool flip = true);

/// Planes [channels, height, width] as tokens [(height / patch) * (width / patch), channels * patch
/// * patch]: patches row by row, each (channel, row, column). Sides are multiples of patch.
std::vector<float> to_tokens(std::span<const float> planes, int64_t channels, int64_t height,
                             int64_t width, int64_t patch);
/// The reverse.
std::vector<float> to_planes(std::span<const float> tokens, int64_t channels, int64_t height,
                             int64_t width, int64_t patch);
/// Planes whose rows are mirrored.
std::vector<float> mirrored(std::span<const float> planes, int64_t width);

/// A sample of `tokens` tokens, without values: its media, its segment, its class (none: -1).
Sample latent_sample(const char* kind, PatchGrid grid, int64_t tokens, int64_t class_id);

}  // namespace lmms::data
