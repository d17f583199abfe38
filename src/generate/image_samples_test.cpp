#include "generate/image_samples.h"

#include <ATen/TensorOperators.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "models/denoiser.h"

namespace lmms::generate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// Whose velocity carries every noise to the brightness of its class, from -1 to 1, one pixel of
/// patch (0, 1) aside, which is black.
class Painter : public models::Model, public models::Denoiser {
 public:
  explicit Painter(int64_t channels = 1) : Model(nlohmann::json::object(), "Painter") {
    shape_.channels = channels;
  }
  const models::Denoiser* denoiser() const override { return this; }
  double train_flops(const models::Workload&) const override { return 0; }
  double lmms_engine_flops(const models::Workload&) const override { return 0; }
  models::LatentShape shape() const override { return shape_; }
  int64_t classes() const override { return 4; }
  double class_dropout() const override { return dropout; }
  models::TransportConfig transport() const override { return {}; }
  std::string autoencoder_path() const override { return ""; }

  at::Tensor predict(const models::NoisyInput& in, const nn::RunContext&) const override {
    at::Tensor wanted = in.x * 0;
    const int64_t P = shape_.patches();
    for (int64_t s = 0; s < in.t.size(0); ++s) {
      at::Tensor image = wanted.narrow(0, s * P, P);
      image.fill_(in.classes[s].item<double>() / 2 - 1);
      image[1][shape_.patch] = -1;  // channel 0, row 1, column 0 of the second patch
    }
    const double left = 1 - in.t[0].item<double>();
    return (wanted - in.x) / left;
  }

  double dropout = 0.1;

 private:
  models::LatentShape shape_{1, 4, 6, 2};
};

ImageRequest request_for(std::vector<int64_t> classes, int64_t per_class) {
  ImageRequest request;
  request.classes = std::move(classes);
  request.per_class = per_class;
  request.denoising.steps = 4;
  return request;
}

TEST(ImageSamples, lie_as_the_patches_say_and_in_the_order_of_classes) {
  const Painter painter;
  const step::ForwardModel forward(painter, at::kCPU, {});
  ImageRequest request = request_for({3, 0, 4}, 2);
  request.batch = 4;  // over the border of a class
  std::vector<int64_t> told;
  const auto images =
      make_images(forward, nullptr, request,
                  {.made = [&](int64_t i, const media::Image&) { told.push_back(i); }});
  ASSERT_EQ(images.size(), 6u);
  EXPECT_THAT(told, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_EQ(images[0].width(), 6);
  EXPECT_EQ(images[0].height(), 4);
  const auto gray = [&](int64_t i, int y, int x) { return int{images[i].row(y)[3 * x]}; };
  EXPECT_EQ(gray(0, 0, 0), 191);  // 0.5
  EXPECT_EQ(gray(1, 3, 5), 191);
  EXPECT_EQ(gray(2, 0, 0), 0);
  EXPECT_EQ(gray(5, 0, 0), 255);  // told none
  for (int y = 0; y < 4; ++y)
    for (int x = 0; x < 6; ++x) EXPECT_EQ(gray(0, y, x), y == 1 && x == 2 ? 0 : 191);
}

TEST(ImageSamples, of_a_request_that_is_stopped_are_those_of_whole_batches) {
  const Painter painter;
  const step::ForwardModel forward(painter, at::kCPU, {});
  ImageRequest request = request_for({0, 1}, 3);
  request.batch = 2;
  int asked = 0;
  EXPECT_EQ(make_images(forward, nullptr, request, {.stop = [&] { return ++asked > 9; }}).size(),
            4u);
}

TEST(ImageSamples, words_name_classes) {
  const Painter painter;
  const auto classes = [&](std::vector<std::string> words) {
    return classes_from(words, painter, "--class");
  };
  EXPECT_THAT(classes({"3,1"}), ElementsAre(3, 1));
  EXPECT_THAT(classes({"1-3", "none"}), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(classes({"all"}), ElementsAre(0, 1, 2, 3));
  for (const char* wrong :
       {"4", "-1", "", "1,", "3-1", "cat", "1-9", "0x1", "99999999999999999999"})
    EXPECT_THROW(classes({wrong}), Error) << wrong;
  EXPECT_THAT([&] { classes({"7"}); },
              ThrowsMessage<Error>(HasSubstr("name classes from 0 to 3, or all")));
}

TEST(ImageSamples, a_request_must_fit_the_model) {
  Painter painter;
  EXPECT_NO_THROW(check_request(painter, request_for({0, 4}, 1), "x"));
  EXPECT_THROW(check_request(painter, request_for({5}, 1), "x"), Error);
  ImageRequest guided = request_for({0}, 1);
  guided.denoising.guidance = 2;
  EXPECT_NO_THROW(check_request(painter, guided, "x"));
  painter.dropout = 0;
  EXPECT_THROW(check_request(painter, guided, "x"), Error);
  EXPECT_THROW(check_request(painter, request_for({4}, 1), "x"), Error);
  EXPECT_NO_THROW(check_autoencoder(painter, nullptr, "x"));
  EXPECT_THROW(check_autoencoder(Painter(4), nullptr, "x"), Error);
}

TEST(ImageSamples, classes_are_called_by_their_names_where_config_json_has_them) {
  const nlohmann::json config = {{"id2label", {{"0", "cat"}, {"2", 7}}}};
  EXPECT_THAT(class_labels(config, 3, std::vector<int64_t>{2, 0, 3}),
              ElementsAre("2", "cat", "none"));
  EXPECT_THAT(class_labels({}, 3, std::vector<int64_t>{1}), ElementsAre("1"));
}

}  // namespace
}  // namespace lmms::generate
