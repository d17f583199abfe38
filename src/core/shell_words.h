#pragma once
/// Lines that a person types, taken apart as a shell does: paths that were pasted, or dragged into
/// the terminal, come quoted.
#include <string>
#include <string_view>
#include <vector>

namespace lmms {

/// A word of a line, from `begin` to before `end`, and the text that it stands for.
struct ShellWord {
  size_t begin = 0, end = 0;
  std::string text;
  bool open = false;  ///< a quote or an escape in it does not end
};

/// The words of a line: blanks part them; '...' and "..." hold what is between them; a backslash
/// takes the next character as it is, between double quotes before " and \ alone. Nothing else is
/// special. The last word may be open.
std::vector<ShellWord> shell_words(std::string_view line);

/// `text` as one word that a shell and shell_words read as it is: with a backslash before every
/// character that is special.
std::string shell_escaped(std::string_view text);

}  // namespace lmms
