#include "data/media_columns.h"

#include <algorithm>
#include <cctype>
#include <span>
#include <utility>

#include "core/format.h"

namespace lmms::data {
namespace {

bool names_nothing(const Json& source) {
  if (source.is_object()) {
    return !find_member(source, "bytes") && !find_member(source, "path") &&
           !find_member(source, "url");
  }
  return source.is_null() || (source.is_string() && source.get_ref<const std::string&>().empty());
}

std::string in_lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// How the names of columns and of files of a kind look.
struct Signs {
  std::span<const std::string_view> words, suffixes;
};

Signs signs_of(Part::Kind kind) {
  static constexpr std::string_view image_words[] = {"image", "img", "pic", "photo", "screenshot"},
                                    image_suffixes[] = {".png",  ".jpg", ".jpeg",
                                                        ".webp", ".gif", ".bmp"},
                                    video_words[] = {"video", "clip", "film", "movie"},
                                    video_suffixes[] = {".mp4", ".mov", ".webm", ".mkv", ".avi"},
                                    audio_words[] = {"audio", "sound", "speech"},
                                    audio_suffixes[] = {".wav", ".mp3", ".flac", ".ogg", ".m4a"};
  switch (kind) {
    case Part::Kind::image:
      return {image_words, image_suffixes};
    case Part::Kind::video:
      return {video_words, video_suffixes};
    case Part::Kind::audio:
      return {audio_words, audio_suffixes};
    case Part::Kind::text:
      break;
  }
  return {};
}

/// Whether a value may be a file of media, or several: with the name of one, or of any where
/// `named` says that the column is called so.
bool may_hold(const Json& value, const Signs& signs, bool named) {
  if (value.is_array()) return !value.empty() && may_hold(value[0], signs, named);
  if (value.is_object()) return find_member(value, "bytes") || find_member(value, "path");
  if (value.is_binary()) return true;
  if (!value.is_string() || value.get_ref<const std::string&>().empty()) return false;
  const std::string text = in_lower_case(value.get_ref<const std::string&>());
  return named || std::ranges::any_of(signs.suffixes, [&](std::string_view suffix) {
           return text.ends_with(suffix);
         });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

}  // namespace

Result<MediaColumns> MediaColumns::create(const Json& fields) {
  MediaColumns out;
  for (Column& column : out.columns_) {
    for (const char* key : column.keys) {
      const Json* value = find_member(fields, key);
      if (!value) continue;
      std::vector<nlohmann::json> sources;
      const auto put = [&](const Json& source) {
        if (!names_nothing(source)) sources.emplace_back(source);
      };
      if (value->is_array()) {
        std::ranges::for_each(*value, put);
      } else {
        put(*value);
      }
      if (!sources.empty() && !column.sources.empty() && sources != column.sources) {
        return Fault{key,
                     fmt::format("'{}' and '{}' both hold files, and other ones", column.key, key),
                     fmt::format("put all of them into '{}', in the order in which the chat takes "
                                 "them",
                                 column.keys[0])};
      }
      if (column.key && sources.empty()) continue;
      column.key = key;
      column.sources = std::move(sources);
    }
  }
  return out;
}

nlohmann::json MediaColumns::next(Part::Kind kind) {
  for (Column& column : columns_) {
    if (column.kind == kind && column.used < column.sources.size())
      return column.sources[column.used++];
  }
  return nullptr;
}

Result<std::vector<Part>> MediaColumns::split(const std::string& text, const std::string& path) {
  std::vector<Part> parts;
  const auto put_text = [&](size_t begin, size_t end) {
    if (begin == end) return;
    parts.push_back(Part::of_text(text.substr(begin, end - begin)));
    parts.back().in_text = parts.size() > 1;
  };
  size_t begin = 0;
  for (;;) {
    size_t at = std::string::npos;
    Column* next_column = nullptr;
    for (Column& column : columns_) {
      const size_t found = column.key ? text.find(column.tag, begin) : std::string::npos;
      if (found >= at) continue;
      at = found;
      next_column = &column;
    }
    if (!next_column) break;
    put_text(begin, at);
    nlohmann::json source = next(next_column->kind);
    if (source.is_null()) {
      return Fault{
          path,
          fmt::format("more {} tags than files in '{}', which holds {}", next_column->tag,
                      next_column->key, next_column->sources.size()),
          fmt::format("give '{}' a file for each tag, or take the tag out", next_column->key)};
    }
    parts.push_back({next_column->kind, "", std::move(source), nullptr, /*in_text=*/true});
    begin = at + next_column->tag.size();
  }
  put_text(begin, text.size());
  if (parts.empty()) parts.push_back(Part::of_text(""));
  remember_tags(text, path);
  return parts;
}

void MediaColumns::remember_tags(const std::string& text, const std::string& path) {
  const std::string_view inside = trimmed(text);
  for (const Column& column : columns_) {
    if (column.key || text.find(column.tag) == std::string::npos) continue;
    // an element of HTML or XML has its end
    const bool closed = text.find(fmt::format("</{}", column.tag.substr(1))) != std::string::npos;
    const bool placeholder =
        !closed && (inside.starts_with(column.tag) || inside.ends_with(column.tag));
    if (unfiled_ && (unfiled_->placeholder || !placeholder)) continue;
    unfiled_ = UnfiledTag{path, column.tag, column.keys[0], "", placeholder};
    unfiled_kind_ = column.kind;
  }
}

void MediaColumns::pass(Part::Kind kind) {
  for (Column& column : columns_) column.passed |= column.kind == kind;
}

std::optional<Fault> MediaColumns::left_over() const {
  for (const Column& column : columns_) {
    const bool unused = column.used == 0 && column.passed;
    if (column.used == column.sources.size() || unused) continue;
    return Fault{column.key,
                 fmt::format("{} files, but {} {} tags or parts in the conversation",
                             column.sources.size(), column.used, column.tag),
                 fmt::format("write {} where each file belongs, or take the file out", column.tag)};
  }
  return std::nullopt;
}

std::optional<UnfiledTag> MediaColumns::unfiled_tag(const Json& fields) const {
  std::optional<UnfiledTag> out = unfiled_;
  if (!out) return out;
  const Signs signs = signs_of(unfiled_kind_);
  for (const auto& [key, value] : fields.items()) {
    const std::string name = in_lower_case(key);
    const bool named = std::ranges::any_of(
        signs.words, [&](std::string_view word) { return name.find(word) != std::string::npos; });
    if (may_hold(value, signs, named)) {
      out->likely = key;
      break;
    }
  }
  return out;
}

}  // namespace lmms::data
