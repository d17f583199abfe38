// The fields of trainer_args: those of transformers' TrainingArguments (4.57 to 5.17), of the
// Python project, and our own.
#include "core/config/fields.h"
#include "train/config.h"

namespace lmms::config {

/// `true`, `false` or a path.
template <>
struct Codec<train::Resume> {
  static void read(const Node& node, train::Resume& value, const ReadContext& context) {
    bool automatic = true;
    if (is_null(node)) {
      value = {};
    } else if (!node.quoted && read_boolean(node, automatic)) {
      value = {automatic, ""};
    } else if (node.kind == Node::Kind::scalar && !node.text.empty()) {
      value = {false, read_path(node, context)};
    } else {
      context.expected(node, type(context.rule));
    }
  }
  static Node write(const train::Resume& value) {
    return value.path.empty() ? to_node(value.automatic) : to_node(value.path);
  }
  static std::string type(const Rule&) { return "true, false or the folder of a checkpoint"; }
};

}  // namespace lmms::config

namespace lmms::config {

template <>
struct Codec<train::EvalPrompt> {
  static void read(const Node& node, train::EvalPrompt& prompt, const ReadContext& context) {
    if (node.kind == Node::Kind::map) return read_free(node, prompt.value, context);
    if (node.kind != Node::Kind::scalar) return context.expected(node, "a text or a map");
    std::string text;
    read_scalar(node, text, context);
    prompt.value.data = std::move(text);
  }
  static Node write(const train::EvalPrompt& prompt) { return to_node(prompt.value); }
  static std::string type(const Rule&) { return "text or a map"; }
};

}  // namespace lmms::config

namespace lmms::train {

using config::Fields;
using config::Rule;
using config::Type;

namespace {

void batch_fields(Fields& f, TrainerArgs& c) {
  f("per_device_train_batch_size", c.per_device_train_batch_size,
    "rows of a micro-step on one rank", Rule().at_least(1).at_most(1 << 20));
  f("gradient_accumulation_steps", c.gradient_accumulation_steps, "micro-steps of a step",
    Rule().at_least(1).at_most(1 << 20));
  f("global_rows", c.global_rows,
    "rows of a step over all ranks; absent: the product of both and the ranks",
    Rule().at_least(1).at_most(1 << 30));
  f("num_train_epochs", c.num_train_epochs, "passes over the data", Rule().more_than(0));
  f("max_steps", c.max_steps, "steps of the run, whatever num_train_epochs says; -1: by epochs",
    Rule().at_least(-1));
  f("max_skipped_steps", c.max_skipped_steps,
    "steps in a row with a non-finite loss or gradient that are skipped before the run ends",
    Rule().at_least(0));
  f.unbuilt("auto_find_batch_size", Type::boolean, {"false"},
            "smaller batches when memory runs out");
  f.unbuilt("per_gpu_train_batch_size", Type::integer, {"null"},
            "old name of per_device_train_batch_size");
  f.unbuilt("per_gpu_eval_batch_size", Type::integer, {"null"},
            "old name of per_device_eval_batch_size");
  f.ignored("group_by_length", "rows are never padded to the longest, so nothing is gained");
  f.layout("train_sampling_strategy", c.layout, Type::text,
           "order of the samples; dataset_config.shuffle: false keeps the files' order",
           Rule().only({"random", "group_by_length", "null"}));
  f.ignored("length_column_name", "lengths are measured");
}

void number_fields(Fields& f, TrainerArgs& c) {
  f("bf16", c.bf16, "bf16 with fp32 master weights; false: fp32");
  f("master_weights", c.master_weights,
    "under bf16: fp32 master weights and moments; false: bf16 ones, rounded at random");
  f.unbuilt("fp16", Type::boolean, {"false"}, "half precision with loss scaling");
  f("reduce_dtype", c.reduce_dtype, "number type of gradients between ranks", Rule().or_null());
  f("save_dtype", c.save_dtype, "number type of saved weights; absent: as trained");
  f.ignored("output_dtype", "losses are fp32");
  f.layout("tf32", c.layout, Type::boolean, "TF32 products in fp32 training");
  f("gradient_checkpointing", c.gradient_checkpointing,
    "recompute in backward; auto: as much as the memory demands");
  f.layout("gradient_checkpointing_kwargs", c.layout, Type::map, "use_reentrant");
  f("freeze_modules", c.freeze_modules, "dotted paths of modules that are not trained",
    Rule().or_null());
  f("seed", c.seed, "of initial weights and whatever else is drawn", Rule().at_least(0));
  f("data_seed", c.data_seed, "of the data's order, instead of dataset_config.data_seed",
    Rule().at_least(0));
  f.ignored("full_determinism", "order and random numbers do not vary");
  f("use_cpu", c.use_cpu, "the CPU even where there is a GPU");
  f.unbuilt("no_cuda", Type::boolean, {"false"}, "old name of use_cpu");
  f.unbuilt("label_smoothing_factor", Type::number, {"0", "0.0"},
            "share of a target spread over all tokens");
  f.unbuilt("neftune_noise_alpha", Type::number, {"null"}, "noise on embeddings");
  f.unbuilt("average_tokens_across_devices", Type::boolean, {"true"},
            "the loss counts the tokens of all ranks; compat: loss for the other way");
}

void optimizer_fields(Fields& f, TrainerArgs& c) {
  fields(f, c.optimizer);
  fields(f, c.schedule);
  f.unbuilt("optim_args", Type::text, {"null"}, "arguments of other optimisers");
  f.unbuilt("optim_target_modules", Type::any, {"null"}, "modules of GaLore and APOLLO");
  f.unbuilt("adafactor", Type::boolean, {"false"}, "optim: adafactor");
  f.unbuilt("use_muon", Type::boolean, {"false"}, "Muon for matrices");
  fields(f, c.ema);
  fields(f, c.objective);
}

void report_fields(Fields& f, TrainerArgs& c) {
  f("logging_strategy", c.logging_strategy, "when metrics are written");
  f("logging_steps", c.logging_steps, "steps between rows of metrics; below 1 a share of all steps",
    Rule().more_than(0));
  f("logging_first_step", c.logging_first_step, "the first step too");
  f("disable_tqdm", c.disable_tqdm, "a line for every logged step in place of the progress bar",
    Rule().or_null());
  f("report_to", c.report_to,
    "tensorboard, wandb: event files beside metrics.jsonl and report.html, which are always "
    "written",
    Rule()
        .one_of({"none", "all", "tensorboard", "wandb", "azure_ml", "clearml", "codecarbon",
                 "comet_ml", "dagshub", "dvclive", "flyte", "mlflow", "neptune", "swanlab",
                 "trackio"})
        .extended_by("metric sink")
        .single_or_list()
        .or_null());
  f("run_name", c.run_name, "name of the run in reports");
  f("print_batch_input_steps", c.print_batch_input_steps,
    "print a decoded row every so many steps; -1: never", Rule().at_least(-1).or_null());
  for (std::string_view name :
       {"project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"}) {
    f.ignored(name, "services are not reported to");
  }
  f.ignored("logging_dir", "reports stand in output_dir");
  f.ignored("logging_nan_inf_filter", "steps that are not finite are skipped and counted");
  f.ignored("log_on_each_node", "the first rank writes");
  f.ignored("log_level", "warnings are always shown");
  f.ignored("log_level_replica", "warnings are always shown");
  f.ignored("include_num_input_tokens_seen", "metrics.jsonl counts tokens");
  f.ignored("include_tokens_per_second", "metrics.jsonl has tokens_per_second");
  f.ignored("carbon_intensity", "energy is not measured");
  f.ignored("skip_memory_metrics", "metrics.jsonl has peak_memory_bytes");
  f("enable_profiler", c.enable_profiler,
    "trace a few steps into profile/trace.json; also profile=true on the command line",
    Rule().or_null());
  f("profiler_config", c.profiler, "which steps", Rule().or_null());
  f.unbuilt("enable_memory_snapshot", Type::boolean, {"false", "null"}, "record of allocations");
  f.ignored("memory_snapshot_config", "only with enable_memory_snapshot, which is not built yet");
  f.unbuilt("enable_cuda_event_profiler", Type::boolean, {"false", "null"},
            "times of the parts of a step");
  f.ignored("cuda_event_profiler_config",
            "only with enable_cuda_event_profiler, which is not built yet");
  f.ignored("debug", "of PyTorch XLA");
}

void save_fields(Fields& f, TrainerArgs& c) {
  f("output_dir", c.output_dir, "folder of checkpoints, metrics and the final model",
    Rule().or_null().path());
  f("save_strategy", c.save_strategy,
    "when checkpoints are written; best: after each evaluation that is the best so far");
  f("save_steps", c.save_steps, "steps between checkpoints; below 1 a share of all steps",
    Rule().more_than(0));
  f("save_total_limit", c.save_total_limit,
    "checkpoints kept: the newest, and the best among them; absent, 0 or less: all");
  f("resume_from_checkpoint", c.resume_from_checkpoint,
    "true: go on from the newest complete checkpoint of output_dir; false: start anew; or a "
    "checkpoint");
  f.unbuilt("ignore_data_skip", Type::boolean, {"false"}, "resume at the first sample");
  f.ignored("overwrite_output_dir", "resume_from_checkpoint: false starts anew");
  f.ignored("save_safetensors", "weights are always safetensors");
  f.ignored("save_only_model", "what a run needs to go on is always saved");
  f.ignored("save_on_each_node", "a checkpoint is one folder");
  f.ignored("enable_jit_checkpoint", "SIGTERM always saves");
  f.ignored("restore_callback_states_from_checkpoint", "there are no callbacks");
  f.unbuilt("push_to_hub", Type::boolean, {"false"}, "upload of the model");
  for (std::string_view name :
       {"hub_model_id", "hub_strategy", "hub_token", "hub_private_repo", "hub_always_push",
        "hub_revision", "push_to_hub_model_id", "push_to_hub_organization", "push_to_hub_token"}) {
    f.ignored(name, "nothing is uploaded");
  }
}

void best_fields(Fields& f, BestModelConfig& c) {
  f("load_best_model_at_end", c.load_best_model_at_end,
    "the final model is that of the checkpoint with the best evaluation", Rule().or_null());
  f("metric_for_best_model", c.metric_for_best_model,
    "what makes an evaluation the best: loss, perplexity, exact, a loss term; also what "
    "reduce_lr_on_plateau and greedy follow; absent: loss");
  f("greater_is_better", c.greater_is_better,
    "which way is better; absent: greater of exact and accuracy, smaller of all others");
  f("early_stopping_patience", c.early_stopping_patience,
    "the run ends after so many evaluations in a row without improvement; absent: never",
    Rule().at_least(1));
  f("early_stopping_threshold", c.early_stopping_threshold,
    "an improvement of no more than this is none", Rule().at_least(0).or_null());
}

void evaluation_fields(Fields& f, TrainerArgs& c) {
  f("eval_strategy", c.eval_strategy, "when the evaluation data are run");
  f.alias("evaluation_strategy", "eval_strategy");
  f("eval_steps", c.eval_steps,
    "steps between evaluations; below 1 a share of all steps; absent: logging_steps",
    Rule().more_than(0));
  f("eval_on_start", c.eval_on_start, "before the first step too");
  f("per_device_eval_batch_size", c.per_device_eval_batch_size,
    "samples of an evaluation batch on one rank", Rule().at_least(1).at_most(1 << 20));
  f("eval_generate", c.eval_generate,
    "prompts that the model answers at every evaluation, for the report", Rule().or_null());
  f("eval_sample", c.eval_sample,
    "samples that a denoiser makes at every evaluation, for the report", Rule().or_null());
  best_fields(f, c.best);
  f.unbuilt("eval_delay", Type::number, {"0", "0.0"}, "steps before the first evaluation");
  f.unbuilt("eval_config", Type::map, {"null"},
            "an lmms-eval server that is sent every checkpoint");
  f.unbuilt("fp16_full_eval", Type::boolean, {"false"}, "evaluation in half precision");
  f.ignored("bf16_full_eval", "evaluation computes as training does");
  for (std::string_view name :
       {"prediction_loss_only", "eval_do_concat_batches", "eval_use_gather_object",
        "eval_accumulation_steps", "include_for_metrics", "include_inputs_for_metrics",
        "batch_eval_metrics", "label_names", "use_legacy_prediction_loop"}) {
    f.ignored(name, "evaluation computes the loss alone");
  }
}

void loader_fields(Fields& f, TrainerArgs& c) {
  f("dataloader_num_workers", c.dataloader_num_workers,
    "threads that prepare data; 0: chosen from the machine's cores",
    Rule().at_least(0).at_most(1024));
  f("dataloader_prefetch_factor", c.dataloader_prefetch_factor,
    "steps prepared ahead; absent: chosen", Rule().at_least(1).at_most(1024));
  f("dataloader_drop_last", c.dataloader_drop_last, "no smaller last step");
  f.layout("dataloader_pin_memory", c.layout, Type::boolean, "page-locked buffers");
  f.layout("dataloader_persistent_workers", c.layout, Type::boolean, "threads stay");
  f.ignored("dataloader_multiprocessing_context", "threads, no processes");
  f.ignored("dataloader_in_order", "order is arithmetic");
  f.ignored("remove_unused_columns", "columns are read by name");
  f.ignored("accelerator_config", "of the accelerate library");
  f.ignored("split_batches", "of the accelerate library");
  f.ignored("dispatch_batches", "of the accelerate library");
}

void parallel_fields(Fields& f, TrainerArgs& c) {
  f.unbuilt("sp_ulysses_degree", Type::integer, {"1"}, "ranks that share a sequence");
  f.unbuilt("tp_degree", Type::integer, {"1"}, "ranks that share a layer");
  f.unbuilt("ep_degree", Type::integer, {"1"}, "ranks that share the experts");
  f.unbuilt("parallelism_config", Type::any, {"null"}, "of the accelerate library");
  f.layout("fsdp2", c.layout, Type::boolean, "sharded data parallel");
  f.layout("fsdp", c.layout, Type::any, "sharded data parallel");
  f.layout("fsdp_config", c.layout, Type::map, "units and groups of sharded data parallel",
           Rule().or_file().optional_prefix("fsdp_").keys({"transformer_layer_cls_to_wrap",
                                                           "reshard_after_forward",
                                                           "hsdp_shard_size",
                                                           "min_num_params",
                                                           "version",
                                                           "auto_wrap_policy",
                                                           "backward_prefetch",
                                                           "forward_prefetch",
                                                           "limit_all_gathers",
                                                           "use_orig_params",
                                                           "sync_module_states",
                                                           "cpu_ram_efficient_loading",
                                                           "activation_checkpointing",
                                                           "cpu_offload",
                                                           "offload_params",
                                                           "state_dict_type",
                                                           "xla",
                                                           "xla_fsdp_settings",
                                                           "xla_fsdp_v2",
                                                           "xla_fsdp_grad_ckpt"}));
  f.layout("fsdp_min_num_params", c.layout, Type::integer, "sharded data parallel");
  f.layout("fsdp_transformer_layer_cls_to_wrap", c.layout, Type::text, "sharded data parallel");
  f.layout("deepspeed", c.layout, Type::map,
           "what a DeepSpeed config asks for, in the keys here, or refused by name",
           Rule().or_file());
  f.layout("ddp_find_unused_parameters", c.layout, Type::boolean, "of PyTorch DDP");
  f.layout("ddp_bucket_cap_mb", c.layout, Type::integer, "of PyTorch DDP");
  f.layout("ddp_broadcast_buffers", c.layout, Type::boolean, "of PyTorch DDP");
  f.layout("ddp_static_graph", c.layout, Type::boolean, "of PyTorch DDP");
  f.layout("ddp_backend", c.layout, Type::text, "NCCL on GPUs, Gloo on CPUs");
  f("ddp_timeout", c.ddp_timeout, "seconds that ranks wait for each other", Rule().at_least(1));
  f.unbuilt("rl_config", Type::any, {}, "reinforcement learning");
  f.ignored("local_rank", "the launcher's environment says it");
  f.ignored("_n_gpu", "one process a GPU");
}

void kernel_fields(Fields& f, TrainerArgs& c) {
  f.layout("use_liger_kernel", c.layout, Type::boolean, "fused kernels: the default on a GPU");
  f.layout("liger_kernel_config", c.layout, Type::map, "which of them");
  f.layout("use_rmpad", c.layout, Type::boolean, "rows without padding: always");
  f.layout("torch_compile", c.layout, Type::boolean, "nothing is compiled at run time");
  f.layout("torch_compile_backend", c.layout, Type::text, "of torch_compile");
  f.layout("torch_compile_mode", c.layout, Type::text, "of torch_compile");
  f.layout("torchdynamo", c.layout, Type::text, "of torch_compile");
  f.layout("torch_empty_cache_steps", c.layout, Type::integer,
           "steps between releases of cached memory");
  f.ignored("use_cache", "training keeps no cache");
}

/// Keys of old files.
void bygone_fields(Fields& f) {
  for (std::string_view name : {"do_train", "do_eval", "do_predict"})
    f.ignored(name, "the sub-command says it");
  for (std::string_view name :
       {"use_mps_device", "jit_mode_eval", "use_ipex", "fp16_opt_level", "half_precision_backend",
        "fp16_backend", "tpu_num_cores", "tpu_metrics_debug", "past_index", "mp_parameters",
        "ray_scope", "xpu_backend"}) {
    f.ignored(name, "gone from transformers 5");
  }
}

/// The values of TrainingArguments.to_dict() in transformers 4.57 to 5.17, and of the Python
/// project's own class: a run of it leaves them all in its config.
void usual_values(Fields& f) {
  for (const std::string_view name :
       {"log_on_each_node", "logging_nan_inf_filter", "save_safetensors", "remove_unused_columns",
        "skip_memory_metrics", "eval_do_concat_batches", "dataloader_in_order"})
    f.usual(name, {"true"});
  f.usual("log_level", {"passive"});
  f.usual("log_level_replica", {"warning"});
  f.usual("include_num_input_tokens_seen", {"'no'"});
  f.usual("length_column_name", {"length"});
  f.usual("project", {"huggingface"});
  f.usual("trackio_space_id", {"trackio"});
  f.usual("hub_strategy", {"every_save"});
  f.usual("hub_token", {"<HUB_TOKEN>"});
  f.usual("push_to_hub_token", {"<PUSH_TO_HUB_TOKEN>"});
  f.usual("local_rank", {"-1", "0"});
  f.usual("output_dtype", {"bfloat16"});
  f.usual("carbon_intensity", {"0.475"});
  f.usual("accelerator_config",
          {"{split_batches: false, dispatch_batches: null, even_batches: true, "
           "use_seedable_sampler: true, non_blocking: false, gradient_accumulation_kwargs: null}"});
  f.usual("fp16_opt_level", {"O1"});
  f.usual("half_precision_backend", {"auto"});
  f.usual("fp16_backend", {"auto"});
  f.usual("past_index", {"-1"});
  f.usual("ray_scope", {"last"});
}

}  // namespace

void fields(Fields& f, EvalGenerate& c) {
  f("prompts", c.prompts,
    "users' turns, or texts to be continued under processor_type pure_text; or maps: {image: FILE, "
    "text: ...}, or a chat as data files have it",
    Rule().single_or_list());
  f("rows", c.rows,
    "the first so many rows of the evaluation set are asked too; their last answer is the expected "
    "one (eval_exact)",
    Rule().at_least(0).at_most(1 << 20));
  f("system", c.system, "system turn; absent: the chat layout's own");
  f("max_new_tokens", c.max_new_tokens, "tokens of an answer at most",
    Rule().at_least(1).at_most(1 << 20));
  f("temperature", c.temperature, "0: always the most likely token", Rule().at_least(0));
  f("top_k", c.top_k, "draw from the k most likely tokens; 0: from all", Rule().at_least(0));
  f("top_p", c.top_p, "draw from the fewest tokens that together have this probability",
    Rule().more_than(0).at_most(1));
  f("diffusion_steps", c.diffusion_steps,
    "dllm_trainer: steps in which the masks of an answer become tokens; 0: one a token",
    Rule().at_least(0).at_most(1 << 20));
  f("block_length", c.block_length,
    "dllm_trainer: an answer is filled in block after block of so many tokens; 0: as the model is "
    "trained",
    Rule().at_least(0).at_most(1 << 20));
  f("confidence_threshold", c.confidence_threshold,
    "dllm_trainer: a step settles all tokens that have this probability; absent: those of the step "
    "alone",
    Rule().more_than(0).at_most(1));
}

void fields(Fields& f, EvalSample& c) {
  f("per_class", c.per_class, "samples of every class shown; 0: none are made",
    Rule().at_least(0).at_most(1024));
  f("classes", c.classes, "which classes; empty: the first ten", Rule().single_or_list());
  f("sampler", c.sampler, "how the way from noise to data is walked",
    Rule().one_of({"euler", "heun", "dopri5", "sde"}));
  f("steps", c.steps, "steps of euler, heun and sde", Rule().at_least(1).at_most(100000));
  f("guidance", c.guidance, "scale of classifier-free guidance; 1: none", Rule().at_least(0));
  f("ema", c.ema, "by the average of the weights, where there is one");
}

void fields(Fields& f, ProfilerConfig& c) {
  f("start_step", c.start_step, "steps that pass before one that warms up",
    Rule().at_least(0).at_most(1 << 30));
  f("end_step", c.end_step, "behind it end_step - start_step steps are recorded",
    Rule().at_least(1).at_most(1 << 30));
}

void fields(Fields& f, TrainerArgs& c) {
  batch_fields(f, c);
  optimizer_fields(f, c);
  number_fields(f, c);
  save_fields(f, c);
  report_fields(f, c);
  evaluation_fields(f, c);
  loader_fields(f, c);
  parallel_fields(f, c);
  kernel_fields(f, c);
  bygone_fields(f);
  usual_values(f);
}

}  // namespace lmms::train
