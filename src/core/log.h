#pragma once
/// Lines for the user on stderr: notices and warnings that are said once and kept for the report.
#include <functional>
#include <string>

namespace lmms::log {

enum class Level { info, notice, warning };

/// Prints one line. A progress bar that owns the terminal's last line is cleared first and drawn
/// again after it.
void write(Level level, const std::string& text);
/// The same for what is to be seen even where lines of its level are not (show_from): the answer to
/// a signal, the last line of a command.
void write_always(Level level, const std::string& text);
inline void info(const std::string& text) {
  write(Level::info, text);
}
/// Something chosen or left out that the user may want to know.
inline void notice(const std::string& text) {
  write(Level::notice, text);
}
inline void warning(const std::string& text) {
  write(Level::warning, text);
}
/// As warning, but a text is printed once in the life of the process.
void warn_once(const std::string& text);

/// What stands before the text of a line: "", "notice: ", "warning: ".
const char* prefix(Level level);

/// Lines below `least` are not printed from here on (`--quiet`); listeners hear them all the same.
void show_from(Level least);
/// Whether lines of this level are printed.
bool shows(Level level);

/// Hears every line that is written while it lives, in whatever thread, after it was printed.
/// `hear` must not write lines itself.
class Listener {
 public:
  using Hear = std::function<void(Level level, const std::string& text)>;
  explicit Listener(Hear hear);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  void hear(Level level, const std::string& text) const { hear_(level, text); }

 private:
  Hear hear_;
};

/// Called for each line in place of printing it, with what prints it: the progress bar steps aside
/// around that. An empty function removes it.
void set_line_guard(std::function<void(const std::function<void()>& print)> guard);

}  // namespace lmms::log
