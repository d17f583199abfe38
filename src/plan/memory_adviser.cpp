#include "plan/memory_adviser.h"

#include <nlohmann/json.hpp>

#include "core/format.h"
#include "core/units.h"
#include "plan/plan.h"

namespace lmms::plan {
namespace {

constexpr int64_t kSteps = 4;  // of the data, that `auto` looks at

std::string sizes_text(const Fit& fit, int64_t budget) {
  return fmt::format("{} at the peak of {} that tensors can have", size_text(fit.cost.peak_bytes),
                     size_text(budget));
}

}  // namespace

std::string text_of(const Choice& choice) {
  nlohmann::json units = nlohmann::json::object();
  for (const auto& [unit, keep] : choice.context.of_unit) units[unit] = static_cast<int>(keep);
  return nlohmann::json{
      {"keep", static_cast<int>(choice.context.keep)}, {"units", units}, {"notice", choice.notice}}
      .dump();
}

Choice choice_from(const std::string& text, const nn::RunContext& before) {
  const nlohmann::json json = nlohmann::json::parse(text);
  Choice out{before, json.at("notice")};
  out.context.keep = static_cast<nn::Keep>(json.at("keep").get<int>());
  out.context.of_unit.clear();
  for (const auto& [unit, keep] : json.at("units").items())
    out.context.of_unit[unit] = static_cast<nn::Keep>(keep.get<int>());
  return out;
}

MemoryAdviser::MemoryAdviser(PlannedRun run, c10::Device device)
    : run_(std::move(run)), device_(device) {
  if (device.is_cuda()) card_ = card_of(device);
}

bool MemoryAdviser::automatic() const {
  return run_.automatic && device_.is_cuda();
}

Choice MemoryAdviser::choose(const PlannedData& data) const {
  const nn::RunContext& context = run_.context;
  if (!automatic()) return {context, ""};
  const std::vector<data::StepBatch> batches = first_steps(data, kSteps);
  const int64_t usable = usable_bytes(card_);
  size_t most = 0;
  Fit fit;
  {
    Rehearsal rehearsal(run_, run_.micro_steps, card_);
    most = largest(rehearsal, batches, context);
    fit = least_recompute(rehearsal, batches[most], context, usable);
  }
  if (!fit.fits) {
    throw Error(run_.where,
                "even with everything run again a step takes " + sizes_text(fit, usable),
                advice_text(alternatives(run_, card_, batches[most]), fit.cost, card_));
  }
  return {std::move(fit.context), fmt::format("gradient_checkpointing: auto runs again {} ({})",
                                              fit.recompute, sizes_text(fit, usable))};
}

std::optional<Choice> MemoryAdviser::choose_less(const data::StepBatch& batch,
                                                 const nn::RunContext& before) const {
  constexpr double kSpare = 0.05;
  if (!automatic()) return std::nullopt;
  const auto budget = static_cast<int64_t>((1 - kSpare) * static_cast<double>(usable_bytes(card_)));
  Rehearsal rehearsal(run_, static_cast<int64_t>(batch.micro_steps.size()), card_);
  Fit fit = least_recompute(rehearsal, batch, run_.context, budget);
  if (!fit.fits || fit.cost.peak_bytes >= rehearsal.step(batch, before).peak_bytes)
    return std::nullopt;
  return Choice{std::move(fit.context),
                fmt::format("step {} found no memory; gradient_checkpointing: auto runs again {} "
                            "from here on ({})",
                            batch.step, fit.recompute, sizes_text(fit, budget))};
}

Error MemoryAdviser::out_of_memory(const data::StepBatch& batch, const nn::RunContext& context,
                                   int64_t peak, const std::string& cause) const {
  const StepCost cost =
      Rehearsal(run_, static_cast<int64_t>(batch.micro_steps.size()), card_).step(batch, context);
  return Error(
      fmt::format("step {}", batch.step),
      fmt::format("the GPU has no memory left: tensors took {} of the {} that were free at the "
                  "start. By plan this step takes {}: {} for weights, gradients and states, {} for "
                  "activations and workspace. {}",
                  size_text(peak), size_text(card_.memory_bytes), size_text(cost.peak_bytes),
                  size_text(cost.persistent_bytes),
                  size_text(cost.peak_bytes - cost.persistent_bytes), cause),
      advice_text(alternatives(run_, card_, batch), cost, card_), Exit::failed);
}

}  // namespace lmms::plan
