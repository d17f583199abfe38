#pragma once
/// Processor files of checkpoints, and what transformers makes of them: what
/// tests/parity/make_processors.py stored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "core/source_dir_testing.h"
#include "data/processor_files.h"
#include "data/stored_chats_testing.h"
#include "media/patches.h"

namespace lmms::models {

/// The files of a case.
inline data::ProcessorFiles files_of(const nlohmann::json& c) {
  const auto file = [&](const char* name) -> nlohmann::json {
    return c["files"].contains(name) ? c["files"][name] : nlohmann::json();
  };
  return {.folder = "f",
          .processor = file(data::kProcessorFile),
          .images = file(data::kImageFile),
          .videos = file(data::kVideoFile)};
}

/// In the words of make_processors.py.
inline nlohmann::json described(const media::Normalisation& colours, media::Filter filter,
                                std::string_view name) {
  return {{"class", name},
          {"resample", filter == media::Filter::bilinear ? 2 : 3},
          {"mean", colours.mean},
          {"std", colours.std},
          {"scale", colours.rescale}};
}

/// How many of the stored images and videos were equal, and how many refused.
struct StoredCases {
  size_t equal = 0, refused = 0;
};

/// Compares what `images` and `videos` make of every case that `takes` its model_type. `refused`:
/// "NAME image", "NAME video" of those that transformers takes and we refuse by name.
inline StoredCases compare_stored(
    const std::function<bool(const std::string& model_type)>& takes,
    const std::set<std::string>& refused,
    const std::function<Result<nlohmann::json>(const nlohmann::json& c)>& images,
    const std::function<Result<nlohmann::json>(const nlohmann::json& c)>& videos) {
  StoredCases seen;
  const nlohmann::json cases =
      data::read_json((source_dir() / "tests/parity/data/processors.json").string());
  for (const nlohmann::json& c : cases) {
    if (!takes(c["model_type"])) continue;
    const auto name = c["name"].get<std::string>();
    SCOPED_TRACE(name);
    for (const auto& [kind, make] : {std::pair("image", &images), {"video", &videos}}) {
      const nlohmann::json& theirs = c[kind];
      const Result<nlohmann::json> made = (*make)(c);
      if (theirs.contains("error") || refused.contains(name + " " + kind)) {
        EXPECT_FALSE(made.ok()) << kind << ": " << (made.ok() ? made->dump() : "");
        EXPECT_THAT(made.ok() ? "" : made.fault().where, testing::HasSubstr("f"));
        ++seen.refused;
        continue;
      }
      EXPECT_EQ(made.ok() ? *made : nlohmann::json(made.fault().text()), theirs) << kind;
      ++seen.equal;
    }
  }
  return seen;
}

}  // namespace lmms::models
