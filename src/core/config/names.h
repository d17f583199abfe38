#pragma once
/// A name that a config may give, known to the Python project or to us; the `.def` lists are made
/// of them.
#include <string_view>

namespace lmms::config {

enum class Built { built, later };

struct Name {
  std::string_view name;
  Built built = Built::built;  ///< later: known, but the program stops with "not built yet"
  std::string_view help = "";
};

/// The spelling of an enumerator; `enum_names(E)` beside an enum lists all.
template <class E>
struct EnumName {
  E value;
  std::string_view name;
};

}  // namespace lmms::config
