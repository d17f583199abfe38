#include "train/step_work.h"

#include "kernels/device.h"
#include "train/device_batch.h"

namespace lmms::train {
namespace {

double denominator(const data::StepBatch& batch, const data::Batch& micro, bool by_micro_step) {
  if (!by_micro_step) return static_cast<double>(batch.supervised_tokens);
  return static_cast<double>(micro.supervised_tokens) *
         static_cast<double>(batch.micro_steps.size());
}

}  // namespace

StepWork step_work(const data::StepBatch& batch, const models::Model& model, c10::Device device,
                   const StepDivision& division) {
  StepWork out;
  for (const data::Batch& micro : batch.micro_steps) {
    // with several ranks another one may have something to train, and all of them run it
    if (micro.supervised_tokens == 0 && division.ranks == 1) continue;
    std::vector<int64_t> lengths;
    for (const data::Segment& s : micro.segments)
      if (s.sample >= 0) lengths.push_back(s.length);  // the pad is no work of the model's
    const models::Workload work{lengths, micro.supervised_tokens, micro.vision.grids};
    out.flops += model.train_flops(work);
    out.lmms_engine_flops += model.lmms_engine_flops(work);
    kernels::on_copy_stream(device, [&] {
      out.micro_steps.push_back(to_device(micro, denominator(batch, micro, division.by_micro_step),
                                          model.language_model()->vocab_size(), device));
    });
  }
  return out;
}

}  // namespace lmms::train
