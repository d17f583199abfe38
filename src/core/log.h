#pragma once
/// Lines for the user on stderr: notices and warnings that are said once and kept for the report.
#include <functional>
#include <string>

namespace lmms::log {

enum class Level { info, notice, warning };

/// Prints one line. A progress bar that owns the terminal's last line is cleared first and drawn
/// again after it.
void write(Level level, const std::string& text);
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

/// Called with each line that is written, in any thread, after it was printed; it must not write
/// lines itself. An empty function removes it.
void set_listener(std::function<void(Level level, const std::string& text)> listener);

/// Called around each line; the progress bar uses it to step aside. Empty functions remove it.
void set_line_hooks(std::function<void()> before, std::function<void()> after);

}  // namespace lmms::log
