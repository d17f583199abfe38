#pragma once
/// What a device can do at most, for MFU.
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <optional>
#include <string>
#include <string_view>

namespace lmms::kernels {

/// Peak of dense matrix products and where the number comes from.
struct Peak {
  double flops_per_second = 0;
  std::string source;  ///< "data sheet, bf16 dense" or "measured"
};

/// Whether the driver calls a device by the name of this card: "NVIDIA RTX A6000" by "A6000". The
/// parts of laptops and for single markets ("RTX 4090 D") bear names of others and are none of
/// them.
bool is_card(std::string_view device_name, std::string_view card);

/// FLOP/s of the data sheet in bf16, dense, of the card that the driver calls so; nothing for those
/// that are not known.
std::optional<double> data_sheet_peak(std::string_view device_name);

/// GPUs by name in bf16 (the table of lmms_engine 0.1.4 with the refinements of its peers);
/// everything else is measured with matrix products for about a tenth of a second.
Peak peak_of(c10::Device device, c10::ScalarType dtype);

}  // namespace lmms::kernels
