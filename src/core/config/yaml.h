#pragma once
/// YAML text to a tree and back.
#include <string>
#include <string_view>

#include "core/config/faults.h"
#include "core/config/node.h"

namespace lmms::config {

/// Parses one document. Aliases are expanded, merge keys (<<) applied. A syntax error, a doubled
/// key, a key that is no scalar, a tag that would construct an object, a second document, text that
/// is not UTF-8, or a document of more than 1 MiB or 100,000 nodes is a fault; what could be read
/// until then is returned. `at_word` > 0 says that the text is that word of the command line:
/// positions carry the word instead of lines.
Node parse_yaml(std::string_view text, const std::string& source, Faults& faults, int at_word = 0);

/// Block style, two spaces a level; maps and lists of maps without scalars of their own kind stay
/// readable to PyYAML.
std::string write_yaml(const Node& node);
/// One line, flow style: "[a, b]", "{a: 1}".
std::string write_flow(const Node& node);

}  // namespace lmms::config
