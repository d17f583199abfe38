#include "train/deepspeed.h"

#include <algorithm>
#include <cctype>
#include <span>
#include <string_view>

#include "core/config/node.h"
#include "core/config/schema.h"
#include "core/config/yaml.h"
#include "core/format.h"
#include "core/nearest.h"

namespace lmms::train {
namespace {

using config::Value;

/// What becomes of a key.
enum class Use {
  read,     ///< compared with trainer_args, or looked into
  speed,    ///< chooses speed, layout or how files look: accepted
  idle,     ///< told to the user where it is switched on
  refused,  ///< where it is switched on
  offload,  ///< refused where its `device` is one: DeepSpeed's default is none
};

struct Key {
  std::string_view name;
  Use use;
  std::string_view why = "";
};

constexpr std::string_view kReports = "metrics.jsonl and report.html are written";
constexpr std::string_view kOffload =
    "nothing is moved to the host: lmms plan says what fits; gradient_checkpointing: auto and "
    "master_weights: false need less memory";

constexpr Key kTop[] = {
    {"zero_optimization", Use::read},
    {"bf16", Use::read},
    {"bfloat16", Use::read},
    {"fp16", Use::read},
    {"gradient_clipping", Use::read},
    {"train_micro_batch_size_per_gpu", Use::read},
    {"gradient_accumulation_steps", Use::read},
    {"train_batch_size", Use::read},
    {"optimizer", Use::read},
    {"scheduler", Use::read},
    {"communication_data_type", Use::read},
    {"data_types", Use::read},
    {"activation_checkpointing", Use::read},
    {"dataloader_drop_last", Use::read},
    {"gradient_allreduce_op", Use::read},
    {"sequence_parallel_size", Use::read},
    {"tensor_parallel", Use::read},
    {"zero_allow_untested_optimizer", Use::speed},
    {"zero_force_ds_cpu_optimizer", Use::speed},
    {"prescale_gradients", Use::speed},
    {"gradient_predivide_factor", Use::speed},
    {"managed_gradient_accumulation", Use::speed},
    {"seq_parallel_communication_data_type", Use::speed},
    {"use_data_before_expert_parallelism", Use::speed},
    {"disable_allgather", Use::speed},
    {"disable_python_gc", Use::speed},
    {"graph_harvesting", Use::speed},
    {"aio", Use::speed},
    {"checkpoint", Use::speed},
    {"datastates_ckpt", Use::speed},
    {"nebula", Use::speed},
    {"compile", Use::speed},
    {"pipeline", Use::speed},
    {"steps_per_print", Use::speed},
    {"log_level", Use::speed},
    {"timers", Use::speed},
    {"wall_clock_breakdown", Use::idle, kReports},
    {"memory_breakdown", Use::idle, kReports},
    {"dump_state", Use::idle, kReports},
    {"comms_logger", Use::idle, kReports},
    {"flops_profiler", Use::idle, "trainer_args.enable_profiler traces steps"},
    {"tensorboard", Use::idle, "trainer_args.report_to says it"},
    {"wandb", Use::idle, "trainer_args.report_to says it"},
    {"csv_monitor", Use::idle, kReports},
    {"comet", Use::idle, "trainer_args.report_to says it"},
    {"monitor_config", Use::idle, kReports},
    {"amp", Use::refused, "apex's mixed precision; trainer_args.bf16 says what is computed in"},
    {"torch_autocast", Use::refused, "trainer_args.bf16 says what is computed in"},
    {"sparse_gradients", Use::refused, "gradients are dense"},
    {"sparse_attention", Use::refused, "attention is dense"},
    {"hybrid_engine", Use::refused, "reinforcement learning"},
    {"expert_parallel", Use::refused, "ranks that share the experts"},
    {"elasticity", Use::refused, "a number of ranks that varies"},
    {"autotuning", Use::refused, "lmms plan says what fits"},
    {"compression_training", Use::refused, "smaller weights while training"},
    {"quantize_training", Use::refused, "quantised weights"},
    {"weight_quantization", Use::refused, "quantised weights"},
    {"eigenvalue", Use::refused, "quantised weights"},
    {"progressive_layer_drop", Use::refused, "layers that are dropped"},
    {"curriculum_learning", Use::refused, "an order of the data by difficulty"},
    {"data_efficiency", Use::refused, "an order of the data by difficulty"},
};

constexpr Key kZero[] = {
    {"stage", Use::read},
    {"offload_optimizer", Use::offload, kOffload},
    {"offload_param", Use::offload, kOffload},
    {"cpu_offload", Use::refused, kOffload},
    {"cpu_offload_params", Use::refused, kOffload},
    {"cpu_offload_param", Use::refused, kOffload},
    {"zenflow", Use::refused, kOffload},
    {"zero_quantized_weights", Use::refused, "weights travel as they are"},
    {"zero_quantized_nontrainable_weights", Use::refused, "weights travel as they are"},
    {"zero_quantized_gradients", Use::refused,
     "trainer_args.reduce_dtype says how gradients travel"},
    {"zero_hpz_partition_size", Use::speed},
    {"mics_shard_size", Use::speed},
    {"mics_hierarchical_params_gather", Use::speed},
    {"contiguous_gradients", Use::speed},
    {"reduce_scatter", Use::speed},
    {"reduce_bucket_size", Use::speed},
    {"use_multi_rank_bucket_allreduce", Use::speed},
    {"allgather_partitions", Use::speed},
    {"allgather_bucket_size", Use::speed},
    {"overlap_comm", Use::speed},
    {"compute_grad_norm", Use::speed},
    {"load_from_fp32_weights", Use::speed},
    {"elastic_checkpoint", Use::speed},
    {"sub_group_size", Use::speed},
    {"cpu_offload_use_pin_memory", Use::speed},
    {"prefetch_bucket_size", Use::speed},
    {"stage3_prefetch_bucket_size", Use::speed},
    {"param_persistence_threshold", Use::speed},
    {"stage3_param_persistence_threshold", Use::speed},
    {"model_persistence_threshold", Use::speed},
    {"stage3_model_persistence_threshold", Use::speed},
    {"max_live_parameters", Use::speed},
    {"stage3_max_live_parameters", Use::speed},
    {"max_reuse_distance", Use::speed},
    {"stage3_max_reuse_distance", Use::speed},
    {"gather_16bit_weights_on_model_save", Use::speed},
    {"stage3_gather_16bit_weights_on_model_save", Use::speed},
    {"stage3_gather_fp16_weights_on_model_save", Use::speed},
    {"module_granularity_threshold", Use::speed},
    {"stage3_module_granularity_threshold", Use::speed},
    {"use_all_reduce_for_fetch_params", Use::speed},
    {"stage3_use_all_reduce_for_fetch_params", Use::speed},
    {"allgather_sequential", Use::speed},
    {"stage3_allgather_sequential", Use::speed},
    {"ignore_unused_parameters", Use::speed},
    {"legacy_stage1", Use::speed},
    {"round_robin_gradients", Use::speed},
    {"parameter_alignment", Use::speed},
    {"memory_efficient_linear", Use::speed},
    {"pipeline_loading_checkpoint", Use::speed},
    {"override_module_apply", Use::speed},
    {"log_trace_cache_warnings", Use::speed},
    {"enable_sanity_checks", Use::speed},
    {"save_muon_momentum_buffer_in_memory", Use::speed},
    {"leaf_module", Use::speed},
};

constexpr Key kBf16[] = {
    {"enabled", Use::read},
    {"bf16_master_weights_and_grads", Use::read},
    {"bf16_optimizer_states", Use::read},
    {"immediate_grad_update", Use::speed},
    {"check_overflow", Use::speed},
    {"check_grad_overflow", Use::speed},
};

constexpr Key kFp16[] = {
    {"enabled", Use::read},
    {"auto_cast", Use::speed},
    {"loss_scale", Use::speed},
    {"initial_scale_power", Use::speed},
    {"hysteresis", Use::speed},
    {"loss_scale_window", Use::speed},
    {"min_loss_scale", Use::speed},
    {"consecutive_hysteresis", Use::speed},
    {"fp16_master_weights_and_grads", Use::speed},
    {"opt_level", Use::speed},
};

constexpr Key kOptimizer[] = {
    {"type", Use::read}, {"params", Use::read}, {"legacy_fusion", Use::speed}};

constexpr Key kOptimizerParams[] = {
    {"lr", Use::read},
    {"betas", Use::read},
    {"eps", Use::read},
    {"weight_decay", Use::read},
    {"max_grad_norm", Use::read},
    {"adam_w_mode", Use::read},
    {"bias_correction", Use::read},
    {"amsgrad", Use::refused, "the largest second moment"},
    {"torch_adam", Use::speed},
    {"fused", Use::speed},
    {"foreach", Use::speed},
    {"fp32_optimizer_states", Use::speed},
};

constexpr Key kScheduler[] = {{"type", Use::read}, {"params", Use::read}};

constexpr Key kSchedulerParams[] = {
    {"warmup_min_lr", Use::read},    {"warmup_max_lr", Use::read},
    {"warmup_num_steps", Use::read}, {"total_num_steps", Use::read},
    {"warmup_type", Use::read},      {"warmup_min_ratio", Use::read},
    {"cos_min_ratio", Use::read},    {"last_batch_iteration", Use::speed},
};

constexpr Key kDataTypes[] = {
    {"grad_accum_dtype", Use::read},
    {"param_dtype", Use::idle, "trainer_args.bf16 says what weights are"},
    {"buffer_dtype", Use::idle, "trainer_args.bf16 says what weights are"},
    {"keep_in_fp32_modules", Use::idle, "norms are computed in fp32"},
};

constexpr Key kActivations[] = {
    {"partition_activations", Use::idle, "trainer_args.gradient_checkpointing says it"},
    {"cpu_checkpointing", Use::refused, kOffload},
    {"contiguous_memory_optimization", Use::idle, "trainer_args.gradient_checkpointing says it"},
    {"number_checkpoints", Use::idle, "trainer_args.gradient_checkpointing says it"},
    {"synchronize_checkpoint_boundary", Use::speed},
    {"profile", Use::speed},
    {"use_reentrant", Use::speed},
};

/// Schedules of DeepSpeed, and what transformers calls the same.
constexpr std::pair<std::string_view, std::string_view> kSchedules[] = {
    {"WarmupLR", "constant_with_warmup"},
    {"WarmupDecayLR", "linear"},
    {"WarmupCosineLR", "cosine"}};

bool is_auto(const Value& value) {
  return value.string() != nullptr && *value.string() == "auto";
}

/// "auto" asks for what trainer_args has, null for nothing.
bool leaves_open(const Value& value) {
  return value.is_null() || is_auto(value);
}

std::optional<double> number_of(const Value& value) {
  double number = 0;
  if (!config::read_number(config::to_node(value), number)) return std::nullopt;
  return number;
}

std::optional<bool> boolean_of(const Value& value) {
  bool boolean = false;
  if (!config::read_boolean(config::to_node(value), boolean)) return std::nullopt;
  return boolean;
}

std::string text_of(const Value& value) {
  constexpr size_t kMostShown = 60;
  const config::Node node = config::to_node(value);
  const std::string text = value.is_null() ? "null" : config::write_flow(node);
  return text.size() <= kMostShown ? text : config::describe(node);
}

/// Whether a key asks for something: of a section its `enabled`.
bool is_on(const Value& value) {
  if (leaves_open(value)) return false;
  if (const Value* enabled = value.find("enabled")) return boolean_of(*enabled).value_or(false);
  if (const auto boolean = boolean_of(value)) return *boolean;
  if (const auto number = number_of(value)) return *number != 0;
  return !config::asks_for_nothing(value);
}

/// The same of Use::offload.
bool names_device(const Value& value) {
  if (value.map() == nullptr) return is_on(value);
  const Value* device = value.find("device");
  return device && !leaves_open(*device) && !(device->string() && *device->string() == "none");
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

class Reader {
 public:
  Reader(const TrainerArgs& args, const std::function<std::string(const std::string&)>& where)
      : args_(args), where_(where) {}

  DeepSpeedReading read(const Value& value) {
    const Value::Map* all = section(kRoot, value, kTop);
    if (all == nullptr) return std::move(out_);
    for (const auto& [name, given] : *all) read_top(name, given);
    return std::move(out_);
  }

 private:
  static constexpr const char* kRoot = "trainer_args.deepspeed";

  void fault(const std::string& key, const std::string& what) {
    out_.faults.push_back({key, what, ""});
  }
  void expected(const std::string& key, const Value& value, const std::string& wanted) {
    fault(key, fmt::format("got {}; expected {}", text_of(value), wanted));
  }
  void not_built(const std::string& key, const Value& value, std::string_view why) {
    out_.faults.push_back({key, std::string(why), text_of(value)});
  }
  /// Two keys that contradict each other.
  void differs(const std::string& key, const Value& value, const std::string& ours,
               const std::string& our_value) {
    const std::string name = "trainer_args." + ours;
    fault(key, fmt::format("got {}, but {} is {}{}; expected the same in both, or auto",
                           text_of(value), name, our_value, where_ ? where_(name) : ""));
  }

  /// The entries of a map whose keys are known, those that need no look told of; null if there is
  /// nothing to read.
  const Value::Map* section(const std::string& key, const Value& value, std::span<const Key> keys) {
    if (leaves_open(value)) return nullptr;
    const Value::Map* map = value.map();
    if (map == nullptr) {
      expected(key, value, "a map");
      return nullptr;
    }
    for (const auto& [name, given] : *map) check_key(key + "." + name, name, given, keys);
    return map;
  }

  void check_key(const std::string& key, const std::string& name, const Value& value,
                 std::span<const Key> keys) {
    const auto known =
        std::find_if(keys.begin(), keys.end(), [&](const Key& one) { return one.name == name; });
    if (known == keys.end()) {
      std::vector<std::string> names;
      for (const Key& one : keys) names.emplace_back(one.name);
      const auto near = nearest_name(name, names);
      fault(key, near ? fmt::format("unknown key of DeepSpeed; did you mean '{}'?", *near)
                      : "unknown key of DeepSpeed; docs/guide/config.md lists those that are read");
    } else if (known->use == Use::refused || known->use == Use::idle) {
      check_enabled(key, value);
      if (!is_on(value)) return;
      if (known->use == Use::refused) not_built(key, value, known->why);
      if (known->use == Use::idle) out_.idle.emplace_back(key, known->why);
    } else if (known->use == Use::offload && names_device(value)) {
      not_built(key, value, known->why);
    }
  }

  void check_enabled(const std::string& key, const Value& section) {
    const Value* enabled = section.find("enabled");
    if (enabled && !leaves_open(*enabled) && !boolean_of(*enabled))
      expected(key + ".enabled", *enabled, "true, false or auto");
  }

  /// For a key that must have one value.
  void only(const std::string& key, const Value& value, double built, std::string_view otherwise) {
    if (leaves_open(value)) return;
    const auto number = number_of(value);
    if (!number) return expected(key, value, "a number, or auto");
    if (*number != built) not_built(key, value, otherwise);
  }
  void only(const std::string& key, const Value& value, bool built, std::string_view otherwise) {
    if (leaves_open(value)) return;
    const auto boolean = boolean_of(value);
    if (!boolean) return expected(key, value, "true, false or auto");
    if (*boolean != built) not_built(key, value, otherwise);
  }

  void same(const std::string& key, const Value& value, double ours, const char* our_name) {
    if (leaves_open(value)) return;
    const auto number = number_of(value);
    if (!number) return expected(key, value, "a number, or auto");
    if (*number != ours) differs(key, value, our_name, fmt::format("{}", ours));
  }
  void same(const std::string& key, const Value& value, bool ours, const char* our_name) {
    if (leaves_open(value)) return;
    const auto boolean = boolean_of(value);
    if (!boolean) return expected(key, value, "true, false or auto");
    if (*boolean != ours) differs(key, value, our_name, ours ? "true" : "false");
  }

  void read_top(const std::string& name, const Value& value) {
    const std::string key = std::string(kRoot) + "." + name;
    const auto number = [](int64_t n) { return static_cast<double>(n); };
    if (name == "zero_optimization") return read_zero(key, value);
    if (name == "bf16" || name == "bfloat16") return read_bf16(key, value);
    if (name == "fp16") return read_fp16(key, value);
    if (name == "gradient_clipping")
      return same(key, value, args_.optimizer.max_grad_norm, "max_grad_norm");
    if (name == "train_micro_batch_size_per_gpu") {
      return same(key, value, number(args_.per_device_train_batch_size),
                  "per_device_train_batch_size");
    }
    if (name == "gradient_accumulation_steps") {
      return same(key, value, number(args_.gradient_accumulation_steps),
                  "gradient_accumulation_steps");
    }
    if (name == "train_batch_size") return read_batch_size(key, value);
    if (name == "optimizer") return read_optimizer(key, value);
    if (name == "scheduler") return read_scheduler(key, value);
    if (name == "communication_data_type") return read_communication(key, value);
    if (name == "data_types") return read_data_types(key, value);
    if (name == "activation_checkpointing") {
      section(key, value, kActivations);
      return;
    }
    if (name == "dataloader_drop_last")
      return same(key, value, args_.dataloader_drop_last, "dataloader_drop_last");
    if (name == "gradient_allreduce_op" && !leaves_open(value) && text_of(value) != "mean")
      return not_built(key, value, "a loss is a mean over all that is trained");
    if (name == "tensor_parallel") return read_tensor_parallel(key, value);
    if (name == "sequence_parallel_size")
      return only(key, value, 1.0, "ranks that share a sequence");
  }

  void read_tensor_parallel(const std::string& key, const Value& value) {
    if (leaves_open(value)) return;
    if (value.map() == nullptr) return expected(key, value, "a map");
    const Value* ranks = value.find("autotp_size");
    if (ranks == nullptr || leaves_open(*ranks)) return;
    const auto number = number_of(*ranks);
    if (!number) return expected(key + ".autotp_size", *ranks, "a number, or auto");
    if (*number > 1) not_built(key, value, "ranks that share a layer");
  }

  void read_zero(const std::string& key, const Value& value) {
    if (boolean_of(value) == false) return;
    if (section(key, value, kZero) == nullptr) return;
    const Value* stage = value.find("stage");
    if (stage == nullptr || leaves_open(*stage)) return;
    const auto number = number_of(*stage);
    if (!number || (*number != 0 && *number != 1 && *number != 2 && *number != 3))
      return expected(key + ".stage", *stage, "0, 1, 2 or 3");
    out_.zero_stage = static_cast<int64_t>(*number);
    if (out_.zero_stage == 0) return;
    out_.notices.push_back(fmt::format(
        "{}: ZeRO stage {}: one process has nothing to shard; on many, which is not built yet, it "
        "will mean {}",
        kRoot, *out_.zero_stage,
        out_.zero_stage == 3
            ? "weights, gradients and optimiser states shared out (reshard_after_forward: true)"
            : "gradients and optimiser states shared out, weights whole (reshard_after_forward: "
              "false)"));
  }

  void read_bf16(const std::string& key, const Value& value) {
    if (section(key, value, kBf16) == nullptr) return;
    if (const Value* enabled = value.find("enabled"))
      same(key + ".enabled", *enabled, args_.bf16, "bf16");
    for (const char* name : {"bf16_master_weights_and_grads", "bf16_optimizer_states"}) {
      const Value* narrow = value.find(name);
      if (narrow == nullptr || !is_on(*narrow) || !args_.master_weights) continue;
      fault(key + "." + name,
            "asks for bf16 masters and moments; expected trainer_args."
            "master_weights: false beside it");
    }
  }

  void read_fp16(const std::string& key, const Value& value) {
    if (section(key, value, kFp16) == nullptr) return;
    check_enabled(key, value);
    if (value.find("enabled") == nullptr || !is_on(value)) return;
    not_built(key + ".enabled", *value.find("enabled"),
              "half precision with loss scaling; trainer_args.bf16: true needs none");
  }

  void read_batch_size(const std::string& key, const Value& value) {
    if (leaves_open(value)) return;
    const auto number = number_of(value);
    if (!number) return expected(key, value, "a number, or auto");
    const int64_t rows = rows_a_step(args_);
    if (*number == static_cast<double>(rows)) return;
    fault(key, fmt::format("got {}, but a step has {} rows here: {}; expected {}, auto, or "
                           "trainer_args.global_rows: {}",
                           text_of(value), rows,
                           args_.global_rows
                               ? "trainer_args.global_rows"
                               : "per_device_train_batch_size x gradient_accumulation_steps on "
                                 "one process",
                           rows, text_of(value)));
  }

  void read_optimizer(const std::string& key, const Value& value) {
    if (section(key, value, kOptimizer) == nullptr) return;
    const Value* type = value.find("type");
    const std::string name = type && type->string() ? lower(*type->string()) : "adamw";
    if (type && !type->string() && !type->is_null())
      expected(key + ".type", *type, "a name of an optimiser");
    if (name != "adamw" && name != "adam" && name != "auto")
      not_built(key + ".type", *type, "another optimiser than AdamW");
    const Value* params = value.find("params");
    if (params == nullptr) return;
    const std::string inside = key + ".params.";
    const Value::Map* map = section(key + ".params", *params, kOptimizerParams);
    if (map == nullptr) return;
    const optim::OptimizerConfig& ours = args_.optimizer;
    for (const auto& [param, given] : *map) {
      if (param == "lr") same(inside + param, given, ours.learning_rate, "learning_rate");
      if (param == "eps") same(inside + param, given, ours.adam_epsilon, "adam_epsilon");
      if (param == "weight_decay") same(inside + param, given, ours.weight_decay, "weight_decay");
      if (param == "max_grad_norm")
        same(inside + param, given, ours.max_grad_norm, "max_grad_norm");
      if (param == "betas") read_betas(inside + param, given);
      if (param == "adam_w_mode" && name == "adam")
        only(inside + param, given, true, "weight decay inside the gradient");
      if (param == "bias_correction")
        only(inside + param, given, true, "moments without correction");
    }
  }

  void read_betas(const std::string& key, const Value& value) {
    if (leaves_open(value)) return;
    const Value::List* list = value.list();
    if (list == nullptr || list->size() != 2) return expected(key, value, "two numbers, or auto");
    same(key, (*list)[0], args_.optimizer.adam_beta1, "adam_beta1");
    same(key, (*list)[1], args_.optimizer.adam_beta2, "adam_beta2");
  }

  void read_scheduler(const std::string& key, const Value& value) {
    if (section(key, value, kScheduler) == nullptr) return;
    const Value* type = value.find("type");
    if (type == nullptr || leaves_open(*type)) return;
    if (type->string() == nullptr) return expected(key + ".type", *type, "a name of a schedule");
    const std::string& name = *type->string();
    const auto known = std::find_if(std::begin(kSchedules), std::end(kSchedules),
                                    [&](const auto& one) { return one.first == name; });
    if (known == std::end(kSchedules)) {
      return not_built(key + ".type", *type,
                       "a schedule other than WarmupLR, WarmupDecayLR and WarmupCosineLR; "
                       "trainer_args.lr_scheduler_type has those of transformers");
    }
    const optim::ScheduleConfig& schedule = args_.schedule;
    if (schedule.lr_scheduler_type != known->second) {
      const std::string ours = "trainer_args.lr_scheduler_type";
      fault(key + ".type",
            fmt::format("got {}, which is {} here, but {} is {}{}; expected the same "
                        "in both, or no scheduler",
                        name, known->second, ours, schedule.lr_scheduler_type,
                        where_ ? where_(ours) : ""));
    }
    const Value* params = value.find("params");
    if (params == nullptr) return;
    const Value::Map* map = section(key + ".params", *params, kSchedulerParams);
    if (map == nullptr) return;
    for (const auto& [param, given] : *map)
      read_schedule_param(key + ".params." + param, param, given);
    const bool warms_up = schedule.warmup_ratio > 0 || schedule.warmup_steps > 0;
    if (warms_up && params->find("warmup_type") == nullptr) {
      out_.notices.push_back(
          key +
          ": the warm-up is linear, as transformers' own; DeepSpeed's without warmup_type is "
          "logarithmic");
    }
  }

  void read_schedule_param(const std::string& key, const std::string& param, const Value& given) {
    if (leaves_open(given)) return;
    const optim::ScheduleConfig& schedule = args_.schedule;
    if (param == "warmup_min_lr" || param == "warmup_min_ratio")
      only(key, given, 0.0, "a warm-up that does not begin at 0");
    if (param == "warmup_max_lr") same(key, given, args_.optimizer.learning_rate, "learning_rate");
    if (param == "warmup_num_steps") {
      if (schedule.warmup_ratio > 0 || (schedule.warmup_steps > 0 && schedule.warmup_steps < 1)) {
        expected(key, given, "auto: trainer_args gives the warm-up as a share of all steps");
      } else {
        same(key, given, schedule.warmup_steps, "warmup_steps");
      }
    }
    if (param == "total_num_steps") {
      if (args_.max_steps > 0) {
        same(key, given, static_cast<double>(args_.max_steps), "max_steps");
      } else {
        expected(key, given, "auto, or trainer_args.max_steps beside it");
      }
    }
    if (param == "warmup_type" && text_of(given) != "linear")
      not_built(key, given, "warm-ups are linear");
    if (param == "cos_min_ratio") {
      only(
          key, given, 0.0,
          "a cosine that does not end at 0; trainer_args.lr_scheduler_type: cosine_with_min_lr has "
          "one, without a scheduler here");
    }
  }

  void read_communication(const std::string& key, const Value& value) {
    if (leaves_open(value)) return;
    const std::string given = text_of(value);
    const NumberType ours = args_.reduce_dtype;
    const std::string_view name = ours == NumberType::float32    ? "fp32"
                                  : ours == NumberType::bfloat16 ? "bf16"
                                                                 : "fp16";
    if (given != name) differs(key, value, "reduce_dtype", std::string(name));
  }

  void read_data_types(const std::string& key, const Value& value) {
    if (section(key, value, kDataTypes) == nullptr) return;
    const Value* sums = value.find("grad_accum_dtype");
    if (sums == nullptr || leaves_open(*sums) || text_of(*sums) == "fp32") return;
    not_built(key + ".grad_accum_dtype", *sums, "gradients are summed in fp32");
  }

  const TrainerArgs& args_;
  const std::function<std::string(const std::string&)>& where_;
  DeepSpeedReading out_;
};

}  // namespace

DeepSpeedReading read_deepspeed(const TrainerArgs& args,
                                const std::function<std::string(const std::string& key)>& where) {
  const auto given = args.layout.find("deepspeed");
  if (given == args.layout.end()) return {};
  return Reader(args, where).read(given->second);
}

std::optional<bool> reshard_after_forward(const DeepSpeedReading& reading) {
  if (!reading.zero_stage || *reading.zero_stage == 0) return std::nullopt;
  return *reading.zero_stage == 3;
}

std::vector<std::string> deepspeed_keys() {
  std::vector<std::string> out;
  for (const Key& key : kTop)
    if (key.use == Use::read || key.use == Use::refused) out.emplace_back(key.name);
  return out;
}

}  // namespace lmms::train
