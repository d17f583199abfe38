#pragma once
/// Rules between fields, beyond what each field alone says.
#include <initializer_list>
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

/// Adds a fault of several keys at the first of them, unless one of them has a fault already: its
/// value is then a default or nonsense, and what follows from it would only confuse.
class Checker {
 public:
  Checker(const Places& places, config::Faults& faults) : places_(places), faults_(faults) {}
  bool given(const std::string& key) const { return places_.given(key); }
  /// " (train.yaml:3:5)" of a key that was given.
  std::string place_of(const std::string& key) const;
  void fault(std::initializer_list<std::string> keys, const std::string& what) const;
  /// Of a value that is known and not built.
  void not_built(const std::string& key, const std::string& value, const std::string& what) const;

 private:
  const Places& places_;
  config::Faults& faults_;
};

/// Adds a fault for every combination that cannot work.
void validate(const TrainConfig& config, const Places& places, const Registries& registries,
              config::Faults& faults);
/// Its part about the best evaluation (config_best.cpp).
void check_best_model(const TrainConfig& config, const Registries& registries,
                      const Checker& check);

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
