#pragma once
/// `key=value` words of a command line, laid over a config, as Hydra spelled them.
#include <span>
#include <string>

#include "core/config/faults.h"
#include "core/config/node.h"

namespace lmms::config {

/// One word.
struct Override {
  enum class Kind { set, remove };
  Kind kind = Kind::set;
  std::string key;  ///< dotted
  Node value;       ///< of set
  Position at;
};

/// Reads `a.b=v`, `+a.b=v`, `++a.b=v` (all set) or `~a.b` (back to the default). The value is YAML;
/// `{a:1,b:[x,y]}` without spaces is read as Hydra does, and an empty value is empty text. `word`
/// counts from 1 and orders the faults.
Override parse_override(const std::string& text, int word, Faults& faults);

/// Sets or removes. Maps on the way are made; a list on the way is a fault, because lists are
/// replaced whole.
void apply_override(Node& root, const Override& override, Faults& faults);

/// Lays `over` over `base`: maps merge key by key, everything else is replaced.
void merge(Node& base, Node over);

}  // namespace lmms::config
