#pragma once
/// Text in styles that flows into the columns of a screen.
#include <string>
#include <string_view>
#include <vector>

namespace lmms::inspect::preview {

/// Breaks lines where the screen ends: at spaces, between wide characters, and inside a word only
/// if the word alone is wider than a line (then behind a `/` or the like, if there is one). No line
/// is wider than the screen, and no style runs over a line's end: pagers and wide backgrounds would
/// show it.
class Flow {
 public:
  /// `indent` begins every line.
  explicit Flow(int columns, std::string_view indent = "");

  /// Adds text that may hold line breaks and no other control character. `style`: the escape
  /// sequence that its style begins with, "" for none; it must outlive the flow.
  void add(std::string_view style, std::string_view text);
  /// Everything that was added, with a line break at its end; empty if that was nothing.
  std::string take();

 private:
  /// A character and what combines with it.
  struct Letter {
    std::string_view style;
    std::string text;
    int columns = 0;
  };
  void add_letter(std::string_view style, std::string_view text, char32_t c);
  void end_word();
  void put_broken();
  void put(const Letter& letter);
  void set_style(std::string_view style);
  void end_line();

  std::string indent_;
  int columns_;  // beside the indent
  std::string out_;
  std::string_view style_;             // that is open where out_ ends
  int column_ = 0;                     // of the last line, beside the indent
  bool begun_ = false;                 // the last line holds something
  std::vector<Letter> spaces_, word_;  // that wait for the word's end
};

}  // namespace lmms::inspect::preview
