#pragma once
/// Where the weights of a unit may be read. Whoever moves weights (sharding gathers those of a unit
/// and gives them back) does so where its scope opens and closes, so no forward reads a weight
/// elsewhere: Param::value() throws outside a scope of the Param's unit. Backward opens a scope
/// only where it runs a unit, or a part of one, again (nn/run.h); its other nodes read the weights
/// that they saved in the forward.
#include <memory>
#include <string>
#include <string_view>

#include "nn/run_context.h"

namespace at {
struct RecordFunction;
}

namespace lmms::nn {

namespace detail {
/// A range of this name in a profile, while it lives; nothing where none is taken.
class ProfiledRange {
 public:
  explicit ProfiledRange(const std::string& name);
  ~ProfiledRange();
  ProfiledRange(const ProfiledRange&) = delete;
  ProfiledRange& operator=(const ProfiledRange&) = delete;

 private:
  std::unique_ptr<at::RecordFunction> range_;
};
}  // namespace detail

/// While it lives, this thread may read the weights of one unit. Scopes close in the reverse order
/// of their opening, as objects of a block do; one unit may be opened many times in a forward.
class Scope {
 public:
  Scope(std::string unit, const UnitRun& how);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  const std::string& unit() const { return unit_; }
  const UnitRun& how() const { return how_; }

  /// The scope that this thread opened last, or nullptr.
  static const Scope* innermost();

 private:
  std::string unit_;
  UnitRun how_;
  detail::ProfiledRange range_;
  const Scope* outer_;  // the one before it on this thread

  friend bool is_open(std::string_view unit);
  friend std::string open_units();
};

/// Opens the weights of `unit` ("model.root", "model.layers.3") to the reads of a block.
[[nodiscard]] inline Scope scope(const RunContext& context, const std::string& unit) {
  return {unit, context.of(unit)};
}

/// Whether this thread may read the weights of `unit`.
bool is_open(std::string_view unit);
/// The open units of this thread, for error messages; the innermost first.
std::string open_units();

}  // namespace lmms::nn
