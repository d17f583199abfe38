#pragma once
/// What a device can do at most, for MFU.
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

namespace lmms::kernels {

/// Peak of dense matrix products and where the number comes from.
struct Peak {
  double flops_per_second = 0;
  std::string source;  ///< "data sheet, bf16 dense" or "measured"
};

/// GPUs by name in bf16 (the table of lmms_engine 0.1.4 with the refinements of its peers);
/// everything else is measured with matrix products for about a tenth of a second.
Peak peak_of(c10::Device device, c10::ScalarType dtype);

}  // namespace lmms::kernels
