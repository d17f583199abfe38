#include "generate/frechet.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp_min.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_eigvalsh.h>
#include <ATen/ops/matmul.h>
#include <c10/util/Exception.h>

#include <optional>
#include <vector>

#include "checkpoint/numpy_file.h"
#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "core/format.h"
#include "models/tensor_io.h"

namespace lmms::generate {
namespace {

namespace fs = std::filesystem;
using checkpoint::TensorView;

const TensorView* find(std::span<const TensorView> arrays, const char* name) {
  for (const TensorView& array : arrays) {
    if (array.name == name) return &array;
  }
  return nullptr;
}

at::Tensor in_fp64(const TensorView& view, const std::string& where) {
  const at::Tensor t = models::to_tensor(view, where).to(at::kDouble);
  if (!at::isfinite(t).all().item<bool>())
    throw Error(where, fmt::format("array '{}' holds NaN or infinity", view.name));
  return t;
}

FeatureStatistics read_arrays(std::span<const TensorView> arrays, const std::string& where) {
  const TensorView *mean = find(arrays, "mu"), *covariance = find(arrays, "sigma");
  if (mean != nullptr && covariance != nullptr) {
    const int64_t D = mean->shape.size() == 1 ? mean->shape[0] : -1;
    if (D < 1 || covariance->shape != checkpoint::Shape{D, D}) {
      throw Error(where, fmt::format("mu is {} and sigma {}; expected [D] and [D, D]",
                                     checkpoint::text_of(mean->shape),
                                     checkpoint::text_of(covariance->shape)));
    }
    return {in_fp64(*mean, where), in_fp64(*covariance, where), 0};
  }
  std::vector<const TensorView*> matrices;
  for (const TensorView& array : arrays) {
    if (array.shape.size() == 2) matrices.push_back(&array);
  }
  if (matrices.size() != 1) {
    throw Error(where,
                fmt::format("holds neither mu and sigma nor one matrix of features, but {} arrays, "
                            "{} of them matrices",
                            arrays.size(), matrices.size()),
                "save the features of the images as one array [images, features]");
  }
  const checkpoint::Shape& shape = matrices[0]->shape;
  if (shape[0] < 2 || shape[1] < 1)
    throw Error(where, fmt::format("features are {}; at least two samples are needed",
                                   checkpoint::text_of(shape)));
  return statistics_of(in_fp64(*matrices[0], where));
}

// C^(1/2) of a symmetric matrix without negative eigenvalues but for rounding.
at::Tensor root(const at::Tensor& c) {
  const auto [values, vectors] = at::linalg_eigh(c);
  return at::matmul(vectors * at::clamp_min(values, 0).sqrt(), vectors.t());
}

}  // namespace

FeatureStatistics statistics_of(const at::Tensor& features) {
  TORCH_INTERNAL_ASSERT(features.dim() == 2 && features.size(0) >= 2, features.sizes());
  const at::Tensor x = features.to(at::kDouble), mean = x.mean(0), centred = x - mean;
  const auto N = x.size(0);
  return {mean, at::matmul(centred.t(), centred) / static_cast<double>(N - 1), N};
}

FeatureStatistics read_feature_statistics(const fs::path& file) {
  const std::string where = file.string();
  if (file.extension() == ".safetensors") {
    const auto opened = checkpoint::SafetensorsFile::open(file).take();
    return read_arrays(opened.tensors(), where);
  }
  const auto opened = checkpoint::NumpyFile::open(file).take();
  return read_arrays(opened.arrays(), where);
}

double frechet_distance(const FeatureStatistics& a, const FeatureStatistics& b) {
  TORCH_INTERNAL_ASSERT(a.mean.sizes() == b.mean.sizes(), a.mean.sizes(), b.mean.sizes());
  const at::Tensor half = root(a.covariance);
  const at::Tensor product = at::matmul(at::matmul(half, b.covariance), half);
  const at::Tensor values = at::linalg_eigvalsh((product + product.t()) / 2);
  const double traces = (a.covariance.diagonal() + b.covariance.diagonal()).sum().item<double>();
  return (a.mean - b.mean).square().sum().item<double>() + traces -
         2 * at::clamp_min(values, 0).sqrt().sum().item<double>();
}

}  // namespace lmms::generate
