#include "train/config_validate.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/config/fields.h"
#include "core/format.h"
#include "optim/metric_schedule.h"
#include "train/best_model.h"
#include "train/deepspeed.h"
#include "train/registries.h"

namespace lmms::train {

using config::Faults;
using config::Position;

namespace {

void check_masked_diffusion(const objectives::MaskedDiffusionConfig& c, const Checker& check) {
  if (c.t_min <= c.t_max) return;
  check.fault({"trainer_args.masked_diffusion.t_min", "trainer_args.masked_diffusion.t_max"},
              fmt::format("{}; expected at most t_max, {}", c.t_min, c.t_max));
}

void check_profiler(const TrainerArgs& args, const Checker& check) {
  if (args.profiler.end_step > args.profiler.start_step) return;
  check.fault({"trainer_args.profiler_config.end_step", "trainer_args.profiler_config.start_step"},
              fmt::format("{}; expected more than start_step, {}", args.profiler.end_step,
                          args.profiler.start_step));
}

/// Arguments of from_pretrained that choose other weights than the folder's own.
void check_model_arguments(const models::ModelConfig& model, const Checker& check) {
  const config::Value* revision = model.extra_kwargs.find("revision");
  const config::Value* subfolder = model.extra_kwargs.find("subfolder");
  const auto says = [](const config::Value& value, const char* text) {
    return value.string() && *value.string() == text;
  };
  if (revision && !config::asks_for_nothing(*revision) && !says(*revision, "main")) {
    check.fault({"model_config.extra_kwargs.revision"},
                "not built yet; expected the folder of that revision as load_from_pretrained_path");
  }
  if (subfolder && !config::asks_for_nothing(*subfolder)) {
    check.fault({"model_config.extra_kwargs.subfolder"},
                "not built yet; expected that folder as load_from_pretrained_path");
  }
}

void check_model(const models::ModelConfig& model, const Checker& check) {
  check_model_arguments(model, check);
  const bool pretrained = model.load_from_pretrained_path.has_value();
  const bool from_config = !model.load_from_config.is_null();
  if (pretrained && from_config) {
    check.fault({"model_config.load_from_config", "model_config.load_from_pretrained_path"},
                "given beside load_from_pretrained_path; expected one of them");
  } else if (!pretrained && !from_config) {
    check.fault(
        {"model_config", "model_config.load_from_config", "model_config.load_from_pretrained_path"},
        "no model; expected load_from_pretrained_path or load_from_config");
  } else if (pretrained && model.load_from_pretrained_path->empty()) {
    check.fault({"model_config.load_from_pretrained_path"},
                "empty; expected the folder of a checkpoint");
  }
  if (!from_config) return;
  const config::Value* type = model.load_from_config.find("model_type");
  if (!type || !type->string()) {
    check.fault({"model_config.load_from_config.model_type"},
                "missing; expected a model type such as qwen3");
  }
  const config::Value* inner = model.load_from_config.find("config");
  if (inner && !inner->map())
    check.fault({"model_config.load_from_config.config"}, "no map; expected the model's fields");
  if (inner) {
    for (const auto& [key, value] : *model.load_from_config.map()) {
      if (key == "model_type" || key == "config") continue;
      check.fault({"model_config.load_from_config." + key},
                  "stands beside 'config'; expected it inside");
    }
  }
}

/// Whether the processor reads texts; of a type that is not known, which is a fault by itself, yes.
bool needs_tokenizer(const data::ProcessorConfig& processor, const Registries& registries) {
  const models::ProcessorEntry* entry = registries.processors.find(processor.processor_type);
  return entry == nullptr || entry->needs_tokenizer;
}

void check_data(const data::DataConfig& data, const models::ModelConfig& model,
                const Registries& registries, const Checker& check) {
  const bool path = data.dataset_path.has_value();
  const bool list = !data.datasets.empty();
  if (path && list) {
    check.fault({"dataset_config.datasets", "dataset_config.dataset_path"},
                "given beside dataset_path; expected one of them");
  } else if (!path && !list && check.given("dataset_config")) {
    check.fault({"dataset_config", "dataset_config.datasets", "dataset_config.dataset_path"},
                "no data; expected dataset_path or datasets");
  }
  if (list && data.dataset_format != data::DatasetFormat::yaml) {
    check.fault({"dataset_config.dataset_format"},
                "datasets is a mixture; expected dataset_format: yaml");
  }
  for (size_t i = 0; i < data.datasets.size(); ++i) {
    if (data.datasets[i].path.empty()) {
      check.fault({fmt::format("dataset_config.datasets[{}].path", i)},
                  "empty; expected a file or folder");
    }
  }
  const data::ProcessorConfig& processor = data.processor;
  if (processor.processor_name.empty() && !model.load_from_pretrained_path &&
      needs_tokenizer(processor, registries) && check.given("dataset_config.processor_config")) {
    check.fault(
        {"dataset_config.processor_config.processor_name", "dataset_config.processor_config",
         "model_config.load_from_pretrained_path", "model_config"},
        "missing; a model of random weights brings no tokenizer; expected the folder of one");
  }
  const data::DatasetEntry* dataset = registries.datasets.find(data.dataset_type);
  const bool plain_data = dataset != nullptr && dataset->form == data::RecordForm::plain_text;
  const bool plain_processor = data.plain_text();
  const bool image_data = dataset != nullptr && dataset->form == data::RecordForm::class_images;
  if (image_data != data.class_images() && !data.dataset_type.empty() &&
      !processor.processor_type.empty()) {
    check.fault(
        {"dataset_config.processor_config.processor_type", "dataset_config.dataset_type"},
        fmt::format("got '{}' with dataset_type '{}'; expected {}", processor.processor_type,
                    data.dataset_type, image_data ? "sit" : "dataset_type: sit"));
  }
  if (plain_data != plain_processor && !image_data && !data.class_images() &&
      !data.dataset_type.empty() && !processor.processor_type.empty()) {
    check.fault({"dataset_config.processor_config.processor_type", "dataset_config.dataset_type"},
                fmt::format("got '{}' with dataset_type '{}'; expected {}",
                            processor.processor_type, data.dataset_type,
                            plain_data ? "pure_text"
                                       : "a processor of chats, or dataset_type: fineweb_edu"));
  }
  if (data.on_overlong && !data.length_limit()) {
    check.fault(
        {"dataset_config.on_overlong", "dataset_config.packing", "dataset_config.max_length"},
        "nothing is over-long without a limit; expected packing: true or max_length");
  }
  if (data.packing_patches && !data.packing) {
    check.fault({"dataset_config.packing_patches", "dataset_config.packing"},
                "limits the rows of packing; expected packing: true beside it");
  }
  if (data.video.min_pixels > data.video.max_pixels) {
    check.fault({"dataset_config.video_min_pixels", "dataset_config.video_max_pixels"},
                fmt::format("got {}; expected at most video_max_pixels={}", data.video.min_pixels,
                            data.video.max_pixels));
  }
}

void check_schedule(const TrainerArgs& args, bool has_evaluation_data, const Compat& compat,
                    const Checker& check) {
  const optim::ScheduleConfig& schedule = args.schedule;
  const optim::ScheduleArguments& kwargs = schedule.lr_scheduler_kwargs;
  const std::string& type = schedule.lr_scheduler_type;
  const std::string type_key = "trainer_args.lr_scheduler_type";
  const std::string prefix = "trainer_args.lr_scheduler_kwargs.";
  const auto takes = optim::schedule_kwargs(type);
  config::Fields list;
  fields(list, const_cast<optim::ScheduleArguments&>(kwargs));  // only names are read
  for (const config::Field& field : list.all()) {
    if (!check.given(prefix + std::string(field.name))) continue;
    if (std::find(takes.begin(), takes.end(), field.name) != takes.end()) continue;
    check.fault({prefix + std::string(field.name), type_key},
                takes.empty() ? fmt::format("the schedule '{}' takes no arguments", type)
                              : fmt::format("no argument of the schedule '{}'; expected {}", type,
                                            config::listed(takes)));
  }
  if (type == "warmup_stable_decay" && !kwargs.num_decay_steps) {
    check.fault({prefix + "num_decay_steps", "trainer_args.lr_scheduler_kwargs"},
                "missing; the schedule 'warmup_stable_decay' needs it");
  }
  if (type == "cosine_with_min_lr" || type == "cosine_warmup_with_min_lr") {
    if (kwargs.min_lr && kwargs.min_lr_ratio) {
      check.fault({prefix + "min_lr_ratio", prefix + "min_lr"},
                  "given beside min_lr; expected one of them");
    } else if (!kwargs.min_lr && !kwargs.min_lr_ratio) {
      check.fault({type_key, "trainer_args.lr_scheduler_kwargs", prefix + "min_lr",
                   prefix + "min_lr_ratio"},
                  fmt::format("the schedule '{}' needs lr_scheduler_kwargs: {{min_lr: ...}} or "
                              "{{min_lr_ratio: ...}}",
                              type));
    }
  }
  constexpr double kPolynomialEnd = 1e-7;  // of Hugging Face, if lr_end is absent
  const std::optional<double> end =
      type == "polynomial" ? kwargs.lr_end.value_or(kPolynomialEnd) : kwargs.lr_end;
  for (const auto& [key, value] : {std::pair("min_lr", kwargs.min_lr), std::pair("lr_end", end)}) {
    if (value && *value > args.optimizer.learning_rate) {
      check.fault({prefix + key, "trainer_args.learning_rate", type_key},
                  fmt::format("{}; expected at most learning_rate={}", *value,
                              args.optimizer.learning_rate));
    }
  }
  if (kwargs.max_lr && *kwargs.max_lr < args.optimizer.learning_rate) {
    check.fault({prefix + "max_lr", "trainer_args.learning_rate", type_key},
                fmt::format("{}; expected at least learning_rate={}", *kwargs.max_lr,
                            args.optimizer.learning_rate));
  }
  if (optim::follows_metric(type)) {
    if (args.optimizer.learning_rate == 0 && !args.optimizer.learning_rates.empty()) {
      check.fault({"trainer_args.learning_rate", type_key},
                  fmt::format("got 0; the schedule '{}' multiplies the rates of learning_rates as "
                              "it does this one, expected more than 0",
                              type));
    }
    if (args.eval_strategy == Every::no) {
      check.fault({type_key, "trainer_args.eval_strategy"},
                  fmt::format("the schedule '{}' follows the evaluation; expected eval_strategy: "
                              "steps or epoch",
                              type));
    } else if (!has_evaluation_data && !args.best.metric_for_best_model) {
      check.fault({type_key, "dataset_config.eval_dataset_path"},
                  fmt::format("the schedule '{}' follows eval_loss; expected "
                              "dataset_config.eval_dataset_path",
                              type));
    }
  }
  if (type == "constant" && !compat.schedule) {
    for (const char* key : {"start_factor", "end_factor"}) {
      if (!check.given(prefix + key)) continue;
      check.fault({prefix + key, "compat"},
                  "belongs to the Python project's ramp; expected compat: schedule beside it");
    }
  }
  if (schedule.warmup_ratio > 0 && schedule.warmup_steps > 0) {
    check.fault({"trainer_args.warmup_steps", "trainer_args.warmup_ratio"},
                "given beside warmup_ratio; expected one of them");
  }
}

void check_learning_rates(const std::vector<optim::ModuleRate>& entries, const Checker& check) {
  const std::string key = "trainer_args.learning_rates";
  if (entries.size() > optim::kMaxModuleRates) {
    check.fault({key}, fmt::format("got {} entries; expected at most {}", entries.size(),
                                   optim::kMaxModuleRates));
  }
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string entry = fmt::format("{}[{}]", key, i);
    const std::string& modules = entries[i].modules;
    if (!entries[i].learning_rate && !entries[i].weight_decay) {
      check.fault({entry, entry + ".learning_rate", entry + ".weight_decay"},
                  "changes nothing; expected learning_rate or weight_decay");
    }
    for (size_t before = 0; before < i; ++before) {
      if (entries[before].modules != modules) continue;
      check.fault({entry + ".modules"},
                  fmt::format("'{}' is given twice; a weight belongs to the first entry that fits",
                              modules));
      break;
    }
  }
}

void check_trainer(const TrainerArgs& args, const data::DataConfig& data, const Checker& check) {
  if (args.max_steps == 0)
    check.fault({"trainer_args.max_steps"}, "got 0; expected -1 (by epochs) or a number of steps");
  if (args.output_dir.empty()) check.fault({"trainer_args.output_dir"}, "empty; expected a folder");
  const std::array counts = {std::pair("logging_steps", args.logging_steps),
                             std::pair("save_steps", args.save_steps),
                             std::pair("eval_steps", args.eval_steps.value_or(1)),
                             std::pair("warmup_steps", args.schedule.warmup_steps)};
  for (const auto& [key, value] : counts) {
    if (value > 1 && value != std::floor(value)) {
      check.fault(
          {std::string("trainer_args.") + key},
          fmt::format("got {}; expected whole steps, or a share of all steps below 1", value));
    }
    if (value > 1e15) {
      check.fault({std::string("trainer_args.") + key},
                  fmt::format("got {}; expected at most 1e15 steps", value));
    }
  }
  if (!args.master_weights && !args.bf16) {
    check.fault({"trainer_args.master_weights", "trainer_args.bf16"},
                "false without bf16: fp32 weights are their own masters; expected bf16: true");
  }
  check_learning_rates(args.optimizer.learning_rates, check);
  if (const auto pattern = args.ema.ema_param_filter.broken_pattern()) {
    check.fault({"trainer_args.ema_param_filter"},
                fmt::format("'{}' is no regular expression", *pattern));
  }
  const bool evaluates = args.eval_strategy != Every::no || args.eval_on_start;
  const bool answers = args.eval_generate.asks();
  if (answers && !evaluates) {
    check.fault(
        {"trainer_args.eval_generate", "trainer_args.eval_strategy"},
        "prompts are answered at every evaluation, and eval_strategy: no has none; expected "
        "eval_strategy: steps or epoch, or no prompts: trainer_args.eval_generate=null on "
        "the command line leaves them out");
  }
  if (args.eval_generate.rows > 0 && !data.eval_dataset_path) {
    check.fault({"trainer_args.eval_generate.rows", "dataset_config.eval_dataset_path"},
                "rows of no evaluation set; expected dataset_config.eval_dataset_path");
  }
  if (args.eval_generate.rows > 0 && data.plain_text()) {
    check.fault({"trainer_args.eval_generate.rows"},
                "rows of plain text hold no answer; expected processor_type of chats, or prompts");
  }
  if (args.eval_sample.asks() && !evaluates) {
    check.fault({"trainer_args.eval_sample", "trainer_args.eval_strategy"},
                "samples are made at every evaluation, and eval_strategy: no has none; expected "
                "eval_strategy: steps or epoch, or trainer_args.eval_sample=null");
  }
  if (evaluates && !answers && !args.eval_sample.asks() && !data.eval_dataset_path) {
    check.fault({args.eval_on_start ? "trainer_args.eval_on_start" : "trainer_args.eval_strategy",
                 "dataset_config.eval_dataset_path"},
                "no evaluation data; expected dataset_config.eval_dataset_path");
  }
  if (args.data_seed && check.given("dataset_config.data_seed") &&
      *args.data_seed != data.data_seed) {
    check.fault({"trainer_args.data_seed", "dataset_config.data_seed"},
                fmt::format("got {}, but dataset_config.data_seed={}; expected one of them",
                            *args.data_seed, data.data_seed));
  }
}

void check_deepspeed(const TrainerArgs& args, const Checker& check) {
  const auto where = [&](const std::string& key) { return check.place_of(key); };
  for (const DeepSpeedFault& fault : read_deepspeed(args, where).faults) {
    if (fault.not_built.empty()) {
      check.fault({fault.key}, fault.what);
    } else {
      check.not_built(fault.key, fault.not_built, fault.what);
    }
  }
}

}  // namespace

std::string Checker::place_of(const std::string& key) const {
  return given(key) ? fmt::format(" ({})", places_.of(key).text()) : "";
}

void Checker::fault(std::initializer_list<std::string> keys, const std::string& what) const {
  for (const std::string& key : keys) {
    if (faults_.about(key)) return;
  }
  faults_.add(places_.of(*keys.begin()), *keys.begin(), what);
}

void Checker::not_built(const std::string& key, const std::string& value,
                        const std::string& what) const {
  if (!faults_.about(key)) faults_.add_later(places_.of(key), key, value, what);
}

Position Places::of(const std::string& key) const {
  std::string part = key;
  while (true) {
    const auto found = given_at_.find(part);
    if (found != given_at_.end()) return found->second;
    const size_t dot = part.find_last_of(".[");
    if (dot == std::string::npos) break;
    part.resize(dot);
  }
  const auto root = given_at_.find("");
  return root == given_at_.end() ? Position{} : root->second;
}

void validate(const TrainConfig& config, const Places& places, const Registries& registries,
              Faults& faults) {
  const Checker check(places, faults);
  if (check.given("model_config")) check_model(config.model, check);
  check_profiler(config.trainer, check);
  check_masked_diffusion(config.trainer.objective.masked_diffusion, check);
  check_data(config.dataset, config.model, registries, check);
  check_schedule(config.trainer, config.dataset.eval_dataset_path.has_value(), config.compat,
                 check);
  check_trainer(config.trainer, config.dataset, check);
  check_best_model(config, registries, check);
  check_deepspeed(config.trainer, check);
}

namespace {

bool has(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// A sentence for the arguments of the processor, and one for those of the data set, that nothing
/// reads. Read are limits of images and videos, what lays chats out, the end of plain texts, and
/// what an entry of a registry names.
std::vector<std::string> unread_arguments(const data::DataConfig& data,
                                          const Registries& registries) {
  const auto* processor = registries.processors.find(data.processor.processor_type);
  const auto* dataset = registries.datasets.find(data.dataset_type);
  const auto read_by_processor = [&](std::string_view name) {
    if (processor != nullptr && has(processor->arguments, name)) return true;
    if (data.processor.takes_images() && has(models::kPixelLimits, name)) return true;
    return name == (data.plain_text() ? models::kAppendEos : models::kChatTemplate);
  };
  const auto read_by_dataset = [&](std::string_view name) {
    return dataset != nullptr && has(dataset->arguments, name);
  };
  std::vector<std::string> out;
  const auto look = [&](const char* key, const config::Value& arguments, const auto& is_read) {
    if (arguments.map() == nullptr) return;
    std::string names;
    for (const auto& [name, argument] : *arguments.map())
      if (!is_read(name)) names += (names.empty() ? "" : ", ") + name;
    if (!names.empty()) out.push_back(fmt::format("{}: {}: not read", key, names));
  };
  look("dataset_config.processor_config.extra_kwargs", data.processor.extra_kwargs,
       read_by_processor);
  look("dataset_config.extra_kwargs", data.extra_kwargs, read_by_dataset);
  return out;
}

}  // namespace

std::vector<std::string> advice(const TrainConfig& config, const Registries& registries) {
  std::vector<std::string> out;
  for (const std::string& sink : config.trainer.report_to) {
    if (sink == "none" || sink == "all" || registries.metric_sinks.find(sink) != nullptr) continue;
    out.push_back(fmt::format(
        "trainer_args.report_to: {} is not written; output_dir/metrics.jsonl holds every metric, "
        "and tensorboard and wandb are",
        sink));
  }
  const std::string& schedule = config.trainer.schedule.lr_scheduler_type;
  const bool warms_up =
      config.trainer.schedule.warmup_ratio > 0 || config.trainer.schedule.warmup_steps > 0;
  if (schedule == "constant" && warms_up && !config.compat.schedule) {
    out.push_back(
        "trainer_args.lr_scheduler_type: 'constant' has no warm-up; 'constant_with_warmup' has "
        "one, and compat: schedule "
        "gives the Python project's ramp");
  }
  if (schedule == "constant" && !warms_up && config.compat.schedule) {
    out.push_back(
        "trainer_args.lr_scheduler_type: 'constant' under compat: schedule without a warm-up stays "
        "at start_factor (0.01) of learning_rate, as in the Python project");
  }
  if (optim::follows_metric(schedule)) {
    const optim::ScheduleArguments& kwargs = config.trainer.schedule.lr_scheduler_kwargs;
    if (warms_up) {
      out.push_back(
          fmt::format("trainer_args.lr_scheduler_type: '{}' has no warm-up; as in transformers, "
                      "warmup_steps and warmup_ratio are not read",
                      schedule));
    }
    if (schedule == "greedy" && !kwargs.min_lr &&
        config.trainer.optimizer.learning_rate <= optim::kGreedyMinLr) {
      out.push_back(
          fmt::format("trainer_args.lr_scheduler_kwargs.min_lr: 'greedy' takes {} where it is "
                      "absent, so that learning_rate={} never falls; give one below it",
                      optim::kGreedyMinLr, config.trainer.optimizer.learning_rate));
    }
  }
  if (config.trainer.best.early_stopping_patience && !config.trainer.best.load_best_model_at_end) {
    out.push_back(
        "trainer_args.early_stopping_patience: the final model will be that of the last step; "
        "load_best_model_at_end: true takes the best one");
  }
  const BestMetric metric = best_metric(config.trainer.best);
  if (seeks_best(config.trainer) && metric.greater && !is_share_of_right(metric.field)) {
    out.push_back(fmt::format(
        "trainer_args.greater_is_better: true takes the greatest {} for the best, which "
        "training makes small",
        metric.field));
  }
  for (std::string& notice : read_deepspeed(config.trainer).notices)
    out.push_back(std::move(notice));
  if (config.dataset.eval_dataset_path && config.trainer.eval_strategy == Every::no &&
      !config.trainer.eval_on_start) {
    out.push_back(
        "dataset_config.eval_dataset_path is given, but trainer_args.eval_strategy is 'no': "
        "nothing is evaluated");
  }
  if (config.dataset.packing_patches && !config.dataset.processor.takes_images()) {
    out.push_back(
        fmt::format("dataset_config.packing_patches: not read; processor_type {} takes no images",
                    config.dataset.processor.processor_type));
  }
  for (std::string& sentence : unread_arguments(config.dataset, registries))
    out.push_back(std::move(sentence));
  return out;
}

}  // namespace lmms::train
