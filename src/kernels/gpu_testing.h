#pragma once
/// For tests on a GPU (*_gpu_test.cpp): fixtures whose tests are skipped where there is none.
#include <gtest/gtest.h>

#include <string>

#include "kernels/device.h"

namespace lmms::kernels::testing {

/// Runs its tests on a stream of our own on the first GPU. Without one, or where it lacks what they
/// need, they are skipped and say why.
class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!best_device(0).is_cuda()) GTEST_SKIP() << "no CUDA device";
    use_own_stream(best_device(0));
    const std::string missing = lacks();
    if (!missing.empty()) GTEST_SKIP() << missing;
  }
  /// What the tests need beyond a GPU and this one lacks; empty: nothing.
  virtual std::string lacks() const { return {}; }
};

/// The same for TEST_P.
template <class Param>
class GpuTestWith : public GpuTest, public ::testing::WithParamInterface<Param> {};

}  // namespace lmms::kernels::testing
