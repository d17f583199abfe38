#pragma once
/// For tests: a kind of media that nothing but this file and its tests knows. A sound is a line of
/// frames of two values; two frames become a token.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/data_testing.h"

namespace lmms::data {

inline constexpr char kSound[] = "sound";
inline constexpr int64_t kSoundValues = 2;

/// {id, length, sound: [frames, ...], patches} -> a token `id`, the tokens of the sounds (id 77),
/// an image of so many patches that has no tokens, then `length` tokens `id`, which are trained. A
/// record of {sound} alone has no text. Frames are made when the row is; -1 of them is a rotten
/// file.
class SoundProcessor final : public Processor {
 public:
  static constexpr int32_t kPad = 77;

  Result<Measured> measure(const Record& record) const override {
    return measure_sample(without_values(record), /*decoded=*/false);
  }
  Result<Sample> process(const Record& record) const override {
    Sample sample = without_values(record);
    if (!sample.media.find(kSound)) return sample;
    MediaPart& part = sample.media[kSound];
    for (size_t s = 0; s < part.grids.size(); ++s) {
      for (int64_t i = 0; i < part.grids[s].patches() * kSoundValues; ++i)
        part.values.push_back(static_cast<float>(100 * record.origin.row + i));
    }
    return sample;
  }
  Result<Sample> prompt(const Conversation&) const override { return Fault{"", "no chat", ""}; }

 private:
  static Sample without_values(const Record& record) {
    Sample sample;
    sample.origin = record.origin;
    std::vector<int32_t>& ids = sample.text.input_ids;
    const auto length = record.fields.value("length", int64_t{-1});
    const auto id = record.fields.value("id", int32_t{0});
    const bool text = length >= 0;
    if (text) ids.push_back(id);
    int32_t token = text ? 1 : 0;
    for (const auto& frames : record.fields.value("sound", std::vector<int64_t>())) {
      MediaPart& part = sample.media[kSound];
      part.grids.push_back({1, frames, 1});
      for (int64_t i = 0; i < frames / 2; ++i) {
        part.tokens.push_back(token++);
        if (text) ids.push_back(kPad);
      }
    }
    if (const auto patches = record.fields.value("patches", int64_t{0}); patches > 0)
      sample.media[kVision].grids = {{1, 1, patches}};
    sample.text.labels.assign(ids.size(), kIgnore);
    for (int64_t t = 0; t < length; ++t) {
      ids.push_back(id);
      sample.text.labels.push_back(id);
    }
    return sample;
  }
};

/// Texts of some tokens, most of them with sounds, some with an image.
inline std::shared_ptr<const Dataset> sounds_dataset(int64_t rows) {
  return dataset_of(rows, [](int64_t row) {
    nlohmann::json record{{"id", row}, {"length", 2 + row % 5}};
    if (row % 3 != 0) record["sound"] = {2 + 2 * (row % 4), 4};
    if (row % 7 == 0) record["patches"] = 4;
    return Result<nlohmann::json>(std::move(record));
  });
}

}  // namespace lmms::data
