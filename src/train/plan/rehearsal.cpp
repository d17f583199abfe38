#include "train/plan/rehearsal.h"

#include <algorithm>
#include <cctype>

#include "models/registry.h"
#include "train/model_setup.h"
#include "train/step_work.h"

namespace lmms::train::plan {
namespace {

constexpr const char* kWhere = "config.json";

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
class TimedRunner : public StepRunner {
 public:
  explicit TimedRunner(const Meter& meter) : meter_(meter) {}
  at::Tensor run(Network& network, const objectives::Objective& objective,
                 std::span<const nn::Batch> micro_steps, const nn::RunContext& context) override {
    const Seconds before = meter_.seconds();
    const at::Tensor loss = plain_runner()->run(network, objective, micro_steps, context);
    taken = meter_.seconds() - before;
    return loss;
  }
  Seconds taken;

 private:
  const Meter& meter_;
};

}  // namespace

Rehearsal::Rehearsal(const LoadedConfig& loaded, const nlohmann::json& model, int64_t micro_steps,
                     const Card& card)
    : meter_(card),
      network_(make_network({models::model_entry(model, kWhere).make(model, kWhere), {}}, loaded,
                            micro_steps, c10::Device(c10::kMeta), /*load=*/false)),
      objective_(objectives::next_token()),
      groups_(groups_of(network_.model->params())) {}

StepCost Rehearsal::step(const data::StepBatch& batch, const nn::RunContext& context) {
  StepCost cost;
  cost.persistent_bytes = meter_.live_bytes();
  meter_.reset_peak();
  meter_.reset_seconds();
  // the next batch is copied while this one is computed
  const StepWork work = step_work(batch, *network_.model, c10::Device(c10::kMeta), {}),
                 next = step_work(batch, *network_.model, c10::Device(c10::kMeta), {});
  cost.flops = work.flops;
  cost.tokens = batch.tokens;
  const std::vector<double> rates(network_.groups.size(), 0.0);
  TimedRunner runner(meter_);
  const at::Tensor loss =
      train_step(network_, *objective_, runner, work.micro_steps, context, rates);
  cost.seconds = runner.taken;
  cost.update_seconds = meter_.seconds().total() - cost.seconds.total();
  cost.peak_bytes = meter_.peak_bytes();
  return cost;
}

}  // namespace lmms::train::plan
