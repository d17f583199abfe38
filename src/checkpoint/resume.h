#pragma once
/// What a run needs to go on bit for bit and the HF files don't hold: each component of the trainer
/// registers its state once, and this writes and reads all of it under `resume/`:
/// `<component>.safetensors` for tensors, `state.json` for values.
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/safetensors.h"

namespace lmms::checkpoint {

/// One tensor of a component: under its hub name, in hub shape.
struct TensorSlot {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  /// Hands all bytes over, in order.
  std::function<void(const ByteSink&)> save;
  /// Takes all bytes back; they lie in a mapped file and may be unaligned.
  std::function<void(std::span<const std::byte>)> load;
};

/// State that no longer refers to the running trainer; a background writer may write it while
/// training goes on.
class ResumeSnapshot {
 public:
  /// Writes into `folder`, which exists; returns the sums of the files. Throws Error.
  FileSums write(const std::filesystem::path& folder) const;

 private:
  friend class ResumeState;
  std::map<std::string, std::vector<TensorSource>> tensors_;
  nlohmann::json values_ = nlohmann::json::object();
};

class ResumeState {
 public:
  /// Registers tensors; names are unique within the component. `component` becomes a file name:
  /// letters, digits, '_', '-'.
  void add_tensors(std::string component, std::vector<TensorSlot> slots);
  /// Registers a value. Integers of 64 bits and doubles survive exactly; NaN and infinity do not:
  /// encode them. `load` may throw Error for a value that it cannot use.
  void add_value(std::string component, std::function<nlohmann::json()> save,
                 std::function<void(const nlohmann::json&)> load);

  /// Writes straight from the components into `folder`, which exists; returns the sums of the
  /// files. Throws Error.
  FileSums save(const std::filesystem::path& folder) const;
  /// Copies everything into memory now, to be written later.
  ResumeSnapshot snapshot() const;
  /// Checks that the folder holds exactly what is registered (names, types, shapes), then loads all
  /// of it. Throws Error that lists what is missing, too much or different, before anything was
  /// loaded.
  void load(const std::filesystem::path& folder) const;

 private:
  struct Value {
    std::function<nlohmann::json()> save;
    std::function<void(const nlohmann::json&)> load;
  };
  ResumeSnapshot view() const;
  void check_new(const std::string& component) const;
  std::map<std::string, std::vector<TensorSlot>> tensors_;
  std::map<std::string, Value> values_;
};

}  // namespace lmms::checkpoint
