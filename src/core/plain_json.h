#pragma once
/// JSON as Python's json module writes and reads it, which is more than RFC 8259 has.
#include <string>
#include <string_view>

namespace lmms {

/// `text` for a parser of plain JSON with 64-bit numbers: no byte order mark; an integer beyond 64
/// bits becomes a floating-point number; NaN, Infinity, -Infinity and numbers beyond a double
/// become strings ("not a finite number: NaN"), which no reader takes for a number. What is no JSON
/// stays none.
std::string plain_json(std::string_view text);

/// The other way: `text` of a value that was read so, with those strings as Python has them.
std::string python_json(std::string_view text);

/// `text` without the mark that some editors put in front of UTF-8.
std::string_view without_byte_order_mark(std::string_view text);

}  // namespace lmms
