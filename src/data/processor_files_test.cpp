// Which file and which class says how media are prepared, and what comes of it, against
// transformers: tests/parity/make_processors.py.
#include "data/processor_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "data/preprocessor_config.h"
#include "data/stored_chats_testing.h"

namespace lmms::data {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// Sizes and clips of make_processors.py.
constexpr media::Extent kSizes[] = {{300, 400}, {40, 1000}, {33, 29}, {1100, 900}};
struct Clip {
  int64_t frames;
  media::Extent size;
};
constexpr Clip kClips[] = {{4, {120, 160}}, {5, {240, 320}}, {12, {100, 60}}, {2, {400, 300}}};

/// What transformers takes and we refuse by name.
const std::set<std::string> kRefused = {"lanczos image",
                                        "lanczos video",
                                        "grey mean image",
                                        "grey mean video",
                                        "do not rescale image",
                                        "llava, crop image",
                                        "do not rescale video",
                                        "llava, crop video",
                                        "llava, two edges image",
                                        "llava, two edges video",
                                        "llava, another class image"};

ProcessorFiles files_of(const json& c) {
  const auto file = [&](const char* name) -> json {
    return c["files"].contains(name) ? c["files"][name] : json();
  };
  return {.folder = "f",
          .processor = file(kProcessorFile),
          .images = file(kImageFile),
          .videos = file(kVideoFile)};
}

std::string_view class_of_model(const json& c) {
  return c["model_type"] == "llava_onevision" ? kLlavaVideoClass
         : c["model_type"] == "qwen3_vl"      ? kQwen3VideoClass
                                              : kQwen2VideoClass;
}

json grid(const Result<PatchGrid>& grid) {
  return grid ? json{grid->t, grid->h, grid->w} : json(grid.fault().text());
}

/// In the words of make_processors.py.
json described(const media::Normalisation& colours, media::Filter filter, std::string_view name) {
  return {{"class", name},
          {"resample", filter == media::Filter::bilinear ? 2 : 3},
          {"mean", colours.mean},
          {"std", colours.std},
          {"scale", colours.rescale}};
}

json described(const media::PatchOptions& p, json grids, std::string_view name) {
  json out = described(p.normalisation, p.filter, name);
  out["limits"] = {p.min_pixels, p.max_pixels};
  out["patch"] = p.patch;
  out["merge"] = p.merge;
  out["temporal"] = p.temporal;
  out["grids"] = std::move(grids);
  return out;
}

Result<json> images_of(const ProcessorFiles& files, bool llava) {
  const auto section = image_section(files);
  if (!section) return section.fault();
  if (!section->is_given()) return Fault{"f", "no file", ""};
  if (llava) {
    const auto views = tile_options_of(*section, {});
    if (!views) return views.fault();
    json out = described(views->normalisation, views->filter, kLlavaImageClass);
    out["tile"] = views->tile;
    out["views"] = media::plan_tiles({50, 20}, *views).take().tiles();
    for (const auto& e : views->pinpoints) out["pinpoints"].push_back({e.height, e.width});
    return out;
  }
  const auto patches = patch_options_of(*section);
  if (!patches) return patches.fault();
  json grids;
  for (const media::Extent size : kSizes) grids.push_back(grid(media::patch_grid(size, *patches)));
  return described(*patches, grids, kQwenImageClass);
}

Result<json> videos_of(const ProcessorFiles& files, bool llava, std::string_view of_model) {
  const auto section = video_section(files);
  if (!section) return section.fault();
  if (!section->is_given()) return Fault{"f", "no file", ""};
  const std::string name = video_class(*section, of_model);
  if (llava) {
    const auto views = frame_options_of(*section, {});
    if (!views) return views.fault();
    json out = described(views->normalisation, views->filter, name);
    out["tile"] = views->tile;
    return out;
  }
  const auto clip = clip_options_of(*section, of_model);
  if (!clip) return clip.fault();
  json grids;
  for (const auto& [frames, size] : kClips) {
    const auto plan = media::plan_clip(size, frames, *clip);
    grids.push_back(plan ? grid(plan->grid) : json(plan.fault().text()));
  }
  return described(clip->patches, grids, name);
}

TEST(ProcessorFiles, give_what_transformers_makes_of_them) {
  const json cases = read_json(std::string(LMMS_SOURCE_DIR) + "/tests/parity/data/processors.json");
  ASSERT_GE(cases.size(), 90u);
  size_t equal = 0, refused = 0;
  for (const json& c : cases) {
    SCOPED_TRACE(c["name"].get<std::string>());
    const ProcessorFiles files = files_of(c);
    const bool llava = c["model_type"] == "llava_onevision";
    const Result<json> ours[] = {images_of(files, llava),
                                 videos_of(files, llava, class_of_model(c))};
    for (const auto& [kind, made] : {std::pair("image", &ours[0]), {"video", &ours[1]}}) {
      const json& theirs = c[kind];
      const bool is_refused = kRefused.contains(c["name"].get<std::string>() + " " + kind);
      if (theirs.contains("error") || is_refused) {
        ASSERT_FALSE(made->ok()) << kind << ": " << **made;
        EXPECT_THAT(made->fault().where, HasSubstr("f"));
        ++refused;
        continue;
      }
      ASSERT_TRUE(made->ok()) << kind << ": " << made->fault().text();
      EXPECT_EQ(**made, theirs) << kind;
      ++equal;
    }
  }
  EXPECT_GT(equal, 100u);
  EXPECT_GT(refused, 40u);
}

TEST(ProcessorFiles, name_what_is_no_section_and_no_class) {
  const auto images = [](const json& processor) {
    return image_section(
        {.folder = "f", .processor = processor, .images = nullptr, .videos = nullptr});
  };
  EXPECT_THAT(images({{"image_processor", "Qwen2VLImageProcessor"}}).fault().text(),
              HasSubstr("f/processor_config.json: image_processor: expected an object"));
  const ProcessorSection clip = {{{"image_processor_type", "CLIPImageProcessor"}}, "f/p.json"};
  EXPECT_EQ(check_image_class(clip, kQwenImageClass)->text(),
            "f/p.json: image_processor_type: the model's images are prepared by "
            "Qwen2VLImageProcessor, not by CLIPImageProcessor\n"
            "    fix: use the processor that belongs to the model");
}

}  // namespace
}  // namespace lmms::data
