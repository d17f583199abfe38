#include "train/machine/run_needs.h"

#include <map>

#include "checkpoint/checkpoint_dir.h"
#include "checkpoint/hf_folder.h"
#include "core/error.h"
#include "core/format.h"
#include "models/model.h"
#include "parallel/bucket.h"

namespace lmms::train {
namespace {

constexpr int64_t kFloat = 4, kHalf = 2;

int64_t padded(int64_t elements) {
  return (elements + parallel::kAlignment - 1) / parallel::kAlignment * parallel::kAlignment;
}

/// What an average of the weights covers: whole buckets in which anything is averaged.
struct Averaged {
  int64_t elements = 0, padded = 0;
};

Averaged averaged_of(const nn::ParamTable& params, const optim::EmaConfig& ema) {
  struct Bucket {
    Averaged size;
    bool followed = false;
  };
  std::map<std::string, Bucket> buckets;  // by unit, of what is trained
  if (!ema.ema_enabled) return {};
  for (const nn::Param& p : params.all()) {
    if (!p.trainable) continue;
    Bucket& bucket = buckets[p.unit];
    bucket.size.elements += p.elements();
    bucket.size.padded += padded(p.stored_elements());
    for (const nn::Part& part : p.parts)
      bucket.followed = bucket.followed || ema.ema_param_filter.takes(part.hub_name);
  }
  Averaged sum;
  for (const auto& [unit, bucket] : buckets) {
    if (!bucket.followed) continue;
    sum.elements += bucket.size.elements;
    sum.padded += bucket.size.padded;
  }
  return sum;
}

// A checkpoint of the step that is due last, or nothing where the number of steps is unknown.
std::optional<int64_t> saves_of(const TrainerArgs& args) {
  if (args.save_strategy != Every::steps || args.max_steps <= 0) return std::nullopt;
  return args.max_steps / steps_of(args.save_steps, args.max_steps);
}

int64_t saved_in(const std::filesystem::path& output) {
  try {
    return static_cast<int64_t>(checkpoint::find_checkpoints(output).complete.size());
  } catch (const Error&) {
    return 0;  // no folder that can be read; the look at the disk says why
  }
}

}  // namespace

RunNeeds needs_of(const nn::ParamTable& params, const TrainerArgs& args, int64_t micro_steps) {
  RunNeeds needs;
  needs.bf16 = args.bf16;
  const int64_t element = args.bf16 ? kHalf : kFloat;
  const int64_t gradient = args.bf16 && micro_steps == 1 ? kHalf : kFloat;  // make_network
  const int64_t state = args.bf16 && !args.master_weights ? kHalf : kFloat;
  for (const nn::Param& p : params.all()) {
    const int64_t n = padded(p.stored_elements());
    needs.weights += n * element;
    (p.trainable ? needs.trained : needs.frozen) += p.elements();
    if (!p.trainable) continue;
    needs.masters += args.bf16 && args.master_weights ? n * kFloat : 0;
    needs.gradients += n * gradient;
    needs.moments += 2 * n * state;
  }
  const Averaged averaged = averaged_of(params, args.ema);
  needs.averages = averaged.padded * kFloat;
  // what train/saving.h writes
  const bool fp32_files = args.save_dtype ? *args.save_dtype == NumberType::float32 : !args.bf16;
  const NumberType trained_as = args.bf16 ? NumberType::bfloat16 : NumberType::float32;
  const bool other_files = args.save_dtype && *args.save_dtype != trained_as;
  needs.model_bytes = (needs.trained + needs.frozen) * (fp32_files ? kFloat : kHalf);
  if (averaged.padded > 0) needs.model_bytes *= 2;  // and ema/ beside it
  needs.checkpoint_bytes = needs.model_bytes + needs.trained * 2 * state;
  if (!fp32_files) {
    needs.checkpoint_bytes += averaged.elements * kFloat;
    if (args.master_weights || other_files) needs.checkpoint_bytes += needs.trained * state;
    if (other_files) needs.checkpoint_bytes += needs.frozen * element;
  }
  needs.saves = args.save_strategy != Every::no;
  needs.to_save = saves_of(args);
  needs.save_total_limit = args.save_total_limit;
  needs.use_cpu = args.use_cpu;
  needs.output = args.output_dir;
  return needs;
}

RunNeeds run_needs(const LoadedConfig& loaded, const Place& place) {
  const TrainerArgs& args = loaded.config.trainer;
  const ModelSource source = make_model(loaded, place);
  nn::ParamTable& params = source.model->params();
  freeze_modules(params, loaded);
  if (!source.folder.empty())
    (void)checkpoint::HfFolder::open(source.folder).take().weights().take();
  RunNeeds needs = needs_of(params, args, micro_steps_of(args, rows_a_step(args)));
  needs.model = fmt::format(
      "{} from {}", source.model->config().value("model_type", "?"),
      loaded.config.model.load_from_pretrained_path.value_or("its config, random weights"));
  needs.already_saved = saved_in(args.output_dir);
  return needs;
}

}  // namespace lmms::train
