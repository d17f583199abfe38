#include "train/startup_table.h"

#include "core/config/schema.h"
#include "core/format.h"
#include "core/units.h"
#include "kernels/attention/attention.h"
#include "kernels/device.h"
#include "train/best_model.h"
#include "train/kernel_patches.h"

namespace lmms::train {
namespace {

std::string data_source(const data::SourceSummary& s) {
  std::string text = fmt::format("{} ({}, {} rows", s.path, s.format, grouped(s.rows));
  if (s.weight != 1.0)
    text += fmt::format(", weight {}: {} samples an epoch", s.weight, grouped(s.samples_per_epoch));
  return text + ")";
}

std::string packed_to(const data::DataConfig& c) {
  if (!c.packing) return ", one sample each";
  std::string text = fmt::format(", packed to {} tokens", c.packing_length);
  if (c.packing_patches) text += fmt::format(" and {} patches", *c.packing_patches);
  return text;
}

std::string best_by(const TrainerArgs& args) {
  const BestMetric metric = best_metric(args.best);
  std::string text = fmt::format("{}, {} is better; its checkpoint is kept", metric.field,
                                 metric.greater ? "greater" : "smaller");
  if (args.best.load_best_model_at_end) text += " and is the final model";
  if (const auto patience = args.best.early_stopping_patience) {
    text += fmt::format("; the run ends after {} evaluation{} without improvement", *patience,
                        *patience == 1 ? "" : "s");
  }
  return text;
}

}  // namespace

TableRows describe_run(const RunParts& parts, const RunState& state,
                       const std::string& peak_source) {
  const TrainConfig& config = parts.loaded.config;
  const TrainerArgs& args = config.trainer;
  const step::Network& network = parts.trained.main();
  const nn::ParamTable& params = network.model->params();
  const int64_t trained = params.elements(true), all = params.elements();
  TableRows rows;
  rows.emplace_back(
      "model",
      fmt::format("{} from {}", network.model->config().value("model_type", "?"),
                  config.model.load_from_pretrained_path.value_or("its config, random weights")));
  rows.emplace_back("parameters",
                    fmt::format("{} trained, {} frozen", grouped(trained), grouped(all - trained)));
  for (const data::SourceSummary& s : parts.data.training->sources())
    rows.emplace_back("data", data_source(s));
  if (parts.data.evaluation.dataset) {
    for (const data::SourceSummary& s : parts.data.evaluation.dataset->sources())
      rows.emplace_back("evaluation", data_source(s));
  }
  rows.emplace_back("rows a step",
                    fmt::format("{}{}", state.global_rows, packed_to(config.dataset)));
  const auto total = parts.loader.total_steps();
  rows.emplace_back("steps", total
                                 ? grouped(*total)
                                 : fmt::format("as many as {} epochs fill", args.num_train_epochs));
  rows.emplace_back(
      "optimiser",
      fmt::format("{}, learning rate {}, {}, weight decay {}, clip {}", network.optimizer->name(),
                  args.optimizer.learning_rate, args.schedule.lr_scheduler_type,
                  args.optimizer.weight_decay, args.optimizer.max_grad_norm));
  for (const step::ParameterGroup& group : network.groups) {
    if (group.name.empty()) continue;
    rows.emplace_back("learning rate", fmt::format("{}: {}, weight decay {} ({} parameters)",
                                                   group.name, group.learning_rate,
                                                   group.weight_decay, grouped(group.elements)));
  }
  rows.emplace_back("device", fmt::format("{}, {}", kernels::device_name(parts.device),
                                          size_text(kernels::total_memory_bytes(parts.device))));
  rows.emplace_back("peak", fmt::format("{:.3g} TFLOP/s ({})",
                                        parts.machine.peak_flops_per_second / 1e12, peak_source));
  const at::ScalarType dtype = args.bf16 ? at::kBFloat16 : at::kFloat;
  rows.emplace_back("numbers", !args.bf16 ? "fp32"
                               : args.master_weights
                                   ? "bf16, fp32 master weights and optimiser states"
                                   : "bf16, weights and optimiser states too (rounded at "
                                     "random)");
  rows.emplace_back(
      "kernels",
      fmt::format("{}; attention: {}; head: chunked linear cross entropy; {}: one pass over "
                  "buckets",
                  text_of(kernel_set(parts.loaded), parts.device),
                  kernels::attention_kernel(parts.device, dtype), network.optimizer->name()));
  if (state.best) rows.emplace_back("best by", best_by(args));
  std::string layout;
  for (const auto& [key, value] : args.layout)
    if (!config::asks_for_nothing(value)) layout += (layout.empty() ? "" : ", ") + key;
  if (!layout.empty()) rows.emplace_back("speed or layout", layout + ": accepted");
  return rows;
}

}  // namespace lmms::train
