#include "train/samples_exhibit.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <numeric>

#include "core/error.h"
#include "core/files.h"
#include "core/format.h"
#include "generate/denoiser_checkpoint.h"
#include "generate/image_samples.h"
#include "media/image_grid.h"
#include "media/thumbnail.h"
#include "train/progress.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kFirstClasses = 10;
// What the journal takes of a grid, so that the report shows those whose files are gone.
constexpr media::ThumbnailOptions kPreview{.side = 480, .most_bytes = 19'000};

struct Settings {
  generate::ImageRequest request;
  std::vector<std::string> labels;
  fs::path output, autoencoder;  ///< no autoencoder: pixels are denoised
  bool average = true;
  std::string how;  ///< for people
};

class SamplesExhibit : public Exhibit {
 public:
  explicit SamplesExhibit(Settings settings) : settings_(std::move(settings)) {}

  std::optional<Shown> show(const Moment& moment) override {
    const auto begun = std::chrono::steady_clock::now();
    const std::vector<media::Image> images = make(moment);
    if (std::ssize(images) < settings_.request.count()) return std::nullopt;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
    return tell(images, moment.step, seconds.count());
  }

 private:
  std::vector<media::Image> make(const Moment& moment) const {
    std::optional<optim::Ema::InPlace> averages;
    if (settings_.average && moment.network.ema) averages.emplace(*moment.network.ema, moment.step);
    std::optional<models::OpenAutoencoder> autoencoder;
    if (!settings_.autoencoder.empty())
      autoencoder.emplace(models::open_autoencoder(settings_.autoencoder, moment.device));
    const step::ForwardModel forward(*moment.network.model, moment.device, moment.kernels);
    return generate::make_images(forward, autoencoder ? &**autoencoder : nullptr, settings_.request,
                                 {.stop = moment.stop});
  }

  Shown tell(const std::vector<media::Image>& images, int64_t step, double seconds) const {
    const generate::ImageRequest& request = settings_.request;
    const int side = std::max(images.front().width(), images.front().height());
    media::GridOptions grid = generate::grid_for(request, side);
    const std::string name = fmt::format("samples/step-{}.png", step);
    fs::create_directories(settings_.output / "samples");
    write_atomically(settings_.output / name, media::encode_png(media::image_grid(images, grid)));
    grid.scale = 1;
    Shown out;
    out.records.emplace_back(
        "samples", nlohmann::json{{"path", name},
                                  {"labels", settings_.labels},
                                  {"per_class", request.per_class},
                                  {"columns", grid.columns},
                                  {"side", side},
                                  {"how", settings_.how},
                                  {"seconds", seconds},
                                  {"preview", media::thumbnail_url(media::image_grid(images, grid),
                                                                   kPreview)}});
    out.lines.emplace_back(
        log::Level::info,
        fmt::format("{} samples are in {} ({})", request.count(),
                    (settings_.output / name).string(), text_of_seconds(seconds)));
    return out;
  }

  Settings settings_;
};

std::vector<int64_t> classes_of(const EvalSample& c, const models::Denoiser& denoiser) {
  if (!c.classes.empty()) return c.classes;
  if (denoiser.classes() == 0) return {0};  // the one that stands for "told none"
  std::vector<int64_t> first(static_cast<size_t>(std::min(kFirstClasses, denoiser.classes())));
  std::iota(first.begin(), first.end(), 0);
  return first;
}

std::string text_of(const EvalSample& c, bool average) {
  std::string how =
      c.sampler == "dopri5" ? "dopri5" : fmt::format("{}, {} steps", c.sampler, c.steps);
  if (c.guidance != 1) how += fmt::format(", guidance {:g}", c.guidance);
  return how + (average ? ", averaged weights" : "");
}

}  // namespace

std::unique_ptr<Exhibit> samples_exhibit(const LoadedConfig& loaded, const Place& place,
                                         const models::Model& model) {
  const TrainerArgs& args = loaded.config.trainer;
  const EvalSample& c = args.eval_sample;
  const std::string where = loaded.where("trainer_args.eval_sample");
  const models::Denoiser* denoiser = model.denoiser();
  if (denoiser == nullptr) {
    throw Error(where, "the model makes no images: it is no denoiser",
                "leave eval_sample out; eval_generate shows answers of a language model");
  }
  Settings settings;
  generate::ImageRequest& request = settings.request;
  request.classes = classes_of(c, *denoiser);
  request.per_class = c.per_class;
  request.seed = static_cast<uint64_t>(args.seed);
  request.batch = args.per_device_eval_batch_size;
  request.denoising = {
      .sampler = generate::sampler_named(c.sampler), .steps = c.steps, .guidance = c.guidance};
  settings.labels = generate::class_labels(model.config(), denoiser->classes(), request.classes);
  settings.output = args.output_dir;
  settings.average = c.ema && args.ema.ema_enabled;
  settings.how = text_of(c, settings.average);
  if (!denoiser->autoencoder_path().empty()) {
    settings.autoencoder =
        generate::locate_autoencoder(denoiser->autoencoder_path(), "", place.hub_cache, where);
  }
  generate::check_request(*denoiser, request, where);
  if (settings.autoencoder.empty()) generate::check_autoencoder(*denoiser, nullptr, where);
  return std::make_unique<SamplesExhibit>(std::move(settings));
}

}  // namespace lmms::train
