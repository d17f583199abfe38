#include "train/metrics.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/files.h"

namespace lmms::train {
namespace {

nlohmann::ordered_json number(double x) {
  return std::isfinite(x) ? nlohmann::ordered_json(x) : nlohmann::ordered_json();
}

}  // namespace

nlohmann::ordered_json to_json(const StepMetrics& row, const Machine& machine) {
  const double seconds = row.step_seconds > 0 ? row.step_seconds : 1e-9;
  const double rate = static_cast<double>(row.tokens) / seconds;
  const double capacity = machine.peak_flops_per_second * seconds;
  nlohmann::ordered_json j;
  j["step"] = row.step;
  j["epoch"] = number(row.epoch);
  j["loss"] = number(row.loss);
  for (const auto& [name, value] : row.terms) j[name] = number(value);
  j["grad_norm"] = number(row.grad_norm);
  j["learning_rate"] = number(row.learning_rate);
  for (const auto& [name, rate] : row.group_learning_rates)
    j["learning_rate/" + name] = number(rate);
  for (const StepMetrics::NetworkMetrics& network : row.networks) {
    j["grad_norm/" + network.name] = number(network.grad_norm);
    j["learning_rate/" + network.name] = number(network.learning_rate);
  }
  j["tokens"] = row.tokens;
  j["supervised_tokens"] = row.supervised_tokens;
  j["samples"] = row.samples;
  if (row.images > 0) j["samples_per_second"] = number(static_cast<double>(row.images) / seconds);
  j["tokens_per_second"] = number(rate);
  j["tokens_per_second_per_device"] = number(rate / machine.ranks);
  j["mfu"] = number(row.flops / capacity);
  j["mfu_lmms_engine"] = number(row.lmms_engine_flops / capacity);
  j["step_ms"] = number(row.step_seconds * 1e3);
  j["data_wait_ms"] = number(row.data_wait_seconds * 1e3);
  j["peak_memory_bytes"] = row.peak_memory_bytes;
  j["skipped_samples"] = row.skipped_samples;
  if (row.skipped) j["skipped"] = true;
  return j;
}

nlohmann::ordered_json to_json(const EvaluationResult& result, int64_t step, double epoch) {
  nlohmann::ordered_json j;
  j["step"] = step;
  j["epoch"] = number(epoch);
  j["eval_loss"] = number(result.loss);
  for (const auto& [name, mean] : result.terms) j["eval_" + name] = number(mean);
  if (const auto perplexity = result.perplexity()) j["eval_perplexity"] = number(*perplexity);
  j["eval_supervised_tokens"] = result.supervised_tokens;
  j["eval_samples"] = result.samples;
  j["eval_skipped_samples"] = result.skipped_samples;
  j["eval_seconds"] = number(result.seconds);
  return j;
}

bool is_evaluation(const nlohmann::json& row) {
  return row.contains("eval_loss") || row.contains("eval_exact");
}

MetricsFile::MetricsFile(const std::filesystem::path& dir, int64_t last_step, bool evaluation_due)
    : path_(dir / "metrics.jsonl") {
  const auto stays = [&](const nlohmann::json& row) {
    if (!row.is_object() || !row.contains("step") || !row["step"].is_number_integer()) return false;
    const auto step = row["step"].get<int64_t>();
    return step < last_step || (step == last_step && !(evaluation_due && is_evaluation(row)));
  };
  std::string kept;
  if (last_step > 0) {
    if (const auto text = read_file(path_)) {
      for (size_t begin = 0, end; (end = text->find('\n', begin)) != std::string::npos;
           begin = end + 1) {
        const auto row = nlohmann::json::parse(text->begin() + static_cast<int64_t>(begin),
                                               text->begin() + static_cast<int64_t>(end), nullptr,
                                               /*allow_exceptions=*/false);
        if (!stays(row)) continue;
        kept.append(*text, begin, end + 1 - begin);
        if (is_evaluation(row)) last_evaluation_ = row["step"].get<int64_t>();
      }
    }
  }
  write_atomically(path_, kept);
}

void MetricsFile::write(const nlohmann::ordered_json& row) {
  OutputFile file(path_, OutputFile::Open::append);
  file.write(row.dump() + "\n");
  file.close();
}

}  // namespace lmms::train
