#include "models/qwen_vl/processor_files.h"

#include <algorithm>

#include "core/format.h"
#include "data/processor_members.h"

namespace lmms::models::qwen_vl {

using data::ProcessorMembers;
using data::ProcessorSection;
using nlohmann::json;

namespace {

/// `size` as the classes of Qwen have it: two numbers of pixels under names of edges, and over
/// them, where the class reads them, `min_pixels` and `max_pixels`.
void read_limits(ProcessorMembers& members, bool has_own_keys, media::PatchOptions& out) {
  int64_t least = 0, most = 0;
  if (has_own_keys && members.stated("min_pixels")) members.whole("min_pixels", least);
  if (has_own_keys && members.stated("max_pixels")) members.whole("max_pixels", most);
  if (const json* size = members.stated("size")) {
    const auto is_edge = [](const std::string& key) {
      return key == "shortest_edge" || key == "longest_edge";
    };
    json edges = size->is_object() ? *size : json::object();
    const auto put = [&](const char* limit, const char* edge, int64_t pixels) {
      if (pixels == 0) return;
      edges.erase(limit);
      edges[edge] = pixels;
    };
    put("min_pixels", "shortest_edge", least);
    put("max_pixels", "longest_edge", most);
    ProcessorMembers of_size(edges, "");
    of_size.whole("shortest_edge", least);
    of_size.whole("longest_edge", most);
    const bool is_plain =
        std::ranges::all_of(edges.items(), [&](const auto& edge) { return is_edge(edge.key()); });
    if (!size->is_object() || of_size.fault() || !is_plain || least == 0 || most == 0) {
      return members.fail("size",
                          "expected {\"shortest_edge\": the least pixels, \"longest_edge\": the "
                          "most}, found " +
                              ProcessorMembers::shown(*size));
    }
  }
  if (least > 0) out.min_pixels = least;
  if (most > 0) out.max_pixels = most;
}

void read_patches(ProcessorMembers& members, bool has_own_limits, media::PatchOptions& out) {
  members.whole("patch_size", out.patch);
  members.whole("merge_size", out.merge);
  members.whole("temporal_patch_size", out.temporal);
  members.read_colours(out.normalisation, out.filter);
  read_limits(members, has_own_limits, out);
}

}  // namespace

media::ClipOptions qwen2_vl_clip() {
  return {.patches = {.min_pixels = 128 * 28 * 28, .max_pixels = 28 * 28 * 768}};
}

media::ClipOptions qwen3_vl_clip() {
  return {.patches = {.patch = 16,
                      .min_pixels = 128 * 32 * 32,
                      .max_pixels = 32 * 32 * 768,
                      .normalisation = {.mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}}},
          .budget = media::PixelBudget::clip};
}

Result<media::PatchOptions> patch_options_of(const ProcessorSection& section) {
  if (const auto fault = check_image_class(section, kImageClass)) return *fault;
  media::PatchOptions out;
  ProcessorMembers members(section.values, section.where);
  read_patches(members, /*has_own_limits=*/true, out);
  if (members.fault()) return *members.fault();
  return out;
}

Result<media::ClipOptions> clip_options_of(const ProcessorSection& section,
                                           std::string_view of_model) {
  const std::string name = video_class(section, of_model, kVideoClasses);
  if (name != kQwen2VideoClass && name != kQwen3VideoClass) {
    return Fault{
        section.where + ": video_processor_type",
        fmt::format("'{}' is not built; {} and {} are", name, kQwen2VideoClass, kQwen3VideoClass),
        "use the processor that belongs to the model"};
  }
  const bool third = name == kQwen3VideoClass;
  media::ClipOptions out = third ? qwen3_vl_clip() : qwen2_vl_clip();
  ProcessorMembers members(section.values, section.where);
  read_patches(members, /*has_own_limits=*/!third, out.patches);
  bool is_capped = false;
  members.flag("cap_pixels_per_frame", is_capped);
  if (is_capped) members.whole("max_video_tokens", out.cap_tokens.emplace(third ? 768 : 128000));
  if (members.fault()) return *members.fault();
  return out;
}

}  // namespace lmms::models::qwen_vl
