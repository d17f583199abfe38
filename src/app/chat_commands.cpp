#include "app/chat_commands.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

#include "core/error.h"
#include "core/format.h"
#include "core/home.h"
#include "core/nearest.h"
#include "core/shell_words.h"

namespace lmms::app {
namespace {

namespace fs = std::filesystem;
using Kind = ChatLine::Kind;

struct Command {
  const char* name;
  Kind kind;
  const char* argument;
  const char* help;  ///< empty: another name of one that is listed
};
constexpr std::array kCommands{
    Command{"/image", Kind::image, "FILE...", "show it images: your next message is about them"},
    Command{"/video", Kind::video, "FILE...", "show it videos"},
    Command{"/again", Kind::again, "", "answer your last message anew, with other draws"},
    Command{"/reset", Kind::reset, "", "begin a new conversation"},
    Command{"/system", Kind::system, "TEXT", "begin a new one with this system turn"},
    Command{"/help", Kind::help, "", "this list"},
    Command{"/quit", Kind::quit, "", "leave; so do /exit and Ctrl-D"},
    Command{"/exit", Kind::quit, "", ""}};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

/// The command that a word is a slip of: as long, give or take a letter.
std::optional<std::string> nearest_command(std::string_view word) {
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    const std::string_view name = command.name;
    if (word.size() <= name.size() + 1 && name.size() <= word.size() + 1) names.emplace_back(name);
  }
  return nearest_name(word, names);
}

// The entries of a folder that may go on what was typed; folders end in /.
std::vector<std::string> entries(const std::string& typed, const std::string& home) {
  std::vector<std::string> out;
  const size_t slash = typed.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : typed.substr(0, slash + 1);
  const std::string beginning = typed.substr(folder.size());
  const auto there = expand_home(folder, home);
  std::error_code error;
  if (!there) return out;
  for (const auto& entry : fs::directory_iterator(there->empty() ? "." : *there, error)) {
    const std::string name = entry.path().filename().string();
    const bool hidden = name.starts_with('.') && !beginning.starts_with('.');
    if (hidden || !name.starts_with(beginning)) continue;
    std::error_code gone;
    out.push_back(shell_escaped(folder + name) + (entry.is_directory(gone) ? "/" : ""));
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

ChatLine read_chat_line(const std::string& line) {
  const std::string_view all = trimmed(line);
  if (all.empty()) return {Kind::nothing, ""};
  const std::string_view word = all.substr(0, all.find_first_of(" \t\r\n"));
  const std::string rest(trimmed(all.substr(word.size())));
  for (const Command& command : kCommands)
    if (word == command.name) return {command.kind, rest};
  // one / alone begins a command, /usr/bin a path
  if (!word.starts_with('/') || word.find('/', 1) != word.npos) return {Kind::text, line};
  const auto near = nearest_command(word);
  if (near) return {Kind::unknown, fmt::format("{} is no command; did you mean {}?", word, *near)};
  if (rest.empty()) return {Kind::unknown, fmt::format("{} is no command", word)};
  return {Kind::text, line};
}

std::string chat_help() {
  std::string out;
  for (const Command& command : kCommands) {
    if (*command.help == '\0') continue;
    out += fmt::format("  {:<16}{}\n", fmt::format("{} {}", command.name, command.argument),
                       command.help);
  }
  return out;
}

std::vector<std::string> paths_of(const std::string& rest, const std::string& home) {
  const auto expanded = [&](const std::string& path) { return expand_home(path, home).take(); };
  const std::string whole = expanded(rest);
  std::error_code ignored;
  if (fs::exists(whole, ignored)) return {whole};
  std::vector<std::string> out;
  for (const ShellWord& word : shell_words(rest)) {
    if (word.open) {
      throw Error(
          rest.substr(word.begin), "the quote does not end",
          "end it, or put a backslash before the quote or the blank that is part of the name");
    }
    out.push_back(expanded(word.text));
  }
  return out;
}

Completions complete_chat_line(std::string_view before, const std::string& home) {
  Completions out;
  if (!before.starts_with('/')) return out;
  const size_t blank = before.find(' ');
  if (blank == std::string_view::npos) {
    for (const Command& command : kCommands) {
      const std::string_view name = command.name;
      if (!name.starts_with(before)) continue;
      out.texts.push_back(std::string(name) + (*command.argument == '\0' ? "" : " "));
    }
    return out;
  }
  const Kind kind = read_chat_line(std::string(before)).kind;
  if (kind != Kind::image && kind != Kind::video) return out;
  const std::vector<ShellWord> words = shell_words(before);
  const bool begins_anew = words.size() == 1 || words.back().end < before.size();
  out.begin = begins_anew ? before.size() : words.back().begin;
  out.texts = entries(begins_anew ? "" : words.back().text, home);
  return out;
}

}  // namespace lmms::app
