#pragma once
/// Reading the members of a section of a checkpoint's processor files, each of one type, with the
/// faults that all classes of transformers' processors share.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/error.h"
#include "data/processor_files.h"
#include "media/patches.h"
#include "media/resize.h"

namespace lmms::data {

/// Reads members of a JSON object that have a type, and remembers the first that has another. A
/// null has none: in transformers it goes before the value of the class, and then fails. A member
/// that is absent leaves the value as it is.
class ProcessorMembers {
 public:
  /// `object`: null is an object without members; it outlives this object. `where`: of it, in
  /// faults.
  ProcessorMembers(const nlohmann::json& object, std::string where)
      : object_(object), where_(std::move(where)) {}

  /// The member, which may be null; nullptr if it is absent.
  const nlohmann::json* find(const char* key) const;
  /// The member, unless it is null.
  const nlohmann::json* stated(const char* key) const;
  /// A whole number from 1 to 4096.
  void whole(const char* key, int& value);
  /// A whole number from 1 to 1e12.
  void whole(const char* key, int64_t& value);
  /// A number above 0.
  void real(const char* key, double& value);
  void flag(const char* key, bool& value);
  /// Three numbers.
  void colours(const char* key, std::array<double, 3>& values);
  /// What the mathematics here always, or never, does; absent is as `usual`.
  void fixed(const char* key, bool usual);
  /// `resample` as PIL numbers it.
  void filter(media::Filter& value);
  /// What all classes do with colours: mean, deviation, scale, filter.
  void read_colours(media::Normalisation& normalisation, media::Filter& filter);

  /// Remembers a fault of `key`, unless there is one already.
  void fail(const char* key, std::string what);
  const std::optional<Fault>& fault() const { return fault_; }

  /// The first 60 bytes of a value's text.
  static std::string shown(const nlohmann::json& value);

 private:
  /// A whole number from 1 to `most`; nothing if the member is absent or at fault.
  std::optional<double> whole_number(const char* key, double most);

  const nlohmann::json& object_;
  std::string where_;
  std::optional<Fault> fault_;
};

/// Keys of a section that its class does not read although their names promise it; empty if none:
/// "min_pixels, max_pixels".
std::string unread_limits(const ProcessorSection& section);

}  // namespace lmms::data
