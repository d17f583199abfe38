#pragma once
/// Rules between fields, beyond what each field alone says.
#include <map>
#include <string>

#include "core/config/faults.h"
#include "core/config/schema.h"
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

/// Which keys were given with a value.
class Given {
 public:
  explicit Given(const config::Record& record) : record_(record) {}
  bool has(const std::string& key) const {
    return record_.given_at.count(key) != 0 && record_.left.count(key) == 0;
  }

 private:
  const config::Record& record_;
};

/// A key that changes nothing beside the others, and why.
struct IdleKey {
  std::string key, why;
};
/// Every key that was written and has no effect in this config.
std::vector<IdleKey> idle_keys(const TrainConfig& config, const Given& given,
                               const Registries& registries);
/// "without effect: KEY, KEY (why); KEY (why)".
std::string idle_notice(const std::vector<IdleKey>& idle);

/// What the user may want to know though nothing is wrong, a sentence each.
std::vector<std::string> advice(const TrainConfig& config, const Registries& registries);

}  // namespace lmms::train
