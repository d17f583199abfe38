#pragma once
/// Media by kind: a kind is what one tower takes (images and videos together are one). Whatever
/// holds media holds a list of parts, so that another kind is another name and no other struct.
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/patch_grid.h"

namespace lmms {

/// Images and videos.
inline constexpr char kVision[] = "vision";

/// At most one Part (a struct with a `kind`) for each kind, in ascending order of the kinds'
/// names: the same on every rank.
template <class Part>
class MediaList {
 public:
  MediaList() = default;
  MediaList(std::initializer_list<Part> parts) {
    for (const Part& part : parts) (*this)[part.kind] = part;
  }

  /// Null if there is none of the kind.
  const Part* find(std::string_view kind) const {
    const auto at = place(parts_, kind);
    return at != parts_.end() && at->kind == kind ? &*at : nullptr;
  }
  /// That of the kind; an empty one if there is none.
  const Part& of(std::string_view kind) const {
    static const Part none{};
    const Part* part = find(kind);
    return part ? *part : none;
  }
  /// That of the kind, which is added if there is none.
  Part& operator[](std::string_view kind) {
    auto at = place(parts_, kind);
    if (at == parts_.end() || at->kind != kind) {
      at = parts_.insert(at, Part{});
      at->kind = std::string(kind);
    }
    return *at;
  }

  auto begin() const { return parts_.begin(); }
  auto end() const { return parts_.end(); }
  auto begin() { return parts_.begin(); }
  auto end() { return parts_.end(); }
  bool empty() const { return parts_.empty(); }
  size_t size() const { return parts_.size(); }

  bool operator==(const MediaList&) const = default;

 private:
  template <class Parts>
  static auto place(Parts& parts, std::string_view kind) {
    return std::lower_bound(
        parts.begin(), parts.end(), kind,
        [](const Part& part, std::string_view name) { return part.kind < name; });
  }
  std::vector<Part> parts_;
};

/// Sizes of the media of one kind, in the order of their tokens. A medium that is a line (sound) is
/// a frame of n x 1 patches: {1, n, 1}.
struct MediaGrids {
  std::string kind;
  std::vector<PatchGrid> grids;

  bool operator==(const MediaGrids&) const = default;
};

/// How many patches of one kind.
struct MediaCount {
  std::string kind;
  int64_t patches = 0;

  bool operator==(const MediaCount&) const = default;
};
using MediaCounts = MediaList<MediaCount>;

}  // namespace lmms
