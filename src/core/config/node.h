#pragma once
/// A YAML document as a tree that remembers where every key and value stands.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/position.h"
#include "core/config/value.h"

namespace lmms::config {

struct Entry;

struct Node {
  enum class Kind : uint8_t { null, scalar, list, map };
  Kind kind = Kind::null;
  bool quoted = false;         ///< a scalar that is text whatever it looks like
  std::string text;            ///< of a scalar
  std::vector<Node> items;     ///< of a list
  std::vector<Entry> entries;  ///< of a map, in the order of the file, keys unique
  Position at;

  static Node scalar(std::string text, bool quoted = false);
  /// The entry under `key` of a map; null if there is none or this is no map.
  Entry* find(std::string_view key);
  const Entry* find(std::string_view key) const;
  /// Nodes of the tree, this one included.
  size_t count() const;
};

struct Entry {
  std::string key;
  Position at;  ///< of the key
  Node value;
};

/// For messages: "'fast'", "a list", "a map", "nothing (null)".
std::string describe(const Node& node);

/// What a scalar means by the rules of YAML 1.1 as PyYAML has them (yes, no, on, off, 0x10, 1_000,
/// ~), with two repairs: `1e-4` is a number, and 010 and 1:30 are text instead of 8 and 90.
bool is_null(const Node& node);
/// These three look at the text alone, so that "32000" in quotes is a number where a number is
/// wanted. They return false and leave `value` if the text is something else. read_integer also
/// takes a number without fraction (1e3) that fits.
bool read_boolean(const Node& node, bool& value);
bool read_integer(const Node& node, int64_t& value);
bool read_number(const Node& node, double& value);

/// The free form of a tree: quoted scalars are strings, plain ones what they look like.
Value to_value(const Node& node);
Node to_node(const Value& value);
/// Scalars as the writer spells them: numbers so that PyYAML reads numbers (1.0e-05), shortest that
/// reads back the same bits.
Node to_node(bool value);
Node to_node(int64_t value);
Node to_node(double value);
Node to_node(const std::string& value);

}  // namespace lmms::config
