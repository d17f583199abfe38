#pragma once
/// Which kernels the patches of a config choose: `use_liger_kernel`, `liger_kernel_config` and
/// `model_config.monkey_patch_kwargs`.
#include <c10/core/Device.h>

#include <string>

#include "nn/param.h"
#include "nn/run.h"
#include "train/config.h"

namespace lmms::train {

/// Fused where the device has a kernel, which is the default; plain for the ops that the config
/// turns off by name: rope (with the attention around it), rms_norm or layer_norm, swiglu or geglu,
/// fused_linear_cross_entropy. `use_liger_kernel: false` turns all of them off.
nn::KernelSet kernel_set(const TrainConfig& config);

/// What `use_liger_kernel: false` chooses.
nn::KernelSet plain_kernels();

/// Throws Error if the config asks by name for the kernel of an op that the model has not: geglu,
/// or layer_norm where all norms are RMSNorms.
void check_patches(const LoadedConfig& loaded, const nn::ParamTable& params);

/// "fused" or "fused, by request plain: norm, activation"; on a CPU "ATen's".
std::string text_of(const nn::KernelSet& kernels, c10::Device device);

/// What the user should know of patches that ask for kernels which the device has not; empty:
/// nothing.
std::string notice_of_patches(const TrainConfig& config, c10::Device device);

}  // namespace lmms::train
