#include "step/step_work.h"

#include "kernels/device.h"
#include "step/device_batch.h"

namespace lmms::step {

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
    models::Workload work{lengths, micro.supervised_tokens};
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
