#pragma once
/// What a *_none.cpp answers in place of a kernel.
#include "core/error.h"

namespace lmms::kernels {

[[noreturn]] inline void no_cuda() {
  throw Error("", "this build of lmms has no CUDA kernels",
              "build it where the CUDA toolkit's nvcc is (make)", Exit::failed);
}

}  // namespace lmms::kernels
