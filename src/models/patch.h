#pragma once
/// Patches: changes of a model, or of how it is computed, that a config asks for by name.
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/value.h"
#include "core/registry.h"
#include "models/model.h"
#include "nn/run_context.h"

namespace lmms::models {

/// What a config says of a patch.
struct PatchRequest {
  /// Arguments, and the dotted key of the config that they stand under.
  struct Section {
    std::string key;
    std::map<std::string, config::Value> values;

    /// A value that is true or false; nullopt: absent, or neither.
    std::optional<bool> switched(std::string_view name) const;
  };
  std::string name;
  std::vector<Section> sections{};  ///< a later one goes over an earlier one
  /// Where a dotted key stands, for errors.
  std::function<std::string(const std::string& key)> where = [](const std::string& key) {
    return key;
  };
};

/// A patch: either function may be null.
struct PatchEntry {
  /// Changes the structure before memory is laid out: Params that it adds are allocated,
  /// initialised and saved like all others. Throws Error where the patch does not apply to the
  /// model.
  void (*structure)(const PatchRequest& request, Model& model) = nullptr;
  /// Chooses kernels, once there is memory.
  void (*kernels)(const PatchRequest& request, nn::KernelSet& kernels) = nullptr;
};

/// By name.
using PatchRegistry = Registry<PatchEntry>;

/// Adds every patch of patches.def that is built.
void register_patches(PatchRegistry& registry);

/// Lets the patches change the model, in their order. Throws Error, also for a name that is not in
/// the registry.
void patch_structure(const PatchRegistry& registry, std::span<const PatchRequest> requests,
                     Model& model);
/// The kernels that the patches choose, in their order, beginning with the fused ones.
nn::KernelSet patched_kernels(const PatchRegistry& registry,
                              std::span<const PatchRequest> requests);

/// Plain kernels for all that there is a choice of: what liger leaves when it is turned off.
nn::KernelSet plain_kernels();

}  // namespace lmms::models
