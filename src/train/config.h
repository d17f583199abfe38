#pragma once
/// The whole config of a training run: the file, the command line over it, the defaults under it.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/config/names.h"
#include "core/config/position.h"
#include "core/config/value.h"
#include "data/config.h"
#include "models/config.h"
#include "objectives/config.h"
#include "optim/config.h"

namespace lmms::config {
class Fields;
}

namespace lmms::train {

/// When something happens: never, every so many steps, at the end of each epoch.
enum class Every { no, steps, epoch };
/// When a checkpoint is written; `best`: after an evaluation that is the best so far.
enum class SaveStrategy { no, steps, epoch, best };
/// Recompute in backward: off, on, or as much as the memory demands.
enum class GradientCheckpointing { off, on, automatic };
/// The number type of stored or reduced tensors.
enum class NumberType { float32, bfloat16, float16 };

/// `resume_from_checkpoint`: null or true: the newest complete checkpoint of output_dir; false:
/// start anew; or a folder.
struct Resume {
  bool automatic = true;
  std::string path;  ///< not empty: this checkpoint

  bool operator==(const Resume&) const = default;
};

/// A prompt of `eval_generate`: a text (the user's turn; with processor_type pure_text to be
/// continued), {image: FILE or a list of them, text: ...}, or a chat in any form of a data row.
struct EvalPrompt {
  config::Value value;

  bool operator==(const EvalPrompt&) const = default;
};

/// `eval_generate`: prompts that the model answers at every evaluation, for the report.
struct EvalGenerate {
  std::vector<EvalPrompt> prompts;
  /// The first so many rows of the evaluation set are prompts too: all before their last answer.
  int64_t rows = 0;
  std::optional<std::string> system;  ///< system turn; absent: the chat layout's own
  int64_t max_new_tokens = 64;
  double temperature = 0;  ///< 0: the most likely token
  int64_t top_k = 0;       ///< 0: of all tokens
  double top_p = 1;
  // of models that fill in masks (generate/unmasking.h)
  int64_t diffusion_steps = 0;                 ///< of an answer; 0: a step a token
  int64_t block_length = 0;                    ///< 0: as the model was trained
  std::optional<double> confidence_threshold;  ///< absent: none

  bool asks() const { return !prompts.empty() || rows > 0; }
  bool operator==(const EvalGenerate&) const = default;
};

/// `eval_sample`: samples that a denoiser makes at every evaluation, from the same noise every
/// time, for the report.
struct EvalSample {
  int64_t per_class = 0;              ///< samples of every class shown; 0: none are made
  std::vector<int64_t> classes = {};  ///< empty: the first ten, or all if there are fewer
  std::string sampler = "euler";      ///< euler | heun | dopri5 | sde
  int64_t steps = 50;                 ///< of a sampler with fixed steps
  double guidance = 1;                ///< classifier-free; 1: none
  bool ema = true;                    ///< by the average of the weights, where there is one

  bool asks() const { return per_class > 0; }
  bool operator==(const EvalSample&) const = default;
};

/// Which evaluation is the best, and what follows of it (train/best_model.h).
struct BestModelConfig {
  bool load_best_model_at_end = false;  ///< the final model is that of the best checkpoint
  /// Of an evaluation, with or without "eval_"; also what lr_scheduler_type follows; absent: loss.
  std::optional<std::string> metric_for_best_model = {};
  std::optional<bool> greater_is_better = {};  ///< absent: of eval_exact alone
  /// Evaluations in a row without improvement that end a run.
  std::optional<int64_t> early_stopping_patience = {};
  double early_stopping_threshold = 0;  ///< a smaller improvement counts as none

  bool operator==(const BestModelConfig&) const = default;
};

/// `profiler_config`: which steps enable_profiler traces (train/step_profiler.h).
struct ProfilerConfig {
  int64_t start_step = 0;  ///< steps that pass before one that warms up
  int64_t end_step = 5;    ///< end_step - start_step steps are recorded behind that

  bool operator==(const ProfilerConfig&) const = default;
};

/// `trainer_args`.
struct TrainerArgs {
  std::string output_dir = "trainer_output";
  std::optional<std::string> run_name;

  optim::OptimizerConfig optimizer;
  optim::ScheduleConfig schedule;
  optim::EmaConfig ema;
  objectives::ObjectiveConfig objective;

  int64_t per_device_train_batch_size = 8;  ///< rows of a micro-step on one rank
  int64_t gradient_accumulation_steps = 1;  ///< micro-steps of a step
  std::optional<int64_t>
      global_rows;  ///< rows of a step over all ranks; absent: the product of the two and the ranks
  double num_train_epochs = 3.0;
  int64_t max_steps = -1;          ///< > 0: steps of the run, whatever num_train_epochs says
  int64_t max_skipped_steps = 10;  ///< steps in a row with a non-finite loss or gradient that are
                                   ///< skipped before the run ends

  bool bf16 = false;  ///< false: fp32
  bool master_weights =
      true;  ///< fp32 masters and moments under bf16; false: bf16, stochastic rounding
  NumberType reduce_dtype = NumberType::bfloat16;  ///< of gradients between ranks
  std::optional<NumberType> save_dtype;            ///< of saved weights; absent: as trained
  GradientCheckpointing gradient_checkpointing = GradientCheckpointing::off;
  std::vector<std::string> freeze_modules;  ///< dotted paths of modules that are not trained
  int64_t seed = 42;
  std::optional<int64_t> data_seed;  ///< given: dataset_config.data_seed takes its value
  bool use_cpu = false;

  Every logging_strategy = Every::steps;
  double logging_steps = 1.0;  ///< steps; below 1 a share of all steps
  bool logging_first_step = false;
  bool disable_tqdm = false;             ///< lines of logged steps in place of the progress bar
  std::vector<std::string> report_to;    ///< names of Hugging Face integrations
  int64_t print_batch_input_steps = -1;  ///< > 0: print a decoded row every so many steps
  bool enable_profiler = false;          ///< trace a few steps; `profile=true` on the command line
  ProfilerConfig profiler;

  SaveStrategy save_strategy = SaveStrategy::steps;
  double save_steps = 500.0;  ///< steps; below 1 a share of all steps
  /// Checkpoints kept: the newest, and the best among them; absent: all.
  std::optional<int64_t> save_total_limit;
  Resume resume_from_checkpoint;

  Every eval_strategy = Every::no;
  std::optional<double> eval_steps;  ///< steps; below 1 a share of all steps; absent: logging_steps
  bool eval_on_start = false;
  EvalGenerate eval_generate;
  EvalSample eval_sample;
  BestModelConfig best;
  int64_t per_device_eval_batch_size = 8;

  int64_t dataloader_num_workers =
      0;  ///< threads that prepare data; 0: chosen from the machine's cores
  std::optional<int64_t> dataloader_prefetch_factor;  ///< steps prepared ahead; absent: chosen
  bool dataloader_drop_last = false;
  int64_t ddp_timeout = 1800;  ///< seconds that a collective may wait

  /// Keys given that choose only speed or layout (use_liger_kernel, fsdp_config, ...): shown at the
  /// start, otherwise unread.
  std::map<std::string, config::Value> layout;

  bool operator==(const TrainerArgs&) const = default;
};

/// Rows of a step over all ranks, as the first start fixes them, and its micro-steps.
int64_t rows_a_step(const TrainerArgs& args);
int64_t micro_steps_of(const TrainerArgs& args, int64_t rows);

/// `save_steps` and its kin: values of 1 and more are steps, smaller ones a share of all steps
/// (rounded up, at least 1).
int64_t steps_of(double value, int64_t total_steps);

/// What the Python project does differently, asked for by name (compat.def).
struct Compat {
  bool labels = false;    ///< control and vision tokens of every turn are trained too
  bool loss = false;      ///< mean of the means of ranks and micro-steps
  bool decay = false;     ///< one AdamW group: norms and biases decay too
  bool exif = false;      ///< images are not turned as their EXIF orientation says
  bool tiles = false;     ///< LLaVA-OneVision: every image is cut into tiles
  bool schedule = false;  ///< its formulas of constant, cosine and wsd, warm-up steps rounded down

  bool operator==(const Compat&) const = default;
};

/// A whole file.
struct TrainConfig {
  std::string trainer_type = "fsdp2_trainer";  ///< of trainer_types.def
  data::DataConfig dataset;
  models::ModelConfig model;
  TrainerArgs trainer;
  Compat compat;
  std::vector<std::string> monkey_patch;  ///< names of patches
  std::vector<std::string> plugins;       ///< shared libraries, in the order of their loading

  bool operator==(const TrainConfig&) const = default;
};

/// The names in trainer_types.def, compat.def and not_built.def, in their order.
std::span<const config::Name> trainer_type_names();
std::span<const config::Name> compat_names();
std::span<const config::Name> not_built_names();

std::span<const config::EnumName<Every>> enum_names(Every);
std::span<const config::EnumName<SaveStrategy>> enum_names(SaveStrategy);
std::span<const config::EnumName<GradientCheckpointing>> enum_names(GradientCheckpointing);
std::span<const config::EnumName<NumberType>> enum_names(NumberType);

void fields(config::Fields& f, EvalGenerate& c);
void fields(config::Fields& f, EvalSample& c);
void fields(config::Fields& f, ProfilerConfig& c);
void fields(config::Fields& f, TrainerArgs& c);
void fields(config::Fields& f, TrainConfig& c);

struct Registries;  // train/registries.h
/// What the program itself brings.
const Registries& built_in_registries();

/// What `lmms train` knows after reading.
struct LoadedConfig {
  TrainConfig config;
  /// What its names stand for; outlives it.
  const Registries* registries = &built_in_registries();
  /// Of a config with plugins: what `registries` points to.
  std::shared_ptr<const Registries> with_plugins = nullptr;
  std::string file;  ///< as the user gave it; empty if everything came from the command line
  std::map<std::string, config::Position> given_at;  ///< dotted key -> where it stands
  std::vector<std::string> notices;                  ///< for the user, in the order of the file

  /// "train.yaml:3:5: trainer_args.learning_rate", or the bare key where it was left at its
  /// default.
  std::string where(const std::string& key) const;
};

/// Reads `words`: a config file, `config_yaml=FILE`, and overrides `a.b=v`, `+a.b=v`, `~a.b`, in
/// any order; then validates. `home`: the folder of `~` in paths; empty: there is none. Throws one
/// Error (exit 2) that lists every fault in the order of file, line and column. Opens no file but
/// the config, its plugins, and those that it names for fsdp_config and deepspeed. `registries`
/// outlive what is returned.
LoadedConfig load_train_config(std::span<const std::string> words, const std::string& home = "",
                               const Registries& registries = built_in_registries());

/// What is read of what a config names.
enum class Reads {
  everything,
  data,  ///< data sets and the tokenizer named beside them: no model, no checkpoint
};

/// Checks that every data set, model and tokenizer of the config exists, and that output_dir is no
/// file; throws one Error that lists all that is wrong. Names of the Hugging Face hub are looked up
/// in the folder `hub_cache` (checkpoint::locate_checkpoint); it may be empty.
void check_paths(const LoadedConfig& loaded, const std::string& hub_cache,
                 Reads reads = Reads::everything);

/// The whole config as YAML; reading it gives an equal TrainConfig.
std::string write_resolved(const TrainConfig& config);
/// The keys that differ from the defaults, one "key: value" a line.
std::vector<std::string> diff_from_defaults(const TrainConfig& config);
/// Help of every field of a section ("trainer_args"; "" for all), for `lmms train --help`.
std::string describe_fields(const std::string& section);
/// The tables of docs/guide/config.md.
std::string fields_as_markdown();

}  // namespace lmms::train
