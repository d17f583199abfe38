// The patches that ask for kernels, which are the default here.
#include <ranges>
#include <string>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "models/patch.h"
#include "nn/param.h"

namespace lmms::models {
namespace {

using kernels::Form;

// A norm that has a bias beside its weight of ones.
bool has_layer_norm(const nn::ParamTable& params) {
  constexpr std::string_view kWeight = ".weight";
  for (const nn::Param& p : params.all()) {
    if (p.init.law != nn::Init::Law::ones || !p.name.ends_with(kWeight)) continue;
    if (params.find_part(p.name.substr(0, p.name.size() - kWeight.size()) + ".bias") != nullptr)
      return true;
  }
  return false;
}

// An op of the peer's that the model has not cannot be asked for.
void check_ops(const PatchRequest& request, Model& model) {
  const nn::ParamTable& params = model.params();
  for (const PatchRequest::Section& section : std::views::reverse(request.sections)) {
    const auto refuse = [&](const char* key, const char* why) {
      if (section.switched(key) == true)
        throw Error(request.where(section.key + "." + key),
                    std::string("the patch does not apply: ") + why, "leave it out");
    };
    refuse("geglu", "the model has no gated GELU");
    if (!has_layer_norm(params)) refuse("layer_norm", "all norms of the model are RMSNorms");
  }
}

// Fused where the device has a kernel; plain for the ops that are turned off by name.
void choose_kernels(const PatchRequest& request, nn::KernelSet& kernels) {
  for (const PatchRequest::Section& section : request.sections) {
    if (section.key == "trainer_args") {
      if (section.switched("use_liger_kernel") == false) kernels = plain_kernels();
      continue;
    }
    for (const auto& [key, form] : {std::pair<std::string_view, Form*>{"rope", &kernels.rope},
                                    {"rms_norm", &kernels.norm},
                                    {"layer_norm", &kernels.norm},
                                    {"swiglu", &kernels.activation},
                                    {"geglu", &kernels.activation},
                                    {"fused_linear_cross_entropy", &kernels.loss}}) {
      if (section.switched(key) == false) *form = Form::plain;
    }
  }
}

}  // namespace

nn::KernelSet plain_kernels() {
  nn::KernelSet kernels;
  kernels.norm = kernels.rope = kernels.activation = kernels.loss = Form::plain;
  return kernels;
}

// Of patches.def.
PatchEntry liger_patch();
PatchEntry rmpad_patch();
PatchEntry vit_frame_parallel_patch();

PatchEntry liger_patch() {
  return {.structure = check_ops, .kernels = choose_kernels};
}

PatchEntry rmpad_patch() {
  return {};  // rows have no padding, whatever is asked for
}

PatchEntry vit_frame_parallel_patch() {
  return {};  // one rank has every image of its row
}

}  // namespace lmms::models
