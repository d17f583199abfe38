#include "objectives/interpolant_drawing.h"

#include <vector>

#include "core/error.h"
#include "core/format.h"
#include "data/latents.h"

namespace lmms::objectives {
namespace {

std::vector<float> normals(const data::DrawKey& key, rng::Purpose purpose, int64_t count) {
  std::vector<float> out(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    out[static_cast<size_t>(i)] = static_cast<float>(key.normal(purpose, i));
  return out;
}

class InterpolantDrawing final : public data::Drawing {
 public:
  explicit InterpolantDrawing(const InterpolantDrawingSettings& settings) : in_(settings) {}

  std::string name() const override {
    return fmt::format("interpolant: t in [{}, {}], class dropout {}, {}", in_.times.begin,
                       in_.times.end, in_.class_dropout,
                       in_.flip ? "half of the images mirrored" : "no image mirrored");
  }

  void draw(data::Sample& sample, const data::DrawKey& key) const override {
    data::take_choice(sample, key, in_.flip);
    // u is in (0, 1]: time 0 itself is never drawn
    const double u = key.uniform(rng::Purpose::time, 0);
    sample.extras[data::kTime] = {
        static_cast<float>(in_.times.begin + u * (in_.times.end - in_.times.begin))};
    draw_class(sample, key);
    sample.counts[data::kImages] = 1;
    draw_noise(sample, key);
  }

 private:
  void draw_class(data::Sample& sample, const data::DrawKey& key) const {
    const auto given = sample.extras.find(data::kClass);
    const int64_t none = in_.classes;
    int64_t told = given == sample.extras.end() ? none : static_cast<int64_t>(given->second.at(0));
    if (told < 0 || told > none) {
      throw Error(
          sample.origin.text(),
          fmt::format("class {}, and the model knows {} (num_classes), counted from 0", told, none),
          "correct the record, or num_classes of the model's config");
    }
    if (told == none && none > 0 && in_.class_dropout <= 0) {
      throw Error(sample.origin.text(), "no class, and the model is always told one",
                  "give the record a class, or set class_dropout_prob of the model's config");
    }
    if (in_.class_dropout > 0 && key.uniform(rng::Purpose::condition, 0) <= in_.class_dropout)
      told = none;
    sample.extras[data::kClass] = {static_cast<float>(told)};
  }

  // Only where the values are there: a sample that is measured alone needs none.
  void draw_noise(data::Sample& sample, const data::DrawKey& key) const {
    for (const data::MediaPart& part : sample.media) {
      if (part.values.empty()) continue;
      if (part.kind == data::kPixels) {
        // the numbers that a cached Gaussian would be drawn with, token by token
        const models::LatentShape& shape = in_.shape;
        sample.extras[data::kPosterior] =
            data::to_planes(normals(key, rng::Purpose::posterior, shape.values()), shape.channels,
                            shape.height, shape.width, shape.patch);
      } else if (part.kind != data::kLatents) {
        continue;
      }
      sample.extras[data::kNoise] = normals(key, rng::Purpose::noise, in_.shape.values());
    }
  }

  InterpolantDrawingSettings in_;
};

}  // namespace

std::shared_ptr<const data::Drawing> interpolant_drawing(
    const InterpolantDrawingSettings& settings) {
  return std::make_shared<InterpolantDrawing>(settings);
}

}  // namespace lmms::objectives
