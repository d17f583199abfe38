#include "plan/trial.h"

#include <ATen/Parallel.h>

#include <chrono>
#include <vector>

#include "core/memory_watch.h"
#include "step/step.h"
#include "step/step_work.h"

namespace lmms::plan {

Trial try_steps(const PlannedRun& run, std::span<const data::StepBatch> batches,
                const nn::RunContext& context, double budget_seconds, int64_t most) {
  using Clock = std::chrono::steady_clock;
  MemoryWatch memory(std::chrono::milliseconds(5));
  const int64_t before = memory.peak_bytes();
  step::NetworkOptions options = run.network_options(run.micro_steps);
  options.memory.device = at::kCPU;
  options.memory.masters = run.masters;
  step::TrainState state;
  state.networks.push_back(
      step::make_network(run.make_model(), options, {.from = step::InitialWeights::From::law}));
  state.references = run.open_references(at::kCPU);
  const std::unique_ptr<step::StepRunner> runner = step::plain_runner();
  std::vector<std::vector<double>> rates;  // 0: the weights stay where they are
  for (const step::Network& network : state.networks)
    rates.emplace_back(network.groups.size(), 0.0);
  const auto train = [&](const data::StepBatch& batch) {
    const step::StepWork work =
        step::step_work(batch, *state.main().model, *run.objective, at::kCPU);
    (void)step::train_step(state, *run.objective, *runner, work.micro_steps, context, rates);
  };
  train(batches.front());
  Trial trial;
  const auto begin = Clock::now();
  do {
    const auto next = static_cast<size_t>(trial.steps) % batches.size();
    train(batches[next]);
    ++trial.steps;
    trial.tokens += batches[next].tokens;
    trial.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  } while (trial.seconds < budget_seconds && trial.steps < most);
  trial.peak_bytes = memory.peak_bytes() - before;
  return trial;
}

}  // namespace lmms::plan
