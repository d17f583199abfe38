#include "data/vision_chat_processor.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/format.h"
#include "media/source.h"

namespace lmms::data {
namespace {

struct ImageFile {
  std::string bytes;
  PatchGrid grid;
};

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

/// The fault of an image, named by its source.
Fault about(const std::string& url, Fault fault) {
  if (fault.where.empty()) fault.where = url.size() > 120 ? url.substr(0, 117) + "..." : url;
  return fault;
}

Result<ImageFile> open_image(const Part& part, const std::string& data_folder,
                             const VisionChatOptions& options) {
  auto bytes = media::read_source(std::string_view(part.url), data_folder);
  if (!bytes) return about(part.url, bytes.fault());
  const auto info = media::probe(bytes_of(*bytes));
  if (!info) return about(part.url, info.fault());
  media::Extent size{info->height, info->width};
  if (options.decode.apply_exif && info->turned()) std::swap(size.height, size.width);
  const auto grid = media::patch_grid(size, options.patches);
  if (!grid) return about(part.url, grid.fault());
  return ImageFile{*std::move(bytes), *grid};
}

/// Query-key pairs of the tower's whole-frame attention: it and the text's are the cost of a row.
int64_t cost_of(const PatchGrid& grid) {
  return grid.t * grid.h * grid.w * grid.h * grid.w;
}

/// Reads members of a JSON object that have a type, and remembers the first that has another.
class Members {
 public:
  Members(const nlohmann::json& object, std::string where)
      : object_(object), where_(std::move(where)) {}
  void whole(const char* key, int& value) {
    number(key, 1, 1 << 20, [&](double v) { value = static_cast<int>(v); });
  }
  void whole(const char* key, int64_t& value) {
    number(key, 1, 1e12, [&](double v) { value = static_cast<int64_t>(v); });
  }
  void real(const char* key, double& value) {
    number(key, 0, 1e6, [&](double v) { value = v; });
  }
  void colours(const char* key, std::array<double, 3>& values) {
    const auto found = object_.find(key);
    if (found == object_.end() || found->is_null()) return;
    if (!found->is_array() || found->size() != 3 ||
        !std::all_of(found->begin(), found->end(), [](const auto& v) { return v.is_number(); })) {
      fail(key, "expected three numbers");
      return;
    }
    for (size_t c = 0; c < 3; ++c) values[c] = (*found)[c].get<double>();
  }
  /// True, or absent: what the mathematics here always does.
  void always(const char* key) {
    const auto found = object_.find(key);
    if (found != object_.end() && *found == false) fail(key, "not built yet: false");
  }
  void fail(const char* key, std::string what) {
    if (!fault_) fault_ = Fault{fmt::format("{}: {}", where_, key), std::move(what), ""};
  }
  const std::optional<Fault>& fault() const { return fault_; }
  const nlohmann::json& object() const { return object_; }

 private:
  template <class F>
  void number(const char* key, double least, double most, F set) {
    const auto found = object_.find(key);
    if (found == object_.end() || found->is_null()) return;
    if (!found->is_number() || !(found->get<double>() >= least && found->get<double>() <= most)) {
      fail(key, fmt::format("expected a number in [{}, {}], found {}", least, most,
                            found->dump().substr(0, 40)));
      return;
    }
    set(found->get<double>());
  }
  const nlohmann::json& object_;
  std::string where_;
  std::optional<Fault> fault_;
};

}  // namespace

Result<media::PatchOptions> patch_options_of(const nlohmann::json& preprocessor,
                                             const std::string& where,
                                             const media::PatchOptions& defaults) {
  media::PatchOptions out = defaults;
  if (!preprocessor.is_object()) return out;
  Members members(preprocessor, where);
  members.whole("patch_size", out.patch);
  members.whole("merge_size", out.merge);
  members.whole("temporal_patch_size", out.temporal);
  members.whole("min_pixels", out.min_pixels);
  members.whole("max_pixels", out.max_pixels);
  members.colours("image_mean", out.normalisation.mean);
  members.colours("image_std", out.normalisation.std);
  members.real("rescale_factor", out.normalisation.rescale);
  for (const char* key : {"do_resize", "do_rescale", "do_normalize"}) members.always(key);
  const auto size = preprocessor.find("size");
  if (size != preprocessor.end() && size->is_object()) {
    Members edges(*size, where + ": size");
    edges.whole("shortest_edge", out.min_pixels);
    edges.whole("longest_edge", out.max_pixels);
    if (edges.fault()) return *edges.fault();
  }
  const auto resample = preprocessor.find("resample");
  if (resample != preprocessor.end() && resample->is_number_integer() && *resample != 3) {
    if (*resample == 2) {
      out.filter = media::Filter::bilinear;
    } else {
      members.fail("resample", "expected 3 (bicubic) or 2 (bilinear)");
    }
  }
  if (members.fault()) return *members.fault();
  return out;
}

struct VisionChatProcessor::Laid {
  text::LabelledIds ids;
  std::vector<ImageFile> images;
};

Result<VisionChatProcessor::Laid> VisionChatProcessor::lay_out(const Record& record) const {
  Laid laid;
  const std::string data_folder = record.data_folder ? *record.data_folder : "";
  const auto messages = chat_messages_of(record, [&](const Part& part) -> Result<int32_t> {
    if (part.kind != Part::Kind::image)
      return Fault{part.url, "not built yet: videos and audio", "take the part out"};
    auto image = open_image(part, data_folder, options_);
    if (!image) return image.fault();
    laid.images.push_back(*std::move(image));
    return static_cast<int32_t>(laid.images.back().grid.tokens(options_.patches.merge));
  });
  if (!messages) return messages.fault();
  if (messages->empty()) return laid;
  ScratchPool::Lease scratch(scratch_);
  auto labelled = chat_.encode(*messages, *scratch);
  if (!labelled) {
    const Fault& fault = labelled.fault();
    return Fault{record.origin.text(), fmt::format("{}: {}", fault.where, fault.what), fault.fix};
  }
  laid.ids = *std::move(labelled);
  return laid;
}

Result<Sample> VisionChatProcessor::without_pixels(const Record& record, const Laid& laid) const {
  Sample sample;
  sample.origin = record.origin;
  sample.text.labels = laid.ids.shifted_labels();
  sample.text.input_ids = laid.ids.ids;
  if (laid.images.empty()) return sample;
  std::vector<RopeMedia> media;
  for (const ImageFile& image : laid.images) {
    sample.images.grids.push_back(image.grid);
    media.push_back({.grid = sample.images.grids.back()});
  }
  for (size_t t = 0; t < laid.ids.ids.size(); ++t) {
    if (laid.ids.ids[t] == options_.positions.image_token_id)
      sample.images.tokens.push_back(static_cast<int32_t>(t));
  }
  for (const std::vector<int32_t>& axis :
       rope_index(laid.ids.ids, media, options_.positions, record.origin.text())) {
    sample.text.position_ids.insert(sample.text.position_ids.end(), axis.begin(), axis.end());
  }
  return sample;
}

Result<Measured> VisionChatProcessor::measure(const Record& record) const {
  const auto laid = lay_out(record);
  if (!laid) return laid.fault();
  auto sample = without_pixels(record, *laid);
  if (!sample) return sample.fault();
  Measured measured = measure_text(*std::move(sample));
  if (laid->images.empty()) return measured;
  measured.sample = nullptr;  // its pixels come later
  for (const ImageFile& image : laid->images) {
    if (!options_.measure_pixels) break;
    const auto pixels = media::decode(bytes_of(image.bytes), options_.decode);
    if (!pixels) return about(record.origin.text(), pixels.fault());
  }
  for (const ImageFile& image : laid->images) measured.cost += cost_of(image.grid);
  return measured;
}

Result<Sample> VisionChatProcessor::process(const Record& record) const {
  const auto laid = lay_out(record);
  if (!laid) return laid.fault();
  auto sample = without_pixels(record, *laid);
  if (!sample) return sample.fault();
  const auto values = static_cast<size_t>(media::patch_values(options_.patches));
  size_t patches = 0;
  for (const ImageFile& image : laid->images) patches += static_cast<size_t>(image.grid.patches());
  std::vector<float>& out = sample->images.patches;
  out.resize(patches * values);
  size_t begin = 0;
  for (const ImageFile& image : laid->images) {
    const size_t count = static_cast<size_t>(image.grid.patches()) * values;
    const auto pixels = media::decode(bytes_of(image.bytes), options_.decode);
    if (!pixels) return about(record.origin.text(), pixels.fault());
    media::write_patches(*pixels, image.grid, options_.patches,
                         std::span(out).subspan(begin, count));
    begin += count;
  }
  return sample;
}

}  // namespace lmms::data
