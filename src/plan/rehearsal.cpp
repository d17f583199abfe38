#include "plan/rehearsal.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "step/step.h"
#include "step/step_work.h"

namespace lmms::plan {
namespace {

// "model.layers.3" -> "model.layers.*"; nothing for a unit without a number.
std::string kind_of(const std::string& unit) {
  const size_t dot = unit.rfind('.');
  if (dot == std::string::npos || dot + 1 == unit.size()) return {};
  const bool numbered = std::all_of(unit.begin() + static_cast<std::ptrdiff_t>(dot) + 1, unit.end(),
                                    [](unsigned char c) { return std::isdigit(c) != 0; });
  return numbered ? unit.substr(0, dot + 1) + "*" : std::string();
}

std::vector<UnitGroup> groups_of(const nn::ParamTable& params) {
  std::vector<UnitGroup> out;
  for (const nn::Param& p : params.all()) {
    const std::string kind = kind_of(p.unit);
    if (kind.empty()) continue;
    auto group =
        std::find_if(out.begin(), out.end(), [&](const auto& g) { return g.name == kind; });
    if (group == out.end()) group = out.insert(out.end(), {kind, {}});
    if (std::find(group->units.begin(), group->units.end(), p.unit) == group->units.end())
      group->units.push_back(p.unit);
  }
  return out;
}

// The plain runner, and what it took.
class TimedRunner : public step::StepRunner {
 public:
  explicit TimedRunner(const Meter& meter) : meter_(meter) {}
  void run(step::TrainState& state, const objectives::Phase& phase,
           std::span<const step::MicroStep> micro_steps, const nn::RunContext& context,
           objectives::StepValues& values) override {
    const Seconds before = meter_.seconds();
    runner_->run(state, phase, micro_steps, context, values);
    taken = taken + (meter_.seconds() - before);
  }
  Seconds taken;

 private:
  const Meter& meter_;
  std::unique_ptr<step::StepRunner> runner_ = step::plain_runner();
};

step::NetworkOptions options_of(const PlannedRun& run, int64_t micro_steps) {
  step::NetworkOptions options = run.network_options(micro_steps);
  options.memory.device = at::kMeta;
  options.memory.masters = run.masters;
  return options;
}

}  // namespace

Rehearsal::Rehearsal(const PlannedRun& run, int64_t micro_steps, const Card& card)
    : copies_ahead_(!card.is_cpu()), meter_(card), objective_(run.objective) {
  const step::NetworkOptions options = options_of(run, micro_steps);
  state_.networks.push_back(
      step::make_network(run.make_model(), options, {.from = step::InitialWeights::From::later}));
  state_.references = run.open_references(at::kMeta);
  const nn::ParamTable& params = state_.main().model->params();
  size_ = step::network_size(params, options);
  groups_ = groups_of(params);
}

StepCost Rehearsal::step(const data::StepBatch& batch, const nn::RunContext& context) {
  const models::Model& model = *state_.main().model;
  StepCost cost;
  cost.persistent_bytes = meter_.live_bytes();
  meter_.reset_peak();
  meter_.reset_seconds();
  const step::StepWork work = step::step_work(batch, model, *objective_, at::kMeta);
  // to a GPU the next batch is copied while this one is computed
  std::optional<step::StepWork> next;
  if (copies_ahead_) next = step::step_work(batch, model, *objective_, at::kMeta);
  cost.flops = work.flops;
  cost.tokens = batch.tokens;
  std::vector<std::vector<double>> rates;
  for (const step::Network& network : state_.networks)
    rates.emplace_back(network.groups.size(), 0.0);
  TimedRunner runner(meter_);
  const objectives::StepValues values =
      step::train_step(state_, *objective_, runner, work.micro_steps, context, rates);
  cost.seconds = runner.taken;
  cost.update_seconds = meter_.seconds().total() - cost.seconds.total();
  cost.peak_bytes = meter_.peak_bytes();
  return cost;
}

}  // namespace lmms::plan
