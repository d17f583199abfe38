#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/environment.h"
#include "app/usage.h"
#include "core/error.h"
#include "core/files.h"
#include "core/format.h"
#include "core/signals.h"
#include "core/terminal.h"
#include "generate/denoiser_checkpoint.h"
#include "generate/image_samples.h"
#include "media/image_grid.h"
#include "media/thumbnail.h"
#include "models/patch.h"
#include "train/progress.h"
#include "train/registries.h"

namespace lmms::app {
namespace {

namespace fs = std::filesystem;

struct SampleFlags {
  std::string checkpoint, vae;
  std::string output = "samples.png";
  std::vector<std::string> classes{"all"};
  int64_t per_class = 8, batch_size = 16, steps = 50;
  uint64_t seed = 0;
  std::string sampler = "euler", sde_diffusion = "sigma", last_step = "mean", kernels = "fused";
  double guidance = 1;
  std::vector<double> guidance_interval{0, 1};
  std::optional<int64_t> columns, guided_channels;
  std::optional<std::string> dtype;
  bool separate = false, no_ema = false, json = false, use_cpu = false, no_draw = false;
};

void add_way_options(CLI::App& command, SampleFlags& flags) {
  command.add_option("--sampler", flags.sampler, "How the way from noise to data is walked")
      ->check(CLI::IsMember({"euler", "heun", "dopri5", "sde"}))
      ->capture_default_str();
  command
      .add_option("--steps", flags.steps, "Steps of euler, heun and sde; dopri5 chooses its own")
      ->check(at_least(1))
      ->capture_default_str();
  command
      .add_option("--guidance", flags.guidance,
                  "Scale of classifier-free guidance; 1: none, the model runs once a step")
      ->check(at_least(0))
      ->capture_default_str();
  command
      .add_option("--guidance-interval", flags.guidance_interval,
                  "Guide between these times alone; 0 is noise, 1 data")
      ->type_name("FROM TO")
      ->expected(2)
      ->check(CLI::Range(0.0, 1.0));
  command
      .add_option("--guided-channels", flags.guided_channels,
                  "Guide the first N channels alone (the authors' code: 3 of 4 latents)")
      ->check(at_least(1));
  command
      .add_option("--sde-diffusion", flags.sde_diffusion,
                  "How strong the noise of sde is over time")
      ->check(CLI::IsMember(
          {"sbdm", "sigma", "linear", "constant", "decreasing", "increasing-decreasing"}))
      ->capture_default_str();
  command.add_option("--last-step", flags.last_step, "The last step of sde")
      ->check(CLI::IsMember({"none", "mean", "tweedie", "euler"}))
      ->capture_default_str();
}

void add_options(CLI::App& command, SampleFlags& flags) {
  command
      .add_option("checkpoint", flags.checkpoint,
                  "A model's folder, the output folder of a run, or a hub id in the local cache")
      ->required()
      ->type_name("CHECKPOINT");
  command
      .add_option("--class", flags.classes,
                  "Classes: 3,7 or 0-9, all, or none (without telling the model one)")
      ->type_name("CLASSES")
      ->capture_default_str();
  command.add_option("--per-class", flags.per_class, "Images of each class")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24))
      ->capture_default_str();
  command
      .add_option("--seed", flags.seed,
                  "Of the noise; the same seed gives the same images, whatever is made beside them")
      ->capture_default_str();
  command
      .add_option("--output", flags.output, "The PNG file of the grid; with --separate a folder")
      ->type_name("FILE")
      ->capture_default_str();
  command.add_flag("--separate", flags.separate,
                   "A PNG file for each image, in the folder --output");
  command.add_option("--columns", flags.columns, "Images of a row of the grid")->check(at_least(1));
  add_way_options(command, flags);
  command
      .add_option("--vae", flags.vae,
                  "The autoencoder of the latents, a folder (default: vae_path of config.json)")
      ->type_name("FOLDER");
  command.add_flag("--no-ema", flags.no_ema,
                   "The weights themselves where the checkpoint has their average too");
  command.add_option("--batch-size", flags.batch_size, "Images made together")
      ->check(at_least(1))
      ->capture_default_str();
  command
      .add_option("--dtype", flags.dtype, "Number type of the weights (default: the checkpoint's)")
      ->check(CLI::IsMember({"float32", "bfloat16"}));
  command.add_option("--kernels", flags.kernels, "plain: ATen's in place of the fused ones")
      ->check(CLI::IsMember({"fused", "plain"}))
      ->capture_default_str();
  command.add_flag("--cpu", flags.use_cpu, "The CPU even where there is a GPU");
  command.add_flag("--no-draw", flags.no_draw, "Do not draw the grid in the terminal");
  command.add_flag("--json", flags.json, "An object of what was made, instead of text");
}

generate::DenoiserCheckpoint open_checkpoint(const SampleFlags& flags,
                                             const models::ModelRegistry& models) {
  generate::DenoiserOptions options;
  if (flags.dtype) options.dtype = *flags.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat;
  if (flags.kernels == "plain") options.kernels = lmms::models::plain_kernels();
  options.average = !flags.no_ema;
  options.vae = flags.vae;
  const train::Place here = place();
  options.device = here.device(flags.use_cpu);
  return generate::open_denoiser(models, flags.checkpoint, here.hub_cache, options);
}

generate::ImageRequest request_of(const SampleFlags& flags,
                                  const generate::DenoiserCheckpoint& checkpoint) {
  generate::ImageRequest request;
  request.classes = generate::classes_from(flags.classes, checkpoint.denoiser(), "--class");
  request.per_class = flags.per_class;
  request.seed = flags.seed;
  request.batch = flags.batch_size;
  request.denoising = {.sampler = generate::sampler_named(flags.sampler),
                       .steps = flags.steps,
                       .guidance = flags.guidance,
                       .guidance_from = flags.guidance_interval[0],
                       .guidance_to = flags.guidance_interval[1],
                       .guided_channels = flags.guided_channels,
                       .diffusion = generate::diffusion_named(flags.sde_diffusion),
                       .last_step = generate::last_step_named(flags.last_step)};
  generate::check_request(checkpoint.denoiser(), request, "lmms sample");
  return request;
}

/// One line on the terminal while images are made; nothing where stderr is none.
class Bar {
 public:
  explicit Bar(int64_t images) : images_(images), drawn_(draws_in_place(stderr)) {}
  ~Bar() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }
  void show(double share) {
    const auto now = Clock::now();
    if (!drawn_ || now < next_) return;
    next_ = now + std::chrono::milliseconds(100);
    const double taken = std::chrono::duration<double>(now - begun_).count();
    const int cells = std::clamp(columns_of(stderr, 80) - 50, 5, 30);
    const auto full = static_cast<size_t>(share * cells);
    std::fprintf(stderr, "\r\033[K[%s%s] %3.0f %% of %lld images | %s left",
                 std::string(full, '#').c_str(),
                 std::string(static_cast<size_t>(cells) - full, '.').c_str(), 100 * share,
                 static_cast<long long>(images_),
                 share > 0 ? train::text_of_seconds(taken * (1 - share) / share).c_str() : "?");
    std::fflush(stderr);
  }

 private:
  using Clock = std::chrono::steady_clock;
  int64_t images_;
  bool drawn_;
  Clock::time_point begun_ = Clock::now(), next_{};
};

fs::path file_of(const generate::ImageRequest& request, const fs::path& folder, int64_t image,
                 int64_t classes) {
  const int64_t c = request.class_of(image);
  return folder / fmt::format("class-{}-{}.png", c == classes ? "none" : fmt::format("{}", c),
                              image % request.per_class);
}

/// Before the first step: a file that cannot be written must not cost the images.
void check_output(const SampleFlags& flags) {
  const fs::path output = flags.output;
  if (flags.separate) {
    if (fs::exists(output) && !fs::is_directory(output))
      throw Error("--output " + flags.output, "is a file", "name a folder beside --separate");
    fs::create_directories(output);
    return;
  }
  if (fs::is_directory(output)) {
    throw Error("--output " + flags.output, "is a folder",
                "name a file such as " + (output / "samples.png").string() +
                    ", or add --separate for a file an image");
  }
  if (output.extension() != ".png")
    throw Error("--output " + flags.output, "is no name of a PNG file", "let it end in .png");
  if (output.has_parent_path()) fs::create_directories(output.parent_path());
}

struct Made {
  std::vector<media::Image> images;
  std::vector<std::string> files;
  media::GridOptions grid;
  double seconds = 0;
  bool stopped = false;
};

Made make(const SampleFlags& flags, const generate::DenoiserCheckpoint& checkpoint,
          const generate::ImageRequest& request) {
  Made out;
  const StopSignals signals;
  const auto begun = std::chrono::steady_clock::now();
  {
    Bar bar(request.count());
    generate::ImageHooks hooks;
    hooks.stop = [&] { return signals.received() != 0; };
    hooks.progress = [&](double share) { bar.show(share); };
    hooks.made = [&](int64_t index, const media::Image& image) {
      if (!flags.separate) return;
      const fs::path file = file_of(request, flags.output, index, checkpoint.denoiser().classes());
      write_atomically(file, media::encode_png(image));
      out.files.push_back(file.string());
    };
    out.images =
        generate::make_images(checkpoint.forward(), checkpoint.autoencoder(), request, hooks);
  }
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  out.stopped = std::ssize(out.images) < request.count();
  if (out.images.empty()) return out;
  out.grid = generate::grid_for(request,
                                std::max(out.images.front().width(), out.images.front().height()));
  if (flags.columns)
    out.grid.columns = static_cast<int>(std::min<int64_t>(*flags.columns, 1 << 20));
  if (!flags.separate) {
    write_atomically(flags.output, media::encode_png(media::image_grid(out.images, out.grid)));
    out.files.push_back(flags.output);
  }
  return out;
}

void print_json(const SampleFlags& flags, const generate::DenoiserCheckpoint& checkpoint,
                const generate::ImageRequest& request, const Made& made) {
  const nlohmann::ordered_json out = {{"files", made.files},
                                      {"images", made.images.size()},
                                      {"asked", request.count()},
                                      {"classes", request.classes},
                                      {"per_class", request.per_class},
                                      {"columns", made.grid.columns},
                                      {"seed", request.seed},
                                      {"sampler", flags.sampler},
                                      {"steps", flags.steps},
                                      {"guidance", flags.guidance},
                                      {"checkpoint", checkpoint.folder.string()},
                                      {"ema", checkpoint.average},
                                      {"vae", checkpoint.vae_folder.string()},
                                      {"seconds", made.seconds}};
  std::printf("%s\n", out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void print_text(const SampleFlags& flags, const generate::DenoiserCheckpoint& checkpoint,
                const generate::ImageRequest& request, const Made& made) {
  const bool seen = draws_in_place(stdout) && !flags.no_draw;
  if (seen) {
    media::GridOptions small = made.grid;
    small.scale = 1;
    const int columns = std::min(terminal_columns(1, 80) - 1, 80);
    std::fputs(
        media::block_picture(media::image_grid(made.images, small), columns, wants_colour(stdout))
            .c_str(),
        stdout);
  }
  const std::vector<std::string> labels = generate::class_labels(
      checkpoint.network.model->config(), checkpoint.denoiser().classes(), request.classes);
  std::string order;
  for (const std::string& label : labels) order += (order.empty() ? "" : ", ") + label;
  const std::string how = request.per_class > 1
                              ? fmt::format("{} images each, row by row", request.per_class)
                              : std::string("an image each, row by row");
  std::printf("classes %s: %s\n", order.c_str(), how.c_str());
  std::printf("%zu images in %s, by %s: %s\n", made.images.size(),
              train::text_of_seconds(made.seconds).c_str(),
              checkpoint.average ? "the averaged weights" : "the weights",
              flags.separate ? flags.output.c_str() : made.files.front().c_str());
}

Exit run(const SampleFlags& flags, const train::Registries& registries) {
  check_output(flags);
  const generate::DenoiserCheckpoint checkpoint = open_checkpoint(flags, registries.models);
  const generate::ImageRequest request = request_of(flags, checkpoint);
  const Made made = make(flags, checkpoint, request);
  if (made.images.empty()) {
    std::fprintf(stderr, "stopped before an image was done: nothing is written\n");
    return Exit::interrupted;
  }
  if (flags.json) {
    print_json(flags, checkpoint, request, made);
  } else {
    print_text(flags, checkpoint, request, made);
  }
  if (!made.stopped) return Exit::done;
  std::fprintf(stderr, "stopped: %zu of %lld images were done, and are written\n",
               made.images.size(), static_cast<long long>(request.count()));
  return Exit::interrupted;
}

}  // namespace

void add_sample(CLI::App& app, train::Registries& registries, Outcome& outcome) {
  CLI::App* command = app.add_subcommand("sample", "Let a denoiser make images");
  auto flags = std::make_shared<SampleFlags>();
  add_options(*command, *flags);
  add_plugin_option(*command, registries);
  command->callback([flags, &registries, &outcome] { outcome.exit = run(*flags, registries); });
}

}  // namespace lmms::app
