#include "train/init_config.h"

#include <algorithm>
#include <filesystem>

#include "checkpoint/hf_folder.h"
#include "core/config/yaml.h"
#include "core/format.h"
#include "core/units.h"
#include "data/head_limit.h"
#include "data/look.h"
#include "models/registry.h"
#include "train/config.h"
#include "train/config_draft.h"
#include "train/init_choices.h"
#include "train/init_memory.h"
#include "train/opening.h"
#include "train/registries.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

/// The model that is named, looked at.
struct FoundModel {
  std::string name;  ///< as it stands in the config
  nlohmann::json config;
  const models::ModelEntry* entry = nullptr;
  std::optional<int64_t> context;  ///< positions
};

/// The data that are named, looked at.
struct FoundSources {
  std::vector<data::SourceConfig> training;
  std::optional<data::SourceConfig> evaluation;
  data::RecordForm form = data::RecordForm::chats;
  std::string layout;
  std::string without_evaluation;     ///< why what lies beside is not taken; empty: nothing does
  std::vector<std::string> not_used;  ///< files of a folder, with the reason
};

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::optional<int64_t> positions_of(const nlohmann::json& config) {
  const auto found = config.is_object() ? config.find("max_position_embeddings") : config.end();
  if (!config.is_object() || found == config.end() || !found->is_number_integer())
    return std::nullopt;
  return found->get<int64_t>() > 0 ? std::optional(found->get<int64_t>()) : std::nullopt;
}

FoundModel find_model(const InitRequest& request, const Place& place,
                      const Registries& registries) {
  FoundModel out;
  out.name = without_slash(request.model);
  const fs::path folder = checkpoint::locate_checkpoint(out.name, place.hub_cache).take();
  if (!fs::exists(folder / "config.json")) {
    throw Error(out.name, "holds no config.json: it is no folder of a Hugging Face checkpoint",
                "download one first, say `hf download Qwen/Qwen3-0.6B --local-dir "
                "checkpoints/Qwen3-0.6B`, and name its folder");
  }
  const checkpoint::HfFolder opened = checkpoint::HfFolder::open(folder).take();
  out.config = opened.config();
  const std::string where = (folder / "config.json").string();
  out.entry = &models::model_entry(registries.models, out.config, where);
  if (!request.from_scratch) {
    const auto weights = opened.weights();
    if (!weights && !opened.has_weights()) {
      throw Error(out.name, weights.fault().what,
                  "download the whole checkpoint; or train random weights in its shape: "
                  "--from-scratch");
    }
    if (!weights) throw Error(weights.fault());
  }
  out.context = positions_of(out.config);
  const auto text = out.config.find("text_config");  // of a model that sees
  if (!out.context && text != out.config.end()) out.context = positions_of(*text);
  return out;
}

/// Whether a source needs the long form: what dataset_path and its format cannot say.
bool is_mixture(const FoundSources& found) {
  const data::SourceConfig& first = found.training.front();
  return found.training.size() > 1 || !first.data_folder.empty() ||
         (found.evaluation && found.evaluation->data_type != first.data_type);
}

/// Whether the evaluation's path is read as what it is, beside an inline mixture.
bool suffix_tells(const data::SourceConfig& source) {
  const auto format = data::infer_format(source.path);
  return format && data::format_name(*format) == source.data_type;
}

void look_at_evaluation(FoundSources& found) {
  if (!found.evaluation) return;
  const auto rows = data::look_at_rows(*found.evaluation);
  const bool plain = found.form == data::RecordForm::plain_text;
  std::string& why = found.without_evaluation;
  if (!rows) {
    why = rows.fault().text();
  } else if ((rows->form == data::RecordForm::plain_text) != plain) {
    why = fmt::format("{} are {}", found.evaluation->path, rows->layout);
  } else if (is_mixture(found) && !suffix_tells(*found.evaluation)) {
    why = fmt::format("its name does not say that it is {}", *found.evaluation->data_type);
  }
  if (why.empty()) return;
  why = fmt::format("{} lies beside the data and is not used: {}", found.evaluation->path, why);
  found.evaluation.reset();
}

FoundSources find_sources(const InitRequest& request) {
  FoundSources out;
  std::vector<std::string> words;
  for (const std::string& word : request.data) words.push_back(without_slash(word));
  data::FoundData files = data::find_data(words).take();
  out.training = std::move(files.training);
  out.evaluation = std::move(files.evaluation);
  out.without_evaluation = std::move(files.without_evaluation);
  out.not_used = std::move(files.not_used);
  for (data::SourceConfig& source : out.training) {
    const data::RowsLook rows = data::look_at_rows(source).take();
    const bool plain = rows.form == data::RecordForm::plain_text;
    if (!out.layout.empty() && plain != (out.form == data::RecordForm::plain_text)) {
      throw Error(source.path, fmt::format("{} beside {}", rows.layout, out.layout),
                  "chats and plain text are trained apart: write a config for each");
    }
    if (out.layout.find(rows.layout) == std::string::npos)
      out.layout += (out.layout.empty() ? "" : ", ") + std::string(rows.layout);
    if (out.form != data::RecordForm::media_chats) out.form = rows.form;
    source.data_folder = request.media_folder
                             ? without_slash(*request.media_folder)
                             : data::find_media_folder(source.path, rows.relative_media).take();
  }
  look_at_evaluation(out);
  return out;
}

/// The types of models that see, for an error.
std::string seeing_models(const Registries& registries) {
  std::string out;
  for (const auto& item : registries.models.entries()) {
    if (item.value.processor().image_token == nullptr) continue;
    out += (out.empty() ? "" : ", ") + item.name;
  }
  return out;
}

void set_data(ConfigDraft& draft, const FoundModel& model, const FoundSources& found) {
  const bool plain = found.form == data::RecordForm::plain_text;
  draft.set("trainer_type", "fsdp2_trainer");
  draft.set("dataset_config.dataset_type", plain ? "fineweb_edu" : "vision",
            plain                                   ? "plain text"
            : found.form == data::RecordForm::chats ? "chats: here of text alone"
                                                    : "chats with images or videos");
  if (is_mixture(found)) {
    draft.set("dataset_config.dataset_format", "yaml", "a list of sources");
    config::Node list;
    list.kind = config::Node::Kind::list;
    for (const data::SourceConfig& source : found.training) {
      config::Node map;
      map.kind = config::Node::Kind::map;
      const auto put = [&](const char* key, const std::string& value) {
        map.entries.push_back({key, {}, config::to_node(value)});
      };
      put("path", source.path);
      if (!source.data_folder.empty()) put("data_folder", source.data_folder);
      if (!suffix_tells(source)) put("data_type", *source.data_type);
      list.items.push_back(std::move(map));
    }
    draft.set("dataset_config.datasets", std::move(list),
              found.training.front().data_folder.empty()
                  ? "weight: 0.5 takes half of one's rows an epoch"
                  : "data_folder stands in front of the paths in the rows");
  } else {
    draft.set("dataset_config.dataset_format", *found.training.front().data_type, found.layout);
    draft.set("dataset_config.dataset_path", found.training.front().path);
  }
  if (found.evaluation)
    draft.set("dataset_config.eval_dataset_path", found.evaluation->path, "found beside it");
  draft.set("dataset_config.processor_config.processor_type",
            plain ? "pure_text" : model.entry->processor().processor_type,
            plain ? "every token is trained"
                  : fmt::format("that of {}; the answers are trained", model.entry->model_type));
}

/// Without the quotes that JSON has around every text.
void unquote(config::Node& node) {
  if (node.kind == config::Node::Kind::scalar && node.quoted) node = config::to_node(node.text);
  for (config::Node& item : node.items) unquote(item);
  for (config::Entry& entry : node.entries) unquote(entry.value);
}

/// The libraries of --plugin, without which the rest is not understood.
void set_plugins(ConfigDraft& draft, const Registries& registries) {
  if (registries.plugins.empty()) return;
  config::Node list;
  list.kind = config::Node::Kind::list;
  for (const std::string& path : registries.plugins) list.items.push_back(config::to_node(path));
  draft.set("plugins", std::move(list), "libraries that bring names used here");
}

void set_model(ConfigDraft& draft, const FoundModel& model, bool from_scratch) {
  if (!from_scratch) {
    draft.set("model_config.load_from_pretrained_path", model.name, model.entry->architecture);
    return;
  }
  draft.set("dataset_config.processor_config.processor_name", model.name, "the tokenizer's folder");
  nlohmann::json config = model.config;
  for (const char* key : {"model_type", "architectures", "transformers_version", "torch_dtype",
                          "dtype", "_name_or_path", "auto_map", "use_cache"})
    config.erase(key);
  config::Faults faults;
  config::Node shape = config::parse_yaml(config.dump(), "config.json", faults);
  unquote(shape);
  draft.set("model_config.load_from_config.model_type", model.entry->model_type,
            "random weights in the shape of " + model.name);
  draft.set("model_config.load_from_config.config", std::move(shape));
  faults.throw_if_any();
}

/// out/MODEL-DATA, which no run has used yet.
std::string output_folder(const FoundModel& model, const FoundSources& found) {
  fs::path data = found.training.front().path;
  if (!data.has_filename()) data = data.parent_path();
  std::string stem = data.stem().string();
  std::erase_if(stem, [](char c) { return c == '*' || c == '?' || c == '[' || c == ']'; });
  if (stem == "train" || stem == "data") stem.clear();  // says nothing
  std::string name = fs::path(model.name).filename().string();
  if (name.empty() || name == "." || name == "..") name = model.entry->model_type;
  const std::string base = fmt::format("out/{}{}{}", name, stem.empty() ? "" : "-", stem);
  std::string folder = base;
  for (int i = 2; fs::exists(folder); ++i) folder = fmt::format("{}-{}", base, i);
  return folder;
}

/// Samples as training will meet them: in its order, not from the front.
struct MeasuredSamples {
  SampleLengths lengths;
  int64_t broken = 0, untrained = 0;
  Fault first_broken;
};

MeasuredSamples measure(const RunData& data) {
  MeasuredSamples out;
  out.lengths.rows = data.training->rows_per_epoch();
  const int64_t rows = out.lengths.rows;
  const data::HeadLimit limit;
  for (int64_t i = 0; i < rows && !limit.reached(i); ++i) {
    const auto record = data.training->read(data.training->place(0, i));
    Fault fault;
    if (record) {
      const auto measured = data.processing.processor->measure(*record);
      if (measured) {
        if (measured->supervised > 0) {
          out.lengths.sorted.push_back(measured->length);
        } else {
          ++out.untrained;
        }
        continue;
      }
      fault = measured.fault();
    } else {
      fault = record.fault();
    }
    if (out.broken++ == 0) out.first_broken = std::move(fault);
  }
  const auto good = static_cast<int64_t>(out.lengths.sorted.size());
  if (out.broken > good) throw Error(out.first_broken);
  if (good == 0) {
    throw Error("the data", "no sample has anything to train",
                "an answer of the assistant, or a text, is what is learnt");
  }
  std::sort(out.lengths.sorted.begin(), out.lengths.sorted.end());
  return out;
}

std::string percent(double share) {
  return share > 0 && share < 0.001 ? "less than 0.1 %" : fmt::format("{:.1f} %", 100 * share);
}

void set_rows(ConfigDraft& draft, const MeasuredSamples& samples, const RowChoice& rows,
              const FoundModel& model, bool plain) {
  const SampleLengths& lengths = samples.lengths;
  const std::string measured = fmt::format("samples have {}, at most {}", grouped(lengths.at(0.5)),
                                           grouped(lengths.longest()));
  draft.set("dataset_config.packing", rows.packing,
            rows.packing ? "several samples share a row; none sees another"
                         : "samples are too long to share rows");
  if (rows.packing) {
    draft.set("dataset_config.packing_strategy", "best_fit", "the fullest rows");
    draft.set("dataset_config.packing_length", rows.length, "tokens; " + measured);
  } else {
    draft.remove("dataset_config.packing_strategy");
    draft.remove("dataset_config.packing_length");
  }
  draft.remove("dataset_config.max_length");
  draft.remove("dataset_config.on_overlong");
  if (rows.max_length) {
    const bool context = model.context && *rows.max_length == *model.context;
    draft.set("dataset_config.max_length", *rows.max_length,
              (context ? std::string("the model's context; ") : std::string("tokens; ")) +
                  (rows.packing ? "longer samples are left out" : measured));
  }
  const double lost =
      lengths.longer_than(std::min(rows.length, rows.max_length.value_or(rows.length)));
  if (lost > 0) {
    draft.set("dataset_config.on_overlong", plain ? "truncate" : "drop",
              plain ? "longer texts are cut at the row's end"
                    : fmt::format("{} of the samples are longer and left out", percent(lost)));
  }
  if (samples.broken > 0) {
    draft.set(
        "dataset_config.on_bad_sample", "skip",
        fmt::format("{} of {} rows are broken: they are left out and counted; the first: {}: {}",
                    samples.broken, samples.broken + static_cast<int64_t>(lengths.sorted.size()),
                    samples.first_broken.where, samples.first_broken.what));
  }
}

void set_optimizer(ConfigDraft& draft, int64_t parameters, const Cadence& cadence,
                   bool from_scratch) {
  draft.set("trainer_args.learning_rate", choose_learning_rate(parameters, from_scratch),
            fmt::format("usual for {} of {} parameters",
                        from_scratch ? "random weights" : "fine-tuning", short_count(parameters)));
  draft.set("trainer_args.lr_scheduler_type", "cosine");
  draft.set("trainer_args.warmup_ratio", cadence.warmup_ratio, "the first steps are smaller");
  if (from_scratch) draft.set("trainer_args.weight_decay", 0.1);
  draft.set("trainer_args.num_train_epochs", cadence.epochs,
            fmt::format("about {} steps in all", grouped(cadence.steps)));
}

void set_cadence(ConfigDraft& draft, const Cadence& cadence, const FoundSources& found) {
  if (cadence.logging_steps > 1) draft.set("trainer_args.logging_steps", cadence.logging_steps);
  draft.set("trainer_args.save_steps", cadence.save_steps, "a kill costs no more than these");
  draft.set("trainer_args.save_total_limit", int64_t{2}, "the newest are kept");
  if (found.evaluation) {
    draft.set("trainer_args.eval_strategy", "steps", "eval_loss, on what is not trained");
    draft.set("trainer_args.eval_steps", cadence.eval_steps);
    draft.set("trainer_args.eval_on_start", true, "to compare with");
    if (found.form != data::RecordForm::plain_text) {
      draft.set("trainer_args.eval_generate.rows", int64_t{3}, "are answered then, for the report");
      draft.set("trainer_args.eval_generate.max_new_tokens", int64_t{64});
    }
  }
  draft.set("trainer_args.report_to", "none", "report.html is always written");
}

LoadedConfig load(const ConfigDraft& draft, const Place& place, const Registries& registries) {
  return load_train_config(draft.words(), place.home, registries);
}

}  // namespace

InitResult init_config(const InitRequest& request, const Place& place,
                       const Registries& registries) {
  const FoundModel model = find_model(request, place, registries);
  if (!model.entry->processor().needs_tokenizer) {
    throw Error(model.name,
                fmt::format("a {} learns from images by classes; init writes configs for models "
                            "that read text",
                            model.entry->model_type),
                "begin with examples/scalable_interpolant_transformer/example_config.yaml");
  }
  const FoundSources found = find_sources(request);
  const bool plain = found.form == data::RecordForm::plain_text;
  if (found.form == data::RecordForm::media_chats &&
      model.entry->processor().image_token == nullptr) {
    throw Error(
        found.training.front().path,
        fmt::format("holds images or videos, and {} reads text alone", model.entry->model_type),
        "take a model that sees: " + seeing_models(registries));
  }
  ConfigDraft draft;
  set_plugins(draft, registries);
  set_data(draft, model, found);
  set_model(draft, model, request.from_scratch);
  draft.set("trainer_args.output_dir", output_folder(model, found));
  draft.set("trainer_args.per_device_train_batch_size", int64_t{1}, "rows of a step");

  const OpenedRun opened = open_run(load(draft, place, registries), place);
  const MeasuredSamples samples = measure(opened.data);
  const SampleLengths& lengths = samples.lengths;
  const int64_t wanted = request.card == "cpu" ? kCpuRow : kGpuRow;
  RowChoice rows = plain ? choose_text_rows(lengths, model.context, wanted)
                         : choose_rows(lengths, model.context, wanted);
  set_rows(draft, samples, rows, model, plain);
  const MemoryChoice memory = choose_memory(
      rows, request.card, place, [&](const RowChoice& tried, const MemorySetting& setting) {
        set_rows(draft, samples, tried, model, plain);
        setting.write(draft);
        return load(draft, place, registries);
      });
  rows = memory.rows;  // the last that was tried is not always the best
  set_rows(draft, samples, rows, model, plain);
  memory.setting.write(draft);
  const double of_a_step = rows.packing ? static_cast<double>(rows.length) * 0.95 : lengths.mean();
  const Cadence cadence = choose_cadence(lengths.tokens(), of_a_step, plain);
  set_optimizer(draft, memory.parameters, cadence, request.from_scratch);
  set_cadence(draft, cadence, found);
  const LoadedConfig final = load(draft, place, registries);

  InitResult result;
  const std::string size = short_count(memory.parameters);
  result.found = {
      {"model", fmt::format("{} ({}), {} parameters", model.name, model.entry->architecture, size)},
      {"data",
       fmt::format(
           "{}: {} rows of {}{}", found.training.front().path, grouped(lengths.rows), found.layout,
           found.training.size() > 1 ? fmt::format(", {} sources", found.training.size()) : "")},
      {"evaluation", found.evaluation ? found.evaluation->path
                     : !found.without_evaluation.empty()
                         ? found.without_evaluation
                         : "none beside the data (eval.jsonl, *_val.*, test-* would be found)"},
      {"memory", memory.text},
      {"training",
       fmt::format("{} {}, about {} steps{}", cadence.epochs,
                   cadence.epochs == 1 ? "epoch" : "epochs", grouped(cadence.steps),
                   memory.time_text(lengths.tokens() * static_cast<double>(cadence.epochs)))},
      {"into", final.config.trainer.output_dir}};
  std::string not_used;
  for (const std::string& files : found.not_used)
    not_used += (not_used.empty() ? "" : "; ") + files;
  if (!not_used.empty()) {
    result.found.emplace_back("not used",
                              not_used + "; name a file as data of its own to train on it");
  }
  if (samples.broken > 0)
    result.found.emplace_back("broken rows", fmt::format("{}, the first: {}", samples.broken,
                                                         samples.first_broken.text()));
  result.yaml = draft.yaml(
      {fmt::format("Written by {}", request.command),
       "Every line may be changed: `lmms help KEY` explains it.",
       fmt::format("  lmms preview {}   what the model will see", request.output),
       fmt::format("  lmms plan {}      memory and speed", request.output),
       fmt::format("  lmms train {}     the same command goes on after a stop", request.output)});
  return result;
}

}  // namespace lmms::train
