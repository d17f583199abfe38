#pragma once
/// What a run shows of its model at every evaluation, beside the numbers of the evaluation set:
/// answers, samples. One mechanism for all of it; the loop knows none by name.
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/log.h"
#include "nn/run_context.h"
#include "step/network.h"

namespace lmms::train {

/// A moment of a run at which its model is shown.
struct Moment {
  step::Network& network;  ///< the main one
  c10::Device device;
  const nn::KernelSet& kernels;
  int64_t step = 0;
  /// Whether a signal came: asked often, by this rank alone.
  std::function<bool()> stop = [] { return false; };
};

/// What was shown.
struct Shown {
  /// Fields of the evaluation's row in metrics.jsonl.
  nlohmann::ordered_json metrics = nlohmann::ordered_json::object();
  /// For the journal: kind and content.
  std::vector<std::pair<const char*, nlohmann::json>> records = {};
  /// For the user, without the step.
  std::vector<std::pair<log::Level, std::string>> lines = {};

  /// A field of `metrics`, if it is there.
  std::optional<double> metric(const std::string& field) const;
};

/// Something that is shown.
class Exhibit {
 public:
  virtual ~Exhibit() = default;
  /// Nothing if moment.stop became true. What training reads is afterwards as it was, to the bit.
  /// May be called again after a c10::OutOfMemoryError; throws Error as reading data does.
  virtual std::optional<Shown> show(const Moment& moment) = 0;
};

using Exhibits = std::vector<std::unique_ptr<Exhibit>>;

}  // namespace lmms::train
