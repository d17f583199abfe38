#include "train/doctor_setup.h"

#include <algorithm>

#include "checkpoint/checkpoint_dir.h"
#include "checkpoint/hf_folder.h"
#include "core/error.h"
#include "core/format.h"
#include "models/model.h"
#include "train/best_model.h"
#include "train/model_setup.h"
#include "train/preview_setup.h"

namespace lmms::train {
namespace {

namespace preview = inspect::preview;

constexpr int64_t kFloat = 4, kHalf = 2;  // bytes

// A checkpoint of the step that is due last, or nothing where the number of steps is unknown.
std::optional<int64_t> saves_of(const TrainerArgs& args) {
  if (args.save_strategy != SaveStrategy::steps || args.max_steps <= 0) return std::nullopt;
  return args.max_steps / steps_of(args.save_steps, args.max_steps);
}

int64_t saved_in(const std::filesystem::path& output) {
  try {
    return static_cast<int64_t>(checkpoint::find_checkpoints(output).complete.size());
  } catch (const Error&) {
    return 0;  // no folder that can be read; measuring the disk says why
  }
}

// What train/saving.h writes.
void add_files(const TrainerArgs& args, inspect::RunNeeds& needs) {
  const step::NetworkSize& network = needs.network;
  const int64_t element = args.bf16 ? kHalf : kFloat;
  const int64_t state = args.bf16 && !args.master_weights ? kHalf : kFloat;
  const bool fp32_files = args.save_dtype ? *args.save_dtype == NumberType::float32 : !args.bf16;
  const NumberType trained_as = args.bf16 ? NumberType::bfloat16 : NumberType::float32;
  const bool other_files = args.save_dtype && *args.save_dtype != trained_as;
  needs.model_bytes = (network.trained + network.frozen) * (fp32_files ? kFloat : kHalf);
  if (network.averages > 0) needs.model_bytes *= 2;  // and ema/ beside it
  needs.checkpoint_bytes = needs.model_bytes + network.trained * 2 * state;
  if (!fp32_files) {
    needs.checkpoint_bytes += network.averaged * kFloat;
    if (args.master_weights || other_files) needs.checkpoint_bytes += network.trained * state;
    if (other_files) needs.checkpoint_bytes += network.frozen * element;
  }
}

std::string counted(size_t n, const char* what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

/// Loads the tokenizer, and makes a sample of the first record of every source. Throws Error for
/// what would keep training from starting.
inspect::DataCheck check_first_records(const LoadedConfig& loaded,
                                       const std::filesystem::path& hub_cache) {
  inspect::DataCheck out;
  const auto read = [&](bool evaluation) {
    preview::Options options;
    options.rows_per_source = 1;
    const preview::Preview heads =
        preview::make_preview(preview_input(loaded, evaluation, hub_cache), options);
    if (out.text.empty())
      out.text = heads.vocabulary ? "tokenizer " + heads.tokenizer : "no tokenizer is needed";
    out.text +=
        fmt::format("; {}{}, the first record of each read",
                    counted(heads.sources.size(), "source"), evaluation ? " of evaluation" : "");
    for (const preview::Sample& sample : heads.samples) {
      if (sample.fate == preview::Fate::stops && out.trouble.empty())
        out.trouble = sample.fault.text();
    }
  };
  read(/*evaluation=*/false);
  if (loaded.config.dataset.eval_dataset_path) read(/*evaluation=*/true);
  return out;
}

}  // namespace

inspect::RunNeeds run_needs(const LoadedConfig& loaded, const Place& place) {
  const TrainerArgs& args = loaded.config.trainer;
  const ModelSource source = make_model(loaded, place);
  nn::ParamTable& params = source.model->params();
  step::freeze_modules(params, args.freeze_modules, loaded.where("trainer_args.freeze_modules"));
  if (!source.folder.empty())
    (void)checkpoint::HfFolder::open(source.folder).take().weights().take();
  inspect::RunNeeds needs;
  needs.model = fmt::format(
      "{} from {}", source.model->config().value("model_type", "?"),
      loaded.config.model.load_from_pretrained_path.value_or("its config, random weights"));
  needs.use_cpu = args.use_cpu || place.cpu_asked;
  needs.bf16 = args.bf16;
  needs.network = step::network_size(
      params, network_options(loaded, micro_steps_of(args, rows_a_step(args)), at::kMeta));
  add_files(args, needs);
  needs.saves = args.save_strategy != SaveStrategy::no;
  needs.to_save = saves_of(args);
  needs.save_total_limit = args.save_total_limit;
  if (needs.save_total_limit && seeks_best(args))  // the newest and the best
    needs.save_total_limit = std::max<int64_t>(2, *needs.save_total_limit);
  needs.already_saved = saved_in(args.output_dir);
  return needs;
}

inspect::RunCheck check_run(std::span<const std::string> words, const Place& place,
                            const Registries& registries) {
  inspect::RunCheck check;
  if (words.empty()) return check;
  try {
    const LoadedConfig loaded = load_train_config(words, place.home, registries);
    check.output = loaded.config.trainer.output_dir;
    check_paths(loaded, place.hub_cache);
    check.needs = run_needs(loaded, place);
    check.needs->data = check_first_records(loaded, place.hub_cache);
  } catch (const Error& e) {
    check.faults = e.what();
    check.exit = e.exit();
  }
  return check;
}

}  // namespace lmms::train
