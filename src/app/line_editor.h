#pragma once
/// Lines that a person types at a terminal, edited by libedit.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace lmms::app {

/// What may stand in place of the end of a line, from byte `begin` on.
struct Completions {
  size_t begin = 0;
  std::vector<std::string> texts;  ///< each whole, as it is typed
};

class LineEditor {
 public:
  /// `complete` is asked at Tab, with the line up to the cursor.
  explicit LineEditor(std::function<Completions(std::string_view before)> complete);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  /// What came of a prompt.
  struct Line {
    enum class Kind {
      text,
      cleared,  ///< by Ctrl-C: something stood there
      refused,  ///< by Ctrl-C: nothing stood there
      end       ///< by Ctrl-D, or the terminal is gone
    };
    Kind kind = Kind::text;
    std::string text;  ///< UTF-8; has line breaks where what was pasted had
  };
  /// Waits for a line. SIGTERM and SIGHUP do what they did before, once the terminal is as it was.
  Line read(const std::string& prompt);

  /// Puts a line behind those that Up goes back through.
  void remember(const std::string& line);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lmms::app
