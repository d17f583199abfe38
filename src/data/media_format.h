#pragma once
/// How a family takes images and videos: which grid, which pads stand for them in the text, which
/// values its tower reads, and where their tokens stand.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/media_kinds.h"
#include "core/patch_grid.h"
#include "data/conversation.h"
#include "media/source.h"
#include "media/video_patches.h"
#include "text/chat_template.h"

namespace lmms::data {

/// An image or video of a record: opened and measured, not decoded.
struct Medium {
  Part::Kind kind = Part::Kind::image;
  std::string name;  ///< in messages
  media::SourceBytes source;
  PatchGrid grid{};
  std::optional<ViewLayout> layout{};  ///< where the family needs it
  std::vector<text::PadRun> pads{};    ///< what stands for it in the text
  media::FrameChoice frames{};         ///< of a video
  media::ClipPlan clip{};              ///< of a video
  media::Extent size{};                ///< of the file as it is shown, in pixels; 0 x 0: not known
};

/// A frame, tile or whole image as the tower sees it.
struct TowerView {
  media::Image picture;
  int64_t rows = 0, columns = 0;  ///< of the cells that become a token each; 0: none do
  std::string label;              ///< what it is among several: its time, its place
};

/// An image or video and what the tower sees of it, for people to look at.
struct MediumView {
  Medium medium;
  std::vector<TowerView> views;
};

/// What is known of a record when one of its media is opened.
struct MediaContext {
  std::string data_folder;
  int images = 0, videos = 0;  ///< of the whole record
};

/// Pure and thread-safe. Faults have the medium's name in `where`.
class MediaFormat {
 public:
  virtual ~MediaFormat() = default;

  /// Of what it makes of them, the name of the part in samples and batches.
  virtual std::string_view kind() const { return kVision; }
  /// Reads what the header of the file says.
  virtual Result<Medium> open(const Part& part, const MediaContext& context) const = 0;
  /// Values of a patch.
  virtual int64_t patch_values() const = 0;
  /// Decodes, and writes [grid.patches(), patch_values()].
  virtual std::optional<Fault> write(const Medium& medium, std::span<float> out) const = 0;
  /// Decodes alone: what `write` would find wrong.
  virtual std::optional<Fault> check_pixels(const Medium& medium) const = 0;

  /// For people to look at: the pixels behind the values of `write`.
  virtual std::vector<TowerView> tower_views(const Medium& medium,
                                             std::span<const float> values) const {
    (void)medium, (void)values;
    return {};
  }

  /// Whether a token of a text stands for a feature of an image or video.
  virtual bool is_pad(int32_t id) const = 0;
  /// [3, n] positions of a sample's tokens on three axes; empty: 0, 1, 2, ... Throws Error (`where`
  /// names the sample) if pads and media do not fit each other.
  virtual std::vector<int32_t> positions(std::span<const int32_t> ids,
                                         std::span<const Medium> media,
                                         const std::string& where) const = 0;
};

}  // namespace lmms::data
