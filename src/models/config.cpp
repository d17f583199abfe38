#include "models/config.h"

#include <array>

#include "core/config/fields.h"

namespace lmms::models {

using config::Built;
using config::Fields;
using config::Name;
using config::Rule;
using config::Type;

std::span<const Name> patch_names() {
#define LMMS_PATCH(name, entry, help) Name{#name, Built::built, help},
#define LMMS_PATCH_LATER(name, help) Name{#name, Built::later, help},
  static const std::array list = {
#include "models/patches.def"
  };
#undef LMMS_PATCH
#undef LMMS_PATCH_LATER
  return list;
}

void fields(Fields& f, PatchConfig& c) {
  f("patch_type", c.patch_type, "patches",
    Rule().one_of(patch_names()).extended_by("patch").or_null().single_or_list());
  for (std::string_view kernel : {"rope", "rms_norm", "layer_norm", "swiglu", "geglu",
                                  "cross_entropy", "fused_linear_cross_entropy"}) {
    f.layout(kernel, c.layout, Type::boolean, "a kernel of liger");
  }
  f.layout("use_rmpad", c.layout, Type::boolean, "rows without padding");
  f.unbuilt("add_faster_video", Type::boolean, {"false", "null"}, "patch video");
  f.unbuilt("faster_token_stride", Type::integer, {"null"}, "patch video");
  f.unbuilt("mm_spatial_pool_stride", Type::integer, {"null"}, "patch video");
  f.unbuilt("mm_spatial_pool_mode", Type::text, {"null"}, "patch video");
  for (std::string_view argument : {"block_size", "compress_type", "kernel_size", "kernel_stride",
                                    "topk", "init_blocks", "local_blocks", "window_size"}) {
    f.unbuilt(argument, Type::any, {"null"}, "patch nsa");
  }
}

void fields(Fields& f, ModelConfig& c) {
  f("load_from_pretrained_path", c.load_from_pretrained_path, "folder of a Hugging Face checkpoint",
    Rule().path());
  f("load_from_config", c.load_from_config,
    "a model of random weights: {model_type: qwen3, config: {hidden_size: ...}}, or the same flat");
  f("model_general_type", c.model_general_type,
    "which head of a model type that has several; general: the one that it has",
    Rule().one_of({"causal_lm", "masked_lm", "image_text_to_text", "general"}));
  f("overwrite_config", c.overwrite_config,
    "fields of the checkpoint's config.json with other values");
  f("monkey_patch_kwargs", c.monkey_patch_kwargs, "patches and their arguments", Rule().or_null());
  f.layout("attn_implementation", c.layout, Type::text,
           "attention kernel; the best of the device is taken",
           Rule().only({"null", "flash_attention_2", "flash_attention_3", "sdpa", "eager"}));
  f("extra_kwargs", c.extra_kwargs, "arguments of from_pretrained",
    Rule().or_null().keys({"trust_remote_code", "torch_dtype", "dtype", "revision", "subfolder",
                           "cache_dir", "device_map", "low_cpu_mem_usage", "attn_implementation",
                           "use_cache", "use_safetensors", "local_files_only", "force_download",
                           "token"}));
  f.ignored("torch_dtype", "the number type follows trainer_args.bf16");
  f.ignored("model_type", "the checkpoint's config.json says it");
}

}  // namespace lmms::models
