#pragma once
/// What a plan must know of a GPU.
#include <c10/core/Device.h>

#include <cstdint>
#include <string>

namespace lmms::plan {

struct Card {
  std::string name;                       ///< "h200", "h100:3g.40gb", or what the driver says
  int64_t memory_bytes = 0;               ///< that a process can have, its own context included
  double peak_flops_per_second = 0;       ///< of the data sheet, bf16 dense: for MFU
  double product_flops_per_second = 0;    ///< what large bf16 products reach
  double attention_flops_per_second = 0;  ///< what attention reaches on whole tiles of 128 x 128
  double copy_bytes_per_second = 0;       ///< read and written
  int processors = 0;                     ///< streaming multiprocessors
  int compute_major = 9;
  bool measured = false;  ///< false: from data sheets, times are a guess
};

/// Card names that `card_named` knows, for help texts: "h100, h200, ...".
std::string card_names();

/// "h200", or a slice of one by its size: "h100:3g.40gb". Throws Error with the known names.
Card card_named(const std::string& name);

/// The card that a device is, with the memory that is free on it now; one that is not known has the
/// rates of an H100.
Card card_of(c10::Device device);

}  // namespace lmms::plan
