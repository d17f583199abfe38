#include "data/processor_files.h"

#include <algorithm>

#include "core/format.h"

namespace lmms::data {
namespace {

using nlohmann::json;

/// A member that is there and not null.
const json* find(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

/// The name of a class under `key`; empty where there is none.
std::string name_under(const json& object, const char* key) {
  const json* name = find(object, key);
  return name == nullptr ? "" : name->is_string() ? name->get<std::string>() : name->dump();
}

Result<ProcessorSection> nested_or(const ProcessorFiles& files, const char* key,
                                   const ProcessorSection& otherwise) {
  const json* nested = find(files.processor, key);
  if (nested == nullptr) return otherwise;
  const std::string where = fmt::format("{}/{}: {}", files.folder, kProcessorFile, key);
  if (!nested->is_object())
    return Fault{where, "expected an object, found " + nested->dump().substr(0, 40), ""};
  return ProcessorSection{*nested, where};
}

ProcessorSection whole_file(const ProcessorFiles& files, const json& values, const char* name) {
  return {values, fmt::format("{}/{}", files.folder, name)};
}

}  // namespace

Result<ProcessorSection> image_section(const ProcessorFiles& files) {
  return nested_or(files, "image_processor", whole_file(files, files.images, kImageFile));
}

Result<ProcessorSection> video_section(const ProcessorFiles& files) {
  return nested_or(files, "video_processor",
                   files.videos.is_null() ? whole_file(files, files.images, kImageFile)
                                          : whole_file(files, files.videos, kVideoFile));
}

std::optional<Fault> check_image_class(const ProcessorSection& section, std::string_view of_model) {
  constexpr std::string_view kExtractor = "FeatureExtractor";
  const char* key = "image_processor_type";
  std::string name = name_under(section.values, key);
  if (name.empty()) {
    key = "feature_extractor_type";
    name = name_under(section.values, key);
    if (name.ends_with(kExtractor))
      name.replace(name.size() - kExtractor.size(), kExtractor.size(), "ImageProcessor");
  }
  std::string_view base = name;
  for (const std::string_view backend : {"Fast", "Pil"})
    if (base.ends_with(backend)) base.remove_suffix(backend.size());
  if (base.empty() || base == of_model) return std::nullopt;
  return Fault{fmt::format("{}: {}", section.where, key),
               fmt::format("the model's images are prepared by {}, not by {}", of_model, name),
               "use the processor that belongs to the model"};
}

std::string video_class(const ProcessorSection& section, std::string_view of_model,
                        std::span<const std::string_view> classes) {
  if (const std::string name = name_under(section.values, "video_processor_type"); !name.empty())
    return name;
  constexpr std::string_view kImage = "ImageProcessor";
  std::string name = name_under(section.values, "image_processor_type");
  if (const size_t at = name.find(kImage); at != std::string::npos)
    name.replace(at, kImage.size(), "VideoProcessor");
  const bool is_known = std::ranges::find(classes, name) != classes.end();
  return is_known ? name : std::string(of_model);
}

}  // namespace lmms::data
