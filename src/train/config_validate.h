#pragma once
/// Rules between fields, beyond what each field alone says.
#include <map>
#include <string>

#include "core/config/faults.h"
#include "train/config.h"

namespace lmms::train {

/// Where the keys of a config stand; keys that were not given stand where their section does.
class Places {
 public:
  explicit Places(const std::map<std::string, config::Position>& given_at) : given_at_(given_at) {}
  bool given(const std::string& key) const { return given_at_.count(key) != 0; }
  config::Position of(const std::string& key) const;

 private:
  const std::map<std::string, config::Position>& given_at_;
};

/// Adds a fault for every combination that cannot work.
void validate(const TrainConfig& config, const Places& places, config::Faults& faults);

/// What the user may want to know though nothing is wrong, a sentence each.
std::vector<std::string> advice(const TrainConfig& config);

}  // namespace lmms::train
