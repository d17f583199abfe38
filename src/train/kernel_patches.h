#pragma once
/// The patches that a config asks for, and the kernels that they choose: `monkey_patch`,
/// `model_config.monkey_patch_kwargs`, `use_liger_kernel`, `liger_kernel_config`.
#include <c10/core/Device.h>

#include <string>
#include <vector>

#include "models/patch.h"
#include "nn/run_context.h"
#include "train/config.h"

namespace lmms::train {

/// Every patch that the config names, liger in front of them: it is the default. Their `where`
/// needs `loaded`.
std::vector<models::PatchRequest> patch_requests(const LoadedConfig& loaded);

/// Lets them change the model's structure, before memory is laid out. Throws Error, also if the
/// config asks by name for the kernel of an op that the model has not: geglu, or layer_norm where
/// all norms are RMSNorms.
void patch_structure(const LoadedConfig& loaded, models::Model& model);

/// Fused where the device has a kernel, which is the default; plain for the ops that the config
/// turns off by name: rope (with the attention around it), rms_norm or layer_norm, swiglu or geglu,
/// fused_linear_cross_entropy. `use_liger_kernel: false` turns all of them off.
nn::KernelSet kernel_set(const LoadedConfig& loaded);

/// "fused" or "fused, by request plain: norm, activation"; on a CPU "ATen's".
std::string text_of(const nn::KernelSet& kernels, c10::Device device);

/// What the user should know of patches that ask for kernels which the device has not; empty:
/// nothing.
std::string notice_of_patches(const TrainConfig& config, c10::Device device);

}  // namespace lmms::train
