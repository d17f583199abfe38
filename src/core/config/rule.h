#pragma once
/// What a field accepts beyond its type.
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/names.h"

namespace lmms::config {

/// Names that a list of a schema lacks, by what they are names of ("processor_type"): those of
/// plugins.
using MoreNames = std::map<std::string, std::vector<Name>, std::less<>>;

/// Built by chaining: `Rule().at_least(1).or_null()`.
class Rule {
 public:
  Rule at_least(double value) const;
  Rule more_than(double value) const;
  Rule at_most(double value) const;
  Rule less_than(double value) const;
  /// The text (or each element of the list) is one of these; a name marked `later` stops with "not
  /// built yet".
  Rule one_of(std::span<const Name> names) const;
  Rule one_of(std::initializer_list<std::string_view> names) const;
  /// Of all that the type accepts, only these are built, as YAML ("1", "false", "null").
  Rule only(std::initializer_list<std::string_view> built) const;
  /// The keys that a map of free form may have.
  Rule keys(std::initializer_list<std::string_view> keys) const;
  /// The names (or keys) that MoreNames has for this are accepted too.
  Rule extended_by(std::string_view kind) const;
  /// null leaves the default.
  Rule or_null() const;
  /// The key must be given.
  Rule required() const;
  /// A list may be spelled as its only element.
  Rule single_or_list() const;
  /// The text is a path: `~` and `~name` at its front are the home folder's.
  Rule path() const;
  /// A text that is no map names a JSON (or YAML) file that holds it.
  Rule or_file() const;
  /// Keys of a map of free form may begin with this, and mean the same.
  Rule optional_prefix(std::string_view prefix) const;

  /// The rule with what `more` adds to its names and keys; null: nothing.
  Rule with(const MoreNames* more) const;

  struct Bounds {
    double least = -std::numeric_limits<double>::infinity();
    double most = std::numeric_limits<double>::infinity();
    bool least_open = false;
    bool most_open = false;

    bool hold(double value) const;
    /// " > 0", " in [0, 1)"; empty without bounds.
    std::string text() const;
  };
  Bounds bounds;
  std::vector<Name> names;
  std::vector<std::string_view> built_only;
  std::vector<std::string_view> known_keys;
  std::string_view extension;  ///< of MoreNames; empty: the lists are all
  bool nullable = false;
  bool is_required = false;
  bool takes_single = false;
  bool is_path = false;
  bool takes_file = false;
  std::string_view prefix;
};

/// "a, b, c"
std::string listed(std::span<const Name> names);
std::string listed(std::span<const std::string_view> names);

}  // namespace lmms::config
