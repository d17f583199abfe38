#include "generate/frechet.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/diag.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/scratch_folder.h"
#include "core/error.h"
#include "core/files.h"

namespace lmms::generate {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const fs::path kData = fs::path(LMMS_SOURCE_DIR) / "src/generate/testdata";

at::Tensor numbers(std::vector<double> values) {
  return at::tensor(values, at::kDouble);
}

TEST(Frechet, of_independent_gaussians_is_the_formula_of_each_feature) {
  const FeatureStatistics a{numbers({1, 2}), at::diag(numbers({4, 9})), 0},
      b{numbers({0, 5}), at::diag(numbers({1, 16})), 0};
  EXPECT_NEAR(frechet_distance(a, b), 1 + 9 + 1 + 1, 1e-12);
  EXPECT_NEAR(frechet_distance(a, a), 0, 1e-12);
  EXPECT_NEAR(frechet_distance(a, b), frechet_distance(b, a), 1e-12);
}

TEST(Frechet, of_features_is_that_of_scipys_matrix_root) {
  const FeatureStatistics a = read_feature_statistics(kData / "features_a.npy"),
                          b = read_feature_statistics(kData / "features_b.npz"),
                          of_a = read_feature_statistics(kData / "statistics_a.npz");
  EXPECT_EQ(a.samples, 40);
  EXPECT_EQ(b.samples, 5);  // fewer than features: a covariance without full rank
  EXPECT_EQ(of_a.samples, 0);
  constexpr double kScipy = 8.685124359720742;  // make_features.py
  EXPECT_NEAR(frechet_distance(a, b), kScipy, 1e-6 * kScipy);
  EXPECT_NEAR(frechet_distance(of_a, b), kScipy, 1e-6 * kScipy);
}

TEST(Frechet, files_that_hold_no_features_are_named) {
  const checkpoint::ScratchFolder folder;
  const auto fault = [&](const fs::path& file) -> std::string {
    try {
      read_feature_statistics(file);
    } catch (const Error& error) {
      return error.fault().text();
    }
    return "no fault";
  };
  EXPECT_THAT(fault(folder / "none.npz"), HasSubstr("none.npz"));
  OutputFile(folder / "text.npz").write("hello");
  EXPECT_THAT(fault(folder / "text.npz"), HasSubstr("text.npz: is no file of numpy"));
  EXPECT_THAT(fault(kData / "compressed.npz"), HasSubstr("is compressed"));
  EXPECT_THAT(fault(kData / "objects.npy"), HasSubstr("'|O'"));
  const std::string whole = read_file(kData / "features_a.npy").take();
  for (size_t size = 0; size < whole.size(); ++size) {
    OutputFile(folder / "cut.npy").write(std::string_view(whole).substr(0, size));
    EXPECT_NE(fault(folder / "cut.npy"), "no fault") << size;
  }
}

}  // namespace
}  // namespace lmms::generate
