#include "models/patch.h"

namespace lmms::models {

std::optional<bool> PatchRequest::Section::switched(std::string_view name) const {
  const auto found = values.find(std::string(name));
  if (found == values.end()) return std::nullopt;
  const bool* on = std::get_if<bool>(&found->second.data);
  return on != nullptr ? std::optional(*on) : std::nullopt;
}

// Beside this file: kernel_patches.cpp.
#define LMMS_PATCH(name, entry, help) PatchEntry entry();
#define LMMS_PATCH_LATER(name, help)
#include "models/patches.def"
#undef LMMS_PATCH
#undef LMMS_PATCH_LATER

void register_patches(PatchRegistry& registry) {
#define LMMS_PATCH(name, entry, help) registry.add(#name, help, entry());
#define LMMS_PATCH_LATER(name, help)
#include "models/patches.def"
#undef LMMS_PATCH
#undef LMMS_PATCH_LATER
}

void patch_structure(const PatchRegistry& registry, std::span<const PatchRequest> requests,
                     Model& model) {
  for (const PatchRequest& request : requests) {
    const PatchEntry& patch = registry.at(request.name, request.where("monkey_patch"));
    if (patch.structure != nullptr) patch.structure(request, model);
  }
}

nn::KernelSet patched_kernels(const PatchRegistry& registry,
                              std::span<const PatchRequest> requests) {
  nn::KernelSet kernels;
  for (const PatchRequest& request : requests) {
    const PatchEntry& patch = registry.at(request.name, request.where("monkey_patch"));
    if (patch.kernels != nullptr) patch.kernels(request, kernels);
  }
  return kernels;
}

}  // namespace lmms::models
