// What a wrong config is told: where, what, and how to mend it.
#include "train/config_testing.h"

namespace lmms::train {
namespace {

struct Rejection {
  const char* trainer_args;
  const char* dataset;
  const char* top;
  const char* expected;
};
void PrintTo(const Rejection& r, std::ostream* out) {
  *out << r.expected;
}

class Rejects : public TrainConfigTest, public testing::WithParamInterface<Rejection> {};

TEST_P(Rejects, with_a_line_that_says_where_what_and_how_to_mend_it) {
  const Rejection& r = GetParam();
  EXPECT_EQ(faults(right(r.trainer_args, r.dataset, r.top)), r.expected);
}

INSTANTIATE_TEST_SUITE_P(
    Names, Rejects,
    testing::Values(
        Rejection{"{}", "", "trainer_type: wan_trainer\n",
                  "a.yaml:2:15: not built yet: trainer_type=wan_trainer; expected one of "
                  "fsdp2_trainer, hf_trainer, dllm_trainer, sit_trainer"},
        Rejection{
            "{}", "", "compat: [labels, los]\n",
            "a.yaml:2:18: compat[1]: got 'los'; expected one of labels, loss, decay, exif, tiles, "
            "schedule, "
            "lmms_engine; did you mean "
            "'loss'?"},
        Rejection{"{}", "", "monkey_patch: [liger, nsa]\n",
                  "a.yaml:2:23: not built yet: monkey_patch[1]=nsa; expected one of liger, rmpad, "
                  "vit_frame_parallel"},
        Rejection{"{optim: adafactor}", "", "",
                  "a.yaml:1:23: not built yet: trainer_args.optim=adafactor; expected one of "
                  "adamw_torch_fused, adamw_torch, "
                  "adamw_torch_xla, adamw_torch_npu_fused, adamw_apex_fused, adamw_hf, "
                  "paged_adamw_32bit"},
        Rejection{"{fp16: true}", "", "",
                  "a.yaml:1:22: not built yet: trainer_args.fp16=true; expected false"},
        Rejection{"{master_weights: false}", "", "",
                  "a.yaml:1:16: trainer_args.master_weights: false without bf16: fp32 weights are "
                  "their own masters; expected bf16: true"},
        Rejection{"{use_lora: true, lora_r: 8, dpo_beta: 3}", "", "load_in_4bit: true\n",
                  "a.yaml:1:16: not built yet: trainer_args.use_lora=true (LoRA); leave it out\n"
                  "a.yaml:1:32: not built yet: trainer_args.lora_r=8 (LoRA); leave it out\n"
                  "a.yaml:1:43: not built yet: trainer_args.dpo_beta=3 (DPO); leave it out\n"
                  "a.yaml:2:1: not built yet: load_in_4bit=true (quantised weights); leave it out"},
        Rejection{"{rl_config: {algorithm: {name: grpo}}}", "", "rl_runtime: {enabled: true}\n",
                  "a.yaml:1:27: not built yet: trainer_args.rl_config={algorithm: {name: grpo}} "
                  "(reinforcement learning); leave it out\n"
                  "a.yaml:2:13: not built yet: rl_runtime={enabled: true} (reinforcement learning "
                  "under Ray); leave it out"},
        Rejection{"{rl_config: {}, use_lora: false, peft_config: null}", "",
                  "rl_config: null\nray_train: {}\nrl_runtime: false\n", ""},
        Rejection{"{deepspeed: none.json, fsdp_config: [a]}", "", "",
                  "a.yaml:1:27: trainer_args.deepspeed: 'none.json' cannot be opened: No such file "
                  "or directory; expected a map, or the path of a JSON file\n"
                  "a.yaml:1:51: trainer_args.fsdp_config: got a list; expected a map, or the path "
                  "of a JSON file"},
        Rejection{"{sp_ulysses_degree: 2}", "", "",
                  "a.yaml:1:35: not built yet: trainer_args.sp_ulysses_degree=2; expected 1"},
        Rejection{"{tp_degree: x}", "", "",
                  "a.yaml:1:27: trainer_args.tp_degree: got 'x'; expected a whole number"},
        Rejection{"{adam_epsilon: 1e-50}", "", "",
                  "a.yaml:1:30: trainer_args.adam_epsilon: got '1e-50'; expected a number >= "
                  "1.2e-38"},
        Rejection{"{ema_decay: 1}", "", "",
                  "a.yaml:1:27: trainer_args.ema_decay: got '1'; expected a number in (0, 1)"},
        Rejection{
            "{ema_update_every: 0}", "", "",
            "a.yaml:1:34: trainer_args.ema_update_every: got '0'; expected a whole number >= 1"},
        Rejection{"{learning_rates: [{modules: visual}, {learning_rate: 1}]}", "", "",
                  "a.yaml:1:33: trainer_args.learning_rates[0]: changes nothing; expected "
                  "learning_rate or weight_decay\n"
                  "a.yaml:1:52: trainer_args.learning_rates[1].modules: missing; expected text"},
        Rejection{
            "{learning_rates: [{modules: a, learning_rate: 1}, {modules: a, weight_decay: "
            "-1}]}",
            "", "",
            "a.yaml:1:66: trainer_args.learning_rates[1].modules: 'a' is given twice; a weight "
            "belongs to the first entry that fits\n"
            "a.yaml:1:92: trainer_args.learning_rates[1].weight_decay: got '-1'; expected a "
            "number >= 0"},
        Rejection{"{ema_param_filter: {mode: regex, include: ['a', '(b']}}", "", "",
                  "a.yaml:1:16: trainer_args.ema_param_filter: '(b' is no regular expression"},
        Rejection{
            "{eval_config: {model: vllm}}", "", "",
            "a.yaml:1:29: not built yet: trainer_args.eval_config={model: vllm}; expected null"},
        Rejection{"{fsdp_config: {wrap: [a]}}", "", "",
                  "a.yaml:1:30: trainer_args.fsdp_config.wrap: unknown key; expected one of "
                  "transformer_layer_cls_to_wrap, "
                  "reshard_after_forward, hsdp_shard_size, min_num_params, version, "
                  "auto_wrap_policy, "
                  "backward_prefetch, forward_prefetch, limit_all_gathers, use_orig_params, "
                  "sync_module_states, "
                  "cpu_ram_efficient_loading, activation_checkpointing, cpu_offload, "
                  "offload_params, state_dict_type, xla, "
                  "xla_fsdp_settings, xla_fsdp_v2, xla_fsdp_grad_ckpt"},
        Rejection{"{packing: true}", "", "",
                  "a.yaml:1:16: trainer_args.packing: unknown key here; did you mean "
                  "'dataset_config.packing'?"},
        Rejection{"{}", "  packing_strategy: window_64\n", "",
                  "a.yaml:8:21: dataset_config.packing_strategy: got 'window_64'; expected one of "
                  "first_fit, best_fit, "
                  "balanced, sequential"},
        Rejection{
            "{}", "  object_storage: azure\n", "",
            "a.yaml:8:19: not built yet: dataset_config.object_storage=azure; expected none, null"},
        Rejection{"{}", "  extra_kwargs: {frames_upbuond: 3}\n", "",
                  "a.yaml:8:18: dataset_config.extra_kwargs.frames_upbuond: unknown key; did you "
                  "mean 'frames_upbound'?"}));

INSTANTIATE_TEST_SUITE_P(
    Combinations, Rejects,
    testing::Values(
        Rejection{
            "{}", "  datasets: [{path: b}]\n", "",
            "a.yaml:5:3: dataset_config.dataset_format: datasets is a mixture; expected "
            "dataset_format: yaml\n"
            "a.yaml:8:3: dataset_config.datasets: given beside dataset_path; expected one of them"},
        Rejection{"{}", "  on_overlong: drop\n", "",
                  "a.yaml:8:3: dataset_config.on_overlong: nothing is over-long without a limit; "
                  "expected packing: true or "
                  "max_length"},
        Rejection{"{}",
                  "  packing_kwargs: {num_open_bins: 2}\n  extra_kwargs: {packing_kwargs: "
                  "{num_buckets: 2}}\n",
                  "",
                  "a.yaml:9:18: dataset_config.extra_kwargs.packing_kwargs: given twice, also as "
                  "dataset_config.packing_kwargs"},
        Rejection{"{}", "  video_min_pixels: 700000\n", "",
                  "a.yaml:8:3: dataset_config.video_min_pixels: got 700000; expected at most "
                  "video_max_pixels=602112"},
        Rejection{"{}", "  data_seed: 1\n", "trainer_type: hf_trainer\n", ""},
        Rejection{"{data_seed: 2}", "  data_seed: 1\n", "",
                  "a.yaml:1:16: trainer_args.data_seed: got 2, but dataset_config.data_seed=1; "
                  "expected one of them"},
        Rejection{"{max_steps: 0}", "", "",
                  "a.yaml:1:16: trainer_args.max_steps: got 0; expected -1 (by epochs) or a number "
                  "of steps"},
        Rejection{"{warmup_ratio: 0.1, warmup_steps: 5}", "", "",
                  "a.yaml:1:35: trainer_args.warmup_steps: given beside warmup_ratio; expected one "
                  "of them"},
        Rejection{"{warmup_ratio: 0.0, warmup_steps: 5}", "", "", ""},
        Rejection{"{max_steps: 3, warmup_steps: 5}", "", "", ""},
        Rejection{"{save_steps: 2.5}", "", "",
                  "a.yaml:1:16: trainer_args.save_steps: got 2.5; expected whole steps, or a share "
                  "of all steps below 1"},
        Rejection{"{eval_strategy: steps}", "", "",
                  "a.yaml:1:16: trainer_args.eval_strategy: no evaluation data; expected "
                  "dataset_config.eval_dataset_path"},
        Rejection{
            "{eval_generate: {prompts: Hi}}", "", "",
            "a.yaml:1:16: trainer_args.eval_generate: prompts are answered at every "
            "evaluation, and eval_strategy: no has none; expected eval_strategy: steps or "
            "epoch, or no prompts: trainer_args.eval_generate=null on the command line leaves "
            "them out"},
        Rejection{"{eval_on_start: true}", "", "",
                  "a.yaml:1:16: trainer_args.eval_on_start: no evaluation data; expected "
                  "dataset_config.eval_dataset_path"},
        Rejection{"{output_dir: ''}", "", "",
                  "a.yaml:1:16: trainer_args.output_dir: empty; expected a folder"},
        Rejection{"{lr_scheduler_kwargs: {power: 2}}", "", "",
                  "a.yaml:1:38: trainer_args.lr_scheduler_kwargs.power: the schedule 'linear' "
                  "takes no arguments"},
        Rejection{"{lr_scheduler_type: cosine, lr_scheduler_kwargs: {power: 2}}", "", "",
                  "a.yaml:1:65: trainer_args.lr_scheduler_kwargs.power: no argument of the "
                  "schedule 'cosine'; expected "
                  "num_cycles, min_lr_ratio"},
        Rejection{
            "{lr_scheduler_type: warmup_stable_decay}", "", "",
            "a.yaml:1:1: trainer_args.lr_scheduler_kwargs.num_decay_steps: missing; the schedule "
            "'warmup_stable_decay' needs it"},
        Rejection{
            "{lr_scheduler_type: cosine_with_min_lr}", "", "",
            "a.yaml:1:16: trainer_args.lr_scheduler_type: the schedule 'cosine_with_min_lr' needs "
            "lr_scheduler_kwargs: {min_lr: ...} or {min_lr_ratio: ...}"},
        Rejection{"{learning_rate: 0, learning_rates: [{modules: a, learning_rate: 1}], "
                  "lr_scheduler_type: reduce_lr_on_plateau}",
                  "", "",
                  "a.yaml:1:16: trainer_args.learning_rate: got 0; the schedule "
                  "'reduce_lr_on_plateau' multiplies the rates of learning_rates as it does this "
                  "one, expected more than 0\n"
                  "a.yaml:1:84: trainer_args.lr_scheduler_type: the schedule "
                  "'reduce_lr_on_plateau' follows the evaluation; expected eval_strategy: steps or "
                  "epoch"},
        Rejection{"{lr_scheduler_type: greedy}", "", "",
                  "a.yaml:1:16: trainer_args.lr_scheduler_type: the schedule 'greedy' follows the "
                  "evaluation; expected eval_strategy: steps or epoch"},
        Rejection{
            "{lr_scheduler_type: reduce_lr_on_plateau, eval_strategy: epoch, "
            "metric_for_best_model: accuracy, lr_scheduler_kwargs: {factor: 1, warmup: 2}}",
            "  eval_dataset_path: e.jsonl\n", "",
            "a.yaml:1:79: trainer_args.metric_for_best_model: got 'accuracy'; expected one "
            "of loss, perplexity\n"
            "a.yaml:1:142: trainer_args.lr_scheduler_kwargs.factor: got '1'; expected a number "
            "in (0, 1)\n"
            "a.yaml:1:145: trainer_args.lr_scheduler_kwargs.warmup: no argument of the "
            "schedule 'reduce_lr_on_plateau'; expected mode, factor, patience, threshold, "
            "threshold_mode, cooldown, min_lr, eps"},
        Rejection{"{lr_scheduler_type: greedy, eval_strategy: epoch, lr_scheduler_kwargs: {max_lr: "
                  "1e-6}}",
                  "  eval_dataset_path: e.jsonl\n", "",
                  "a.yaml:1:87: trainer_args.lr_scheduler_kwargs.max_lr: 1e-06; expected at least "
                  "learning_rate=5e-05"},
        Rejection{"{lr_scheduler_type: cosine_with_min_lr, lr_scheduler_kwargs: {min_lr: 1, "
                  "min_lr_rate: 0.1}}",
                  "", "",
                  "a.yaml:1:77: trainer_args.lr_scheduler_kwargs.min_lr: 1; expected at most "
                  "learning_rate=5e-05\n"
                  "a.yaml:1:88: trainer_args.lr_scheduler_kwargs.min_lr_ratio: given beside "
                  "min_lr; expected one of "
                  "them"}));

TEST_F(TrainConfigTest, a_fault_of_a_key_is_not_followed_by_faults_of_its_default) {
  EXPECT_EQ(
      faults(right("{learning_rate: fast, max_steps: many, warmup_steps: 5, lr_scheduler_type: "
                   "cosine_with_min_lr, lr_scheduler_kwargs: {min_lr: 1}}")),
      "a.yaml:1:31: trainer_args.learning_rate: got 'fast'; expected a number >= 0\n"
      "a.yaml:1:48: trainer_args.max_steps: got 'many'; expected a whole number >= -1");
  EXPECT_EQ(faults(right("{eval_strategy: steps}", "  eval_dataset_path: [a]\n")),
            "a.yaml:8:22: dataset_config.eval_dataset_path: got a list; expected text");
}

TEST_F(TrainConfigTest, the_ramp_of_constant_needs_its_compat) {
  const std::string args =
      "{lr_scheduler_type: constant, lr_scheduler_kwargs: {start_factor: 0.5}}";
  EXPECT_EQ(faults(right(args)),
            "a.yaml:1:67: trainer_args.lr_scheduler_kwargs.start_factor: belongs to the Python "
            "project's ramp; expected "
            "compat: schedule beside it");
  EXPECT_EQ(faults(right(args, "", "compat: schedule\n")), "");
}

TEST_F(TrainConfigTest, a_model_comes_from_a_folder_or_from_a_config) {
  const auto with_model = [&](const std::string& model) {
    return faults(fmt::format(
        "model_config: {}\n"
        "dataset_config: {{dataset_type: vision, dataset_format: jsonl, dataset_path: a, "
        "processor_config: {{processor_type: qwen2, processor_name: t}}}}\n",
        model));
  };
  EXPECT_EQ(
      with_model("{}"),
      "a.yaml:1:1: model_config: no model; expected load_from_pretrained_path or load_from_config");
  EXPECT_EQ(with_model("{load_from_pretrained_path: m, load_from_config: {model_type: qwen3}}"),
            "a.yaml:1:46: model_config.load_from_config: given beside load_from_pretrained_path; "
            "expected one of them");
  EXPECT_EQ(with_model("{load_from_config: {config: {}}}"),
            "a.yaml:1:16: model_config.load_from_config.model_type: missing; expected a model type "
            "such as qwen3");
  EXPECT_EQ(with_model(
                "{load_from_config: {model_type: qwen3, config: {hidden_size: 8}, vocab_size: 3}}"),
            "a.yaml:1:80: model_config.load_from_config.vocab_size: stands beside 'config'; "
            "expected it inside");
  EXPECT_EQ(with_model("{load_from_config: {model_type: qwen3, hidden_size: 8}, extra_kwargs: "
                       "{trust_remote_code: true}}"),
            "");
}

TEST_F(TrainConfigTest, a_model_of_random_weights_needs_a_tokenizer) {
  EXPECT_EQ(
      faults("model_config: {load_from_config: {model_type: qwen3}}\n"
             "dataset_config: {dataset_type: vision, dataset_format: jsonl, dataset_path: a,\n"
             "  processor_config: {processor_type: qwen2}}\n"),
      "a.yaml:3:3: dataset_config.processor_config.processor_name: missing; a model of random "
      "weights brings no "
      "tokenizer; expected the folder of one");
}

TEST_F(TrainConfigTest, names_of_other_models_are_not_built_yet) {
  EXPECT_EQ(
      faults("model_config: {load_from_pretrained_path: m}\n"
             "dataset_config: {dataset_type: qwen_omni, dataset_format: json, dataset_path: a,\n"
             "  processor_config: {processor_type: bagel}}\n"),
      "a.yaml:2:32: not built yet: dataset_config.dataset_type=qwen_omni; expected one of vision, "
      "vision_iterable, "
      "qwen3_vl, qwen3_vl_iterable, fineweb_edu, sit\n"
      "a.yaml:3:38: not built yet: dataset_config.processor_config.processor_type=bagel; "
      "expected one of qwen2, llama3, pure_text, qwen2_5_vl, qwen3_vl, llava, sit");
}

TEST_F(TrainConfigTest, prompts_are_left_out_as_the_fault_says) {
  const std::string yaml = right("{eval_strategy: epoch, eval_generate: {prompts: Hi}}");
  EXPECT_NE(faults(yaml, {"trainer_args.eval_strategy=no"}), "");
  for (const char* word : {"trainer_args.eval_generate=null", "~trainer_args.eval_generate"}) {
    EXPECT_EQ(faults(yaml, {"trainer_args.eval_strategy=no", word}), "") << word;
  }
}

}  // namespace
}  // namespace lmms::train
