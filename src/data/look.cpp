#include "data/look.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "core/format.h"
#include "data/conversation.h"
#include "data/head.h"

namespace lmms::data {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kRowsToLookAt = 64;
constexpr size_t kMediaToLookFor = 32;  // paths
constexpr size_t kFoldersToLookInto = 200;

constexpr const char* kWanted =
    "a row is a JSON object with messages (OpenAI), conversations (LLaVA), instruction and output "
    "(Alpaca), prompt and response, or text (plain)";

struct Layout {
  const char* key;
  std::string_view name;
};

// In the order in which conversation_of() looks.
constexpr Layout kLayouts[] = {{"messages", "OpenAI messages"},
                               {"conversations", "LLaVA conversations"},
                               {"instruction", "Alpaca instructions"},
                               {"prompt", "prompts and responses"}};
constexpr Layout kPlain = {"text", "plain text"};

// Columns of questions and answers under other names.
constexpr std::array<std::pair<const char*, const char*>, 7> kPairs = {{{"question", "answer"},
                                                                        {"query", "response"},
                                                                        {"query", "answer"},
                                                                        {"input", "output"},
                                                                        {"problem", "solution"},
                                                                        {"source", "target"},
                                                                        {"user", "assistant"}}};

const Layout* layout_of(const Json& fields) {
  for (const Layout& layout : kLayouts) {
    if (find_member(fields, layout.key) != nullptr) return &layout;
  }
  return find_member(fields, kPlain.key) != nullptr ? &kPlain : nullptr;
}

/// The fault of a row that has none of the keys.
Fault unknown_row(const Record& record) {
  std::string keys;
  size_t shown = 0;
  for (const auto& [key, value] : record.fields.items()) {
    if (++shown <= 12) keys += (keys.empty() ? "" : ", ") + key;
  }
  if (shown > 12) keys += ", ...";
  std::string fix = kWanted;
  for (const auto& [asks, answers] : kPairs) {
    if (find_member(record.fields, asks) == nullptr ||
        find_member(record.fields, answers) == nullptr)
      continue;
    fix = fmt::format(
        "call the columns prompt and response: jq -c "
        "'{{prompt: .{}, response: .{}}}' {} > chats.jsonl",
        asks, answers, record.origin.file ? *record.origin.file : "FILE");
    break;
  }
  return {record.origin.text(),
          fmt::format("no chat and no text: its keys are {}", keys.empty() ? "none" : keys), fix};
}

/// The name of a medium that is a relative path; empty for bytes, URLs and absolute paths.
std::string relative_path(const Part& part) {
  std::string path;
  if (part.source.is_string()) {
    path = part.source.get<std::string>();
  } else if (part.source.is_object()) {
    const auto bytes = part.source.find("bytes");
    const auto name = part.source.find("path");
    const bool held = bytes != part.source.end() && !bytes->is_null();
    if (!held && name != part.source.end() && name->is_string()) path = name->get<std::string>();
  }
  constexpr size_t kLongestPath = 4096;  // beyond it, base64
  if (path.empty() || path.size() > kLongestPath || path.front() == '/') return "";
  for (const char* scheme : {"data:", "http:", "https:", "file:"}) {
    if (path.starts_with(scheme)) return "";
  }
  return path;
}

/// Notes what a row holds, or why it cannot be trained.
std::optional<Fault> look_at(const Record& record, RowsLook& look) {
  const Layout* layout = layout_of(record.fields);
  if (layout == nullptr) return unknown_row(record);
  const bool plain = layout == &kPlain;
  if (look.layout.empty()) {
    look.layout = layout->name;
    look.form = plain ? RecordForm::plain_text : RecordForm::chats;
  } else if (plain != (look.form == RecordForm::plain_text)) {
    return Fault{record.origin.text(),
                 fmt::format("{} among rows of {}", layout->name, look.layout),
                 "chats and plain text are trained apart: give them files of their own"};
  }
  if (plain) {
    const auto text = plain_text_of(record);
    return text ? std::nullopt : std::optional(text.fault());
  }
  const auto conversation = conversation_of(record);
  if (!conversation) return conversation.fault();
  for (const Message& message : conversation->messages) {
    for (const Part& part : message.parts) {
      if (part.kind == Part::Kind::text) continue;
      look.form = RecordForm::media_chats;
      const std::string path = relative_path(part);
      if (!path.empty() && look.relative_media.size() < kMediaToLookFor)
        look.relative_media.push_back(path);
    }
  }
  return std::nullopt;
}

bool is_there(const fs::path& path) {
  std::error_code none;
  return fs::exists(path, none);
}

bool is_folder(const fs::path& path) {
  std::error_code none;
  return fs::is_directory(path, none);
}

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (out.size() >= kFoldersToLookInto) break;
    if (is_folder(at->path())) out.push_back(at->path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Result<Format> format_by_contents(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string head(4096, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  if (!in.is_open()) return Fault{file, "cannot be opened", ""};
  if (head.empty()) return Fault{file, "is empty", kWanted};
  if (head.starts_with("PAR1")) return Format::parquet;
  if (head.starts_with("ARROW1") || head.starts_with("\xff\xff\xff\xff")) return Format::arrow;
  for (const auto& [magic, tool] :
       {std::pair("\x1f\x8b", "gunzip"), std::pair("\x28\xb5\x2f\xfd", "unzstd"),
        std::pair("\xfd"
                  "7zXZ",
                  "unxz"),
        std::pair("PK\x03\x04", "unzip")}) {
    if (head.starts_with(magic))
      return Fault{file, "is compressed", fmt::format("unpack it first: {} {}", tool, file)};
  }
  if (infer_format(file) == Format::csv) return Format::csv;
  const size_t first = head.find_first_not_of(" \t\r\n", head.starts_with("\xef\xbb\xbf") ? 3 : 0);
  if (first != std::string::npos && head[first] == '[') return Format::json;
  if (first != std::string::npos && head[first] == '{') return Format::jsonl;
  const bool text = std::none_of(head.begin(), head.end(), [](char c) { return c == '\0'; });
  return Fault{
      file,
      text ? "is text, but neither JSON nor CSV" : "is none of json, jsonl, csv, arrow and parquet",
      text ? R"(write each text as a line of JSONL: {"text": "..."})" : kWanted};
}

Result<RowsLook> look_at_rows(const SourceConfig& source) {
  auto head = SourceHead::open(source);
  if (!head) return head.fault();
  RowsLook look;
  while (look.rows < kRowsToLookAt) {
    auto row = head->next();
    if (!row) break;
    ++look.rows;
    std::optional<Fault> fault = *row ? look_at(**row, look) : std::optional(row->fault());
    if (!fault) continue;
    if (look.broken++ == 0) look.first_broken = *std::move(fault);
  }
  if (look.rows == 0) return Fault{source.path, "holds no row", kWanted};
  if (2 * look.broken > look.rows) {
    Fault fault = look.first_broken;
    if (look.rows > 1)
      fault.what +=
          fmt::format(" (and {} of the first {} rows are not better)", look.broken, look.rows);
    return fault;
  }
  return look;
}

Result<std::string> find_media_folder(const std::string& data,
                                      std::span<const std::string> relative_media) {
  if (relative_media.empty()) return std::string();
  const fs::path beside = is_folder(data) ? fs::path(data) : fs::path(data).parent_path();
  const fs::path here = beside.empty() ? fs::path(".") : beside;
  std::vector<fs::path> folders{"", here};
  for (fs::path& folder : folders_in(here)) folders.push_back(std::move(folder));
  std::error_code none;
  const fs::path above = fs::weakly_canonical(here, none).parent_path();
  const auto beside_it = [&](const fs::path& name) {
    const std::string path = (here / ".." / name).lexically_normal().string();
    return path.size() > 1 && path.back() == '/' ? path.substr(0, path.size() - 1) : path;
  };
  folders.emplace_back(beside_it(""));
  for (const fs::path& folder : folders_in(above))
    folders.emplace_back(beside_it(folder.filename()));
  size_t most = 0;
  std::string best;
  for (const fs::path& folder : folders) {
    const auto found = static_cast<size_t>(
        std::count_if(relative_media.begin(), relative_media.end(),
                      [&](const std::string& path) { return is_there(folder / path); }));
    if (found <= most) continue;
    most = found;
    best = folder.string();
  }
  if (2 * most >= relative_media.size()) return best;
  return Fault{
      data,
      fmt::format("'{}' and its kin lie neither in the folder that the program runs in nor "
                  "near the data",
                  relative_media.front()),
      "say where images and videos are: --media FOLDER"};
}

}  // namespace lmms::data
