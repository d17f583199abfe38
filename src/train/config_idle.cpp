// Keys that a user wrote and that change nothing beside the others of the config.
#include <algorithm>
#include <set>
#include <utility>

#include "core/config/schema.h"
#include "core/format.h"
#include "train/best_model.h"
#include "train/config_validate.h"
#include "train/deepspeed.h"
#include "train/registries.h"

namespace lmms::train {
namespace {

using config::Value;

/// Gathers the keys; what equals its default would change nothing anyway and is no news.
class Idle {
 public:
  Idle(const TrainConfig& config, const Given& given) : given_(given) {
    for (const std::string& line : diff_from_defaults(config))
      changed_.insert(line.substr(0, line.find(": ")));
  }

  /// Names each of the keys, or of the keys below it, that differs from its default.
  void name(std::initializer_list<std::string_view> keys, const std::string& why) {
    for (const std::string_view key : keys) {
      for (const std::string& changed : changed_) {
        const bool below =
            changed.starts_with(key) && changed.size() > key.size() && changed[key.size()] == '.';
        if (changed == key || below) found_.push_back({changed, why});
      }
    }
  }
  /// Names each of the keys that was given, at its default too: who writes it expects something.
  void name_given(std::initializer_list<std::string_view> keys, const std::string& why) {
    for (const std::string_view key : keys) {
      if (given_.has(std::string(key))) found_.push_back({std::string(key), why});
    }
  }
  void name_always(const std::string& key, const std::string& why) { found_.push_back({key, why}); }
  /// Whether the config itself says that a switch is off: what the switch would need is then no
  /// news. Files that spell out every key are full of it.
  bool is_written(std::string_view key) const { return given_.has(std::string(key)); }
  std::vector<IdleKey> take() { return std::move(found_); }

 private:
  const Given& given_;
  std::set<std::string> changed_;
  std::vector<IdleKey> found_;
};

void data_keys(const data::DataConfig& data, const Registries& registries, Idle& idle) {
  const bool says_no_packing = !data.packing && idle.is_written("dataset_config.packing");
  if (says_no_packing) {
    // what it would need is no news
  } else if (!data.packing) {
    const std::string why = "without packing: true";
    idle.name_given({"dataset_config.packing_strategy"}, why);
    if (!data.plain_text()) idle.name_given({"dataset_config.packing_length"}, why);
    idle.name({"dataset_config.packing_kwargs"}, why);
  } else if (data.packing_strategy == data::PackingStrategy::sequential) {
    idle.name({"dataset_config.packing_kwargs.num_open_bins"}, "sequential has one open bin");
  }
  constexpr const char* kFilter = "dataset_config.filter_overlong";
  if (!data.length_limit()) {
    if (!says_no_packing)
      idle.name_given({kFilter}, "nothing is over-long without packing: true or max_length");
  } else if (data.on_overlong) {
    idle.name({kFilter}, "on_overlong decides");
  } else if (data.plain_text()) {
    idle.name({kFilter}, "plain text is cut; on_overlong says otherwise");
  }
  if (!data.shuffle) {
    idle.name({"dataset_config.data_seed", "trainer_args.data_seed"},
              "shuffle: false keeps the files' order");
  }
  if (!data.processor.takes_images()) {
    const std::string why =
        fmt::format("processor_type {} takes no images and videos", data.processor.processor_type);
    for (size_t i = 0; i < data.datasets.size(); ++i) {
      if (!data.datasets[i].data_folder.empty())
        idle.name_always(fmt::format("dataset_config.datasets[{}].data_folder", i), why);
    }
    idle.name({"dataset_config.video_sampling_strategy", "dataset_config.video_max_pixels",
               "dataset_config.video_min_pixels", "dataset_config.video_max_frames",
               "dataset_config.frame_num", "dataset_config.fps"},
              why);
    return;
  }
  const models::ProcessorEntry* processor =
      registries.processors.find(data.processor.processor_type);
  if (processor != nullptr && processor->frames_have_one_size != nullptr) {
    idle.name({"dataset_config.video_max_pixels", "dataset_config.video_min_pixels"},
              processor->frames_have_one_size);
  }
  if (data.video.sampling_strategy == "fps") {
    idle.name({"dataset_config.frame_num"}, "video_sampling_strategy: fps goes by rate");
  } else {
    idle.name({"dataset_config.fps", "dataset_config.video_max_frames"},
              "video_sampling_strategy: frame_num goes by number");
  }
}

void model_keys(const models::ModelConfig& model, Idle& idle) {
  const Value::Map* kwargs = model.extra_kwargs.map();
  if (kwargs == nullptr) return;
  const auto why = [](const std::string& key) -> const char* {
    if (key == "trust_remote_code") return "nothing that a checkpoint brings is run";
    if (key == "torch_dtype" || key == "dtype") return "the number type follows trainer_args.bf16";
    if (key == "cache_dir") return "HF_HUB_CACHE and HF_HOME name the hub's cache";
    if (key == "device_map") return "the whole model is on one device";
    if (key == "local_files_only" || key == "force_download" || key == "token")
      return "nothing is downloaded";
    if (key == "use_safetensors") return "weights are always safetensors";
    if (key == "attn_implementation") return "the best of the device is taken";
    return "an argument of transformers' from_pretrained";
  };
  for (const auto& [key, value] : *kwargs) {
    if (!config::asks_for_nothing(value))
      idle.name_always("model_config.extra_kwargs." + key, why(key));
  }
}

void evaluation_keys(const TrainerArgs& args, bool has_data, Idle& idle) {
  const bool evaluates = args.eval_strategy != Every::no || args.eval_on_start;
  if (args.eval_strategy != Every::steps)
    idle.name({"trainer_args.eval_steps"}, "eval_strategy is not steps");
  const std::initializer_list<std::string_view> metric{"trainer_args.metric_for_best_model",
                                                       "trainer_args.greater_is_better"};
  if (args.eval_strategy == Every::no) {
    idle.name(metric, "eval_strategy is no");
  } else if (!seeks_best(args)) {
    idle.name(metric, "without load_best_model_at_end or early_stopping_patience");
  }
  if (!args.best.early_stopping_patience)
    idle.name({"trainer_args.early_stopping_threshold"}, "without early_stopping_patience");
  if (!evaluates && !has_data)
    idle.name({"trainer_args.per_device_eval_batch_size"}, "nothing is evaluated");
  if (!args.eval_sample.asks()) {
    idle.name({"trainer_args.eval_sample"}, "per_class is 0: no sample is made");
  } else {
    if (args.eval_sample.sampler == "dopri5")
      idle.name({"trainer_args.eval_sample.steps"}, "dopri5 chooses its steps");
    if (!args.ema.ema_enabled)
      idle.name({"trainer_args.eval_sample.ema"}, "without ema_enabled: true");
  }
  if (!args.eval_generate.asks()) {
    idle.name({"trainer_args.eval_generate"}, "neither prompts nor rows");
  } else if (args.eval_generate.temperature == 0) {
    idle.name({"trainer_args.eval_generate.top_k", "trainer_args.eval_generate.top_p"},
              "at temperature 0 the most likely token is taken");
  }
}

void trainer_keys(const TrainerArgs& args, Idle& idle) {
  if (args.max_steps > 0)
    idle.name({"trainer_args.num_train_epochs"},
              fmt::format("max_steps={} decides", args.max_steps));
  if (args.logging_strategy != Every::steps)
    idle.name({"trainer_args.logging_steps"}, "logging_strategy is not steps");
  if (args.save_strategy != SaveStrategy::steps)
    idle.name({"trainer_args.save_steps"}, "save_strategy is not steps");
  if (!args.enable_profiler && !idle.is_written("trainer_args.enable_profiler"))
    idle.name({"trainer_args.profiler_config"}, "without enable_profiler: true");
  if (args.ema.ema_enabled) {
    idle.name({"trainer_args.ema_requires_grad_only"}, "frozen weights do not move");
  } else if (!idle.is_written("trainer_args.ema_enabled")) {
    idle.name({"trainer_args.ema_decay", "trainer_args.ema_warmup", "trainer_args.ema_update_every",
               "trainer_args.ema_start_step", "trainer_args.ema_requires_grad_only",
               "trainer_args.ema_param_filter", "trainer_args.ema_resume_from_ema"},
              "without ema_enabled: true");
  }
  idle.name({"trainer_args.reduce_dtype", "trainer_args.ddp_timeout"}, "one process trains");
}

/// Says yes, as a boolean or in quotes.
bool says_yes(const Value& value) {
  bool yes = false;
  return config::read_boolean(config::to_node(value), yes) && yes;
}

bool mentions(const Value& value, std::string_view word) {
  if (const std::string* text = value.string()) return text->find(word) != std::string::npos;
  if (const Value::List* list = value.list()) {
    return std::any_of(list->begin(), list->end(),
                       [&](const Value& item) { return mentions(item, word); });
  }
  return false;
}

const Value* layout_key(const TrainerArgs& args, const char* key) {
  const auto found = args.layout.find(key);
  return found == args.layout.end() ? nullptr : &found->second;
}

/// Of what is accepted as layout, that which promises more: grouping by length, and settings of
/// FSDP and DeepSpeed beyond the division over ranks.
void layout_keys(const TrainerArgs& args, Idle& idle) {
  constexpr const char* kStays = "nothing is moved to the host: lmms plan says what fits";
  constexpr const char* kRecompute = "gradient_checkpointing says it";
  if (const Value* order = layout_key(args, "train_sampling_strategy");
      order && mentions(*order, "group_by_length")) {
    idle.name_always("trainer_args.train_sampling_strategy",
                     "rows are never padded to the longest, so grouping gains nothing");
  }
  if (const Value* fsdp = layout_key(args, "fsdp"); fsdp && mentions(*fsdp, "offload"))
    idle.name_always("trainer_args.fsdp: offload", kStays);
  if (const Value* config = layout_key(args, "fsdp_config"); config && config->map()) {
    for (const auto& [key, value] : *config->map()) {
      if (!says_yes(value)) continue;
      if (key.ends_with("cpu_offload") || key.ends_with("offload_params"))
        idle.name_always("trainer_args.fsdp_config." + key, kStays);
      if (key.ends_with("activation_checkpointing") || key == "xla_fsdp_grad_ckpt")
        idle.name_always("trainer_args.fsdp_config." + key, kRecompute);
    }
  }
  for (const auto& [key, why] : read_deepspeed(args).idle) idle.name_always(key, why);
}

}  // namespace

std::vector<IdleKey> idle_keys(const TrainConfig& config, const Given& given,
                               const Registries& registries) {
  Idle idle(config, given);
  data_keys(config.dataset, registries, idle);
  model_keys(config.model, idle);
  trainer_keys(config.trainer, idle);
  for (const auto& [trainer, section] : {std::pair{"dllm_trainer", "trainer_args.masked_diffusion"},
                                         std::pair{"sit_trainer", "trainer_args.interpolant"}}) {
    if (config.trainer_type != trainer)
      idle.name({section}, fmt::format("without trainer_type: {}", trainer));
  }
  evaluation_keys(config.trainer, config.dataset.eval_dataset_path.has_value(), idle);
  layout_keys(config.trainer, idle);
  return idle.take();
}

std::string idle_notice(const std::vector<IdleKey>& idle) {
  std::vector<IdleKey> rows;  // keys that share a reason are one
  for (const IdleKey& one : idle) {
    const auto same = std::find_if(rows.begin(), rows.end(),
                                   [&](const IdleKey& row) { return row.why == one.why; });
    if (same == rows.end()) {
      rows.push_back(one);
    } else {
      same->key += ", " + one.key;
    }
  }
  std::string out;
  for (const IdleKey& row : rows)
    out += fmt::format("{}{} ({})", out.empty() ? "without effect: " : "; ", row.key, row.why);
  return out;
}

}  // namespace lmms::train
