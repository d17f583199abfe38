#pragma once
/// JSON files as people write them, for the reader of YAML.
#include <string>

namespace lmms::config {

/// The text of a JSON file with what YAML has no place for replaced by blanks: tabs, and comments
/// (`//`, `/* */`, as DeepSpeed's own reader takes them). Every other character stays where it is,
/// so that lines and columns are those of the file. Text that does not begin with `{` or `[` is
/// returned as it is.
std::string json_as_yaml(std::string text);

}  // namespace lmms::config
