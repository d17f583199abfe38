#pragma once
/// What a plan must know of a device.
#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lmms::kernels {
struct GpuFacts;
}

namespace lmms::plan {

struct Card {
  std::string name;  ///< "h200", "h100:3g.40gb", or what the driver says; a CPU's model name
  int64_t memory_bytes = 0;                   ///< that a process can have, reserved_bytes included
  int64_t reserved_bytes = int64_t{1} << 30;  ///< that no tensor can have: a GPU's context and
                                              ///< libraries; the program itself on a CPU
  double peak_flops_per_second = 0;       ///< of the data sheet, bf16 dense: for MFU; of a CPU what
                                          ///< products of 1024 x 1024 reach in the run's numbers
  double product_flops_per_second = 0;    ///< what large products reach
  double attention_flops_per_second = 0;  ///< what attention reaches on whole tiles of 128 x 128
  double copy_bytes_per_second = 0;       ///< read and written
  int processors = 0;                     ///< streaming multiprocessors; threads of a CPU
  int compute_major = 9;                  ///< of its compute capability; 0: the CPU
  bool measured = false;                  ///< false: from data sheets, times are a guess
  bool known = true;                      ///< false: the rates are an H100's, times mean little

  bool is_cpu() const { return compute_major == 0; }
};

/// Card names that `card_named` knows, for help texts: "h100, h200; by data sheet, not measured:
/// a100, ...".
std::string card_names();
/// The same one by one, for a shell to complete.
std::vector<std::string> known_cards();

/// "h200", or a slice of one by its size: "h100:3g.40gb". Throws Error with the known names.
Card card_named(const std::string& name);

/// The card that a device is, with the memory that is free on it now; one that is not known has the
/// rates of an H100.
Card card_of(c10::Device device);
Card card_of(const kernels::GpuFacts& gpu);

/// This machine's CPU for a run in `dtype`: what its products and copies reach is measured, which
/// takes some tenths of a second. `memory_bytes`: that this process can have in all.
Card this_cpu(c10::ScalarType dtype, int64_t memory_bytes);

}  // namespace lmms::plan
