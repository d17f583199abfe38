#pragma once
/// Images, videos and audio that stand in columns of a record, and the tags of a text that take
/// them in order.
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/conversation.h"
#include "data/record.h"

namespace lmms::data {

class MediaColumns {
 public:
  /// A column that is there and holds nothing has zero files. A fault if two columns of a kind
  /// (`images` and `image`) hold different ones.
  static Result<MediaColumns> create(const Json& fields);

  /// The next source of a kind; null if its column has none left.
  nlohmann::json next(Part::Kind kind);

  /// A text as parts: cut at its tags, with the media that these take where they stand. A tag of a
  /// kind without a column is text like any other, and remembered.
  Result<std::vector<Part>> split(const std::string& text, const std::string& path);

  /// Parts that name their source go without the column.
  void pass(Part::Kind kind);

  /// A fault if a column has more than the conversation takes.
  std::optional<Fault> left_over() const;

  /// A tag that was left in a text: the first that looks like a placeholder, else the first.
  std::optional<UnfiledTag> unfiled_tag(const Json& fields) const;

 private:
  void remember_tags(const std::string& text, const std::string& path);
  struct Column {
    Part::Kind kind;
    std::array<const char*, 2> keys;
    std::string_view tag;
    const char* key = nullptr;  ///< the one that is there
    std::vector<nlohmann::json> sources{};
    size_t used = 0;
    bool passed = false;
  };
  std::array<Column, 3> columns_ = {{{Part::Kind::image, {"images", "image"}, "<image>"},
                                     {Part::Kind::video, {"videos", "video"}, "<video>"},
                                     {Part::Kind::audio, {"audios", "audio"}, "<audio>"}}};
  std::optional<UnfiledTag> unfiled_;
  Part::Kind unfiled_kind_ = Part::Kind::text;
};

}  // namespace lmms::data
