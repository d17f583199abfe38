#include "app/chat_history.h"

#include <algorithm>
#include <string_view>

#include "core/error.h"
#include "core/files.h"
#include "core/format.h"
#include "core/log.h"

namespace lmms::app {
namespace {

namespace fs = std::filesystem;
constexpr size_t kMostLines = 1000;
constexpr size_t kLongestLine = 16 << 10;  // bytes; what is longer was pasted, and is not kept

// A line of the file: what was pasted may have line breaks.
std::string escaped(const std::string& line) {
  std::string out;
  for (const char c : line) {
    if (c == '\\' || c == '\n') out += '\\';
    out += c == '\n' ? 'n' : c;
  }
  return out;
}

std::string unescaped(std::string_view line) {
  std::string out;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\' || i + 1 == line.size()) {
      out += line[i];
    } else {
      ++i;
      out += line[i] == 'n' ? '\n' : line[i];
    }
  }
  return out;
}

// For its owner alone, as the base directory specification has it.
void make_folder(const fs::path& folder) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return;
  fs::create_directories(folder, error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
}

}  // namespace

std::vector<std::string> ChatHistory::lines() const {
  std::vector<std::string> out;
  const auto text = read_file(file_);
  if (!text) return out;
  for (size_t begin = 0; begin < text->size();) {
    const size_t end = std::min(text->find('\n', begin), text->size());
    out.push_back(unescaped(std::string_view(*text).substr(begin, end - begin)));
    begin = end + 1;
  }
  if (out.size() > kMostLines) out.erase(out.begin(), out.end() - kMostLines);
  return out;
}

void ChatHistory::add(const std::string& line) {
  std::error_code error;
  const fs::file_status there = fs::status(file_, error);
  // one that was made a link to /dev/null stays it
  const bool no_file = fs::exists(there) && !fs::is_regular_file(there);
  if (file_.empty() || failed_ || no_file || line.size() > kLongestLine) return;
  std::vector<std::string> all = lines();
  if (!all.empty() && all.back() == line) return;
  all.push_back(line);
  if (all.size() > kMostLines) all.erase(all.begin(), all.end() - kMostLines);
  std::string text;
  for (const std::string& one : all) text += escaped(one) + "\n";
  try {
    make_folder(file_.parent_path());
    const fs::path behind_links = fs::is_symlink(file_, error) ? fs::canonical(file_) : file_;
    write_atomically(behind_links, text, Readers::owner);
  } catch (const std::exception& e) {
    failed_ = true;
    const Error* ours = dynamic_cast<const Error*>(&e);
    log::warning(fmt::format("{}: {}; what is typed here is not kept for the next talk",
                             file_.string(), ours != nullptr ? ours->fault().what : e.what()));
  }
}

}  // namespace lmms::app
