#pragma once
/// The Frechet distance between two sets of features, FID where they are Inception's:
///   |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))
/// Source: Heusel et al. 2017, "GANs trained by a two time-scale update rule", eq. 6.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>

namespace lmms::generate {

/// In fp64.
struct FeatureStatistics {
  at::Tensor mean;        ///< [D]
  at::Tensor covariance;  ///< [D, D], of N - 1
  int64_t samples = 0;    ///< N; 0: a file of statistics does not say
};

/// features [N, D] of at least two samples.
FeatureStatistics statistics_of(const at::Tensor& features);

/// Reads .npz, .npy or .safetensors: `mu` [D] and `sigma` [D, D] (statistics, as pytorch-fid and
/// the reference batches of guided-diffusion hold them), else the only matrix, features [N, D].
/// Throws Error.
FeatureStatistics read_feature_statistics(const std::filesystem::path& file);

/// Both of the same D. The root's trace is that of the symmetric (C1^(1/2) C2 C1^(1/2))^(1/2),
/// whose eigenvalues are not negative but for rounding.
double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b);

}  // namespace lmms::generate
