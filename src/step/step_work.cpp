#include "step/step_work.h"

#include "kernels/device.h"
#include "step/device_batch.h"

namespace lmms::step {
namespace {

/// models::Workload::extra_pairs, by the rule of kernels/attention/attention_plan.h.
double extra_pairs(const data::Batch& batch) {
  double pairs = 0;
  for (size_t s = 0; s < batch.segments.size(); ++s) {
    const data::Segment& queries = batch.segments[s];
    if (queries.sample < 0) continue;
    const auto n = static_cast<double>(queries.length);
    if (queries.mode != AttentionMode::causal) pairs += n * (n - 1) / 2;
    for (size_t t = s; t-- > 0 && batch.segments[t].sample == queries.sample;) {
      const data::Segment& keys = batch.segments[t];
      if (keys.mode != AttentionMode::noise && keys.role <= queries.role) pairs += n * keys.length;
    }
  }
  return pairs;
}

}  // namespace

StepWork step_work(const data::StepBatch& batch, const models::Model& model,
                   const objectives::Objective& objective, c10::Device device, int ranks) {
  const std::vector<std::vector<double>> denominators =
      objectives::denominators_of(objective, batch, ranks);
  const int64_t ids = id_limit(model);
  StepWork out;
  for (size_t i = 0; i < batch.micro_steps.size(); ++i) {
    const data::Batch& micro = batch.micro_steps[i];
    // with several ranks another one may have something to train, and all of them run it
    if (ranks == 1 && !objectives::has_any_term(objective, micro)) continue;
    std::vector<int64_t> lengths;
    for (const data::Segment& s : micro.segments)
      if (s.sample >= 0) lengths.push_back(s.length);  // the pad is no work of the model's
    models::Workload work{.lengths = lengths,
                          .supervised = micro.supervised_tokens,
                          .extra_pairs = extra_pairs(micro)};
    for (const data::PackedMedia& part : micro.media) work.media[part.kind].grids = part.grids;
    out.flops += model.train_flops(work);
    out.lmms_engine_flops += model.lmms_engine_flops(work);
    kernels::on_copy_stream(device, [&] {
      out.micro_steps.push_back(
          {to_device(micro, denominators[i].front(), ids, device), denominators[i]});
    });
  }
  return out;
}

}  // namespace lmms::step
