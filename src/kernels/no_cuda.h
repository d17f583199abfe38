#pragma once
/// What a *_none.cpp answers in place of a kernel.
#include "core/error.h"

namespace lmms::kernels {

[[noreturn]] inline void no_cuda() {
  throw Error("", "this build of lmms has no CUDA kernels",
              "build with nvcc on the path (make build), then run bin/cuda/lmms", Exit::failed);
}

}  // namespace lmms::kernels
