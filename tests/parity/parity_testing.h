#pragma once
/// What the comparisons with stored results of transformers share.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoint/hf_folder.h"
#include "data/batch.h"
#include "models/registry_testing.h"
#include "models/structure.h"
#include "models/tensor_io.h"
#include "objectives/objective.h"
#include "step/network.h"

namespace lmms::parity {

// DESIGN, section 10.
constexpr double kLossBound = 2e-6;
constexpr double kGradientBound = 1e-5, kGradientFloor = 1e-3;

// The tensors of an expected.safetensors.
struct Expected {
  checkpoint::SafetensorsFile file;

  at::Tensor operator[](const std::string& name) const {
    const checkpoint::TensorView* view = file.find(name);
    if (view == nullptr) throw std::runtime_error("no " + name);
    if (view->dtype == checkpoint::DType::i32) {
      at::Tensor t = at::empty(view->shape, at::kInt);
      std::memcpy(t.mutable_data_ptr(), view->bytes.data(), view->bytes.size());
      return t;
    }
    return models::to_tensor(*view, name);
  }
  std::vector<int32_t> integers(const std::string& name) const {
    const at::Tensor t = (*this)[name];
    return {t.const_data_ptr<int32_t>(), t.const_data_ptr<int32_t>() + t.numel()};
  }
  // Under hub names.
  std::map<std::string, at::Tensor> gradients() const {
    std::map<std::string, at::Tensor> out;
    for (const checkpoint::TensorView& view : file.tensors()) {
      if (view.name.starts_with("gradient."))
        out[view.name.substr(9)] = models::to_tensor(view, view.name);
    }
    return out;
  }
};

// The case's packed samples as one batch.
inline data::Batch batch_of(const Expected& expected) {
  data::Batch b;
  b.input_ids = expected.integers("input_ids");
  b.position_ids = expected.integers("position_ids");
  b.labels = expected.integers("labels");
  for (int32_t& label : b.labels) {
    b.weights.push_back(label < 0 ? 0.0f : 1.0f);
    b.supervised_tokens += label < 0 ? 0 : 1;
    label = std::max(label, 0);
  }
  int32_t start = 0;
  for (int32_t length : expected.integers("segment_lengths")) {
    b.segments.push_back(
        {.start = start, .length = length, .sample = static_cast<int32_t>(b.samples++)});
    start += length;
  }
  b.valid_tokens = b.tokens();
  b.rows = 1;
  return b;
}

// A checkpoint on the CPU, some modules frozen.
inline step::Network load(const std::filesystem::path& folder, at::ScalarType dtype = at::kFloat,
                          const std::vector<std::string>& freeze = {}) {
  const checkpoint::HfFolder hf = checkpoint::HfFolder::open(folder).take();
  step::Network network;
  const std::string where = (folder / "config.json").string();
  const checkpoint::TensorIndex weights = hf.weights().take();
  network.model = models::make_structure(models::built_in_models(), hf.config(), where, &weights);
  for (const std::string& module : freeze) network.model->params().freeze(module, "test");
  network.memory = nn::allocate(network.model->params(), {at::kCPU, dtype, at::kFloat});
  models::load_weights(network.model->params(), network.memory, weights, where);
  return network;
}

// The loss of these micro-steps; gradients lie in the buckets.
inline double backward(step::Network& network, const std::vector<nn::Batch>& micro_steps,
                       const nn::RunContext& context = {}) {
  for (parallel::Bucket& bucket : network.memory.buckets) bucket.zero_gradients();
  const std::vector<objectives::NamedModel> models{{objectives::kMainNetwork, network.model.get()}};
  const auto objective = objectives::next_token();
  objectives::StepValues values;
  for (const nn::Batch& batch : micro_steps) {
    objectives::StepContext micro_step({.models = models, .batch = batch, .run = context}, values);
    objective->phases().front().run(micro_step);
  }
  return values.loss.item<double>();
}

// Gradients under hub names, as copies.
inline std::map<std::string, at::Tensor> gradients(const step::Network& network) {
  std::map<std::string, at::Tensor> out;
  for (size_t i = 0; i < network.model->params().all().size(); ++i) {
    const nn::Param& p = network.model->params().all()[i];
    if (!p.trainable) continue;
    const nn::Placement place = network.memory.placements[i];
    const at::Tensor g = network.memory.buckets[place.bucket].gradient(place.segment);
    for (const nn::Part& part : p.parts) out[part.hub_name] = part.read(g).clone();
  }
  return out;
}

inline void expect_gradients(const std::map<std::string, at::Tensor>& ours,
                             const std::map<std::string, at::Tensor>& theirs) {
  double global = 0;
  for (const auto& [name, g] : theirs) global += std::pow(g.norm().item<double>(), 2);
  global = std::sqrt(global);
  ASSERT_GT(global, 0);
  for (const auto& [name, g] : theirs) {
    const auto found = ours.find(name);
    ASSERT_NE(found, ours.end()) << name;
    const double distance = (found->second - g).norm().item<double>();
    EXPECT_LE(distance, kGradientBound * std::max(g.norm().item<double>(), kGradientFloor * global))
        << name;
  }
  EXPECT_EQ(ours.size(), theirs.size());
}

}  // namespace lmms::parity
