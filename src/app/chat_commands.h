#pragma once
/// What a line that begins with / asks of `lmms chat`.
#include <string>
#include <string_view>
#include <vector>

#include "app/line_editor.h"

namespace lmms::app {

/// A line of the chat: a command and what stands behind it, or a text for the model.
struct ChatLine {
  enum class Kind { nothing, text, help, quit, reset, system, image, video, again, unknown };
  Kind kind = Kind::text;
  /// The text; what stands behind a command, without blanks around it; of an unknown one what is
  /// wrong.
  std::string rest;
};

/// A line that begins with / and a word that is no command is a text, if more stands behind the
/// word and no command is called nearly so: "/usr/bin: what is in there?", but not "/imgae a.jpg".
ChatLine read_chat_line(const std::string& line);

/// The commands, a line each.
std::string chat_help();

/// The files behind /image and /video: the whole rest if it names a file as it stands, blanks
/// included; else its words as a shell reads them. `~` is the home folder. Throws Error for a quote
/// that does not end.
std::vector<std::string> paths_of(const std::string& rest, const std::string& home);

/// Commands, or paths behind /image and /video.
Completions complete_chat_line(std::string_view before, const std::string& home);

}  // namespace lmms::app
