#pragma once
/// Python's str, on valid UTF-8: lengths and places count code points.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lmms::text::jinja {

/// As str.isspace and str.strip see it.
bool is_space(char32_t c);

bool is_ascii(std::string_view text);
int64_t length(std::string_view text);
/// The byte where code point `index` begins; the size behind the last.
size_t byte_of(std::string_view text, int64_t index);

enum class Side : uint8_t { left = 1, right = 2, both = 3 };
/// Without white space at its ends, or without the characters of `chars`.
std::string_view strip(std::string_view text, Side side,
                       std::optional<std::string_view> chars = std::nullopt);

/// str.split and rsplit: at white space if there is no separator, which must not be empty; at most
/// `limit` times if that is not negative.
std::vector<std::string_view> split(std::string_view text,
                                    std::optional<std::string_view> separator, int64_t limit);
std::vector<std::string_view> rsplit(std::string_view text,
                                     std::optional<std::string_view> separator, int64_t limit);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);
/// At most `limit` times if that is not negative.
std::string replace(std::string_view text, std::string_view from, std::string_view to,
                    int64_t limit);

std::string lower(std::string_view text);
std::string upper(std::string_view text);
std::string capitalize(std::string_view text);
/// str.title: every run of letters.
std::string title_words(std::string_view text);
/// The filter `title`, which begins words behind white space, '-', '(', '{', '[' and '<' alone.
std::string title(std::string_view text);

/// str.isalpha and its like: whether there is a character, and all are such.
enum class CharClass : uint8_t { alpha, digit, alnum, space, lower, upper };
bool is_all(std::string_view text, CharClass wanted);

}  // namespace lmms::text::jinja
