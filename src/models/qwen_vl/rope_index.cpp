#include "models/qwen_vl/rope_index.h"

#include <algorithm>

#include "core/error.h"
#include "core/format.h"

namespace lmms::models::qwen_vl {
namespace {

// A grid from a damaged file must not overflow what it is multiplied into.
constexpr int64_t kLongest = int64_t{1} << 20;

void check(const RopeMedia& m, int64_t merge, const std::string& where) {
  const PatchGrid& g = m.grid;
  const bool sane = g.t > 0 && g.h > 0 && g.w > 0 && g.t < kLongest && g.h < kLongest &&
                    g.w < kLongest && g.h % merge == 0 && g.w % merge == 0 &&
                    m.seconds_per_grid >= 0 && m.seconds_per_grid < 1e6;
  if (sane) return;
  throw Error(where, fmt::format("an image or video of {} x {} x {} patches, {} s a step, makes no "
                                 "grid of {} x {} blocks",
                                 g.t, g.h, g.w, m.seconds_per_grid, merge, merge));
}

}  // namespace

RopePositions rope_index(std::span<const int32_t> ids, std::span<const RopeMedia> media,
                         const RopeIndexConfig& config, const std::string& where) {
  RopePositions out;
  for (auto& axis : out) axis.reserve(ids.size());
  int64_t next = 0;    // position
  size_t used = 0;     // media
  int64_t frames = 0;  // of the last medium, still to come
  const auto add = [&](int64_t t, int64_t h, int64_t w) {
    out[0].push_back(static_cast<int32_t>(next + t));
    out[1].push_back(static_cast<int32_t>(next + h));
    out[2].push_back(static_cast<int32_t>(next + w));
  };
  for (size_t i = 0; i < ids.size();) {
    const bool video = ids[i] == config.video_token_id;
    if (!video && ids[i] != config.image_token_id) {
      add(0, 0, 0);
      ++next;
      ++i;
      continue;
    }
    const char* kind = video ? "video" : "image";
    const bool goes_on = frames > 0 && video;
    if (!goes_on && (frames > 0 || used == media.size() || media[used].video != video)) {
      throw Error(where, fmt::format("token {} is the pad of {} {}, and {}", i, kind, used + 1,
                                     frames > 0             ? "a video before it has more frames"
                                     : used == media.size() ? "the sample has no more media"
                                     : video                ? "that is an image"
                                                            : "that is a video"));
    }
    const RopeMedia& m = media[goes_on ? used - 1 : used++];
    check(m, config.merge, where);
    const bool apart = video && config.frames_apart;
    if (apart) frames = (goes_on ? frames : m.grid.t) - 1;
    const int64_t steps = apart ? 1 : m.grid.t;
    const int64_t h = m.grid.h / config.merge, w = m.grid.w / config.merge;
    const int64_t count = steps * h * w;
    const auto rest = ids.subspan(i);
    const auto pads =
        std::find_if(rest.begin(), rest.end(), [&](int32_t id) { return id != ids[i]; }) -
        rest.begin();
    if (pads < count) {
      throw Error(where,
                  fmt::format("{} {} makes {} tokens, and {} pad tokens stand for it from token {}",
                              kind, used, count, pads, i));
    }
    const int64_t step =
        video ? config.tokens_per_second * static_cast<int64_t>(m.seconds_per_grid) : 1;
    for (int64_t t = 0; t < steps; ++t) {
      for (int64_t y = 0; y < h; ++y) {
        for (int64_t x = 0; x < w; ++x) add(t * step, y, x);
      }
    }
    next += std::max(h, w);
    i += static_cast<size_t>(count);
  }
  if (frames > 0) {
    throw Error(where,
                fmt::format("video {} has {} frames more than runs of pad tokens", used, frames));
  }
  if (used != media.size()) {
    throw Error(where, fmt::format("{} images and videos, and pad tokens for {} of them",
                                   media.size(), used));
  }
  return out;
}

int32_t next_position(const RopePositions& positions) {
  int32_t highest = -1;
  for (const auto& axis : positions) {
    if (!axis.empty()) highest = std::max(highest, *std::max_element(axis.begin(), axis.end()));
  }
  return highest + 1;
}

}  // namespace lmms::models::qwen_vl
