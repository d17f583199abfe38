#pragma once
/// Which of a checkpoint's files says how images and videos are prepared, as transformers 5.17
/// chooses: AutoImageProcessor and AutoVideoProcessor.
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/error.h"

namespace lmms::data {

inline constexpr const char* kProcessorFile = "processor_config.json";
inline constexpr const char* kImageFile = "preprocessor_config.json";
inline constexpr const char* kVideoFile = "video_preprocessor_config.json";

/// The files of a folder, each an object, or null where there is none.
struct ProcessorFiles {
  std::string folder;
  nlohmann::json processor;  ///< kProcessorFile; transformers 5 nests the two others in it
  nlohmann::json images;     ///< kImageFile
  nlohmann::json videos;     ///< kVideoFile
};

/// What says how images or videos are prepared.
struct ProcessorSection {
  nlohmann::json values;  ///< an object; null where no file says it
  std::string where;      ///< "model/processor_config.json: image_processor"

  bool is_given() const { return !values.is_null(); }
};

/// `image_processor` of kProcessorFile, else kImageFile.
Result<ProcessorSection> image_section(const ProcessorFiles& files);
/// `video_processor` of kProcessorFile, else kVideoFile, else kImageFile.
Result<ProcessorSection> video_section(const ProcessorFiles& files);

/// A fault where the section names another class than `of_model` for images. Its name may end in
/// Fast or Pil: transformers 5 takes the class on torchvision for all three.
std::optional<Fault> check_image_class(const ProcessorSection& section, std::string_view of_model);

/// The class for videos: as the section names it; where that is an image processor's, the video
/// processor of the same name, if it is one of `classes`, those of the model's family; else
/// `of_model`.
std::string video_class(const ProcessorSection& section, std::string_view of_model,
                        std::span<const std::string_view> classes);

}  // namespace lmms::data
