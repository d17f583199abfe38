#pragma once
/// Jinja templates of checkpoints, looked through for the marks of layouts that are known.
#include <string>
#include <string_view>

namespace lmms::text {

/// The source with its line breaks as themselves: in a string literal they may be written \n.
std::string with_breaks(std::string_view jinja);

}  // namespace lmms::text
