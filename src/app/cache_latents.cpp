#include "train/cache_latents.h"

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "app/commands.h"
#include "app/environment.h"
#include "app/usage.h"
#include "core/format.h"
#include "core/log.h"
#include "core/signals.h"
#include "core/units.h"

namespace lmms::app {
namespace {

struct CacheWords {
  std::vector<std::string> config;
  train::CacheOptions options;
  std::string output, dtype = "float32";
};

checkpoint::DType dtype_of(const std::string& name) {
  if (name == "float16") return checkpoint::DType::f16;
  return name == "bfloat16" ? checkpoint::DType::bf16 : checkpoint::DType::f32;
}

/// A line at least every ten seconds, or one that is drawn anew where stderr is a terminal.
class Progress {
 public:
  void show(int64_t done, int64_t all) {
    const auto now = Clock::now();
    if (now < next_ && done < all) return;
    const bool in_place = draws_in_place(stderr);
    next_ = now + (in_place ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10'000));
    const double seconds = std::chrono::duration<double>(now - begun_).count();
    if (first_ < 0) first_ = done;
    const double rate = seconds > 0 ? double(done - first_) / seconds : 0;
    std::fprintf(stderr, "%s%lld of %lld images, %.1f images/s%s", in_place ? "\r\033[K" : "",
                 static_cast<long long>(done), static_cast<long long>(all), rate,
                 in_place ? "" : "\n");
    std::fflush(stderr);
    drawn_ = in_place;
  }
  ~Progress() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begun_ = Clock::now(), next_{};
  int64_t first_ = -1;
  bool drawn_ = false;
};

Exit run(CacheWords& words, const train::Registries& registries) {
  refuse_many_ranks();
  const train::LoadedConfig loaded = train::load_train_config(words.config, home(), registries);
  const train::Place here = place();
  train::check_paths(loaded, here.hub_cache, train::Reads::data);
  words.options.output = words.output;
  words.options.dtype = dtype_of(words.dtype);
  const StopSignals signals;
  Progress progress;
  words.options.stop = [&] { return signals.received() != 0; };
  words.options.progress = [&](int64_t done, int64_t all) { progress.show(done, all); };
  const train::CacheSummary made = train::cache_latents(loaded, here, words.options);
  const std::string skipped =
      made.skipped > 0 ? fmt::format(", {} skipped", made.skipped) : std::string();
  if (!made.finished) {
    log::info(fmt::format("stopped: {} images are kept in {}; the same command goes on",
                          made.images, words.output));
    return Exit::interrupted;
  }
  log::info(fmt::format("{}: latents of {} images ({} were there already{}), {:.1f} MB",
                        words.output, made.images, made.found, skipped, double(made.bytes) / 1e6));
  log::info(
      fmt::format("train on them: dataset_config.dataset_format=latents "
                  "dataset_config.dataset_path={}",
                  words.output));
  return Exit::done;
}

}  // namespace

void add_cache_latents(CLI::App& app, const train::Registries& registries, Outcome& outcome) {
  CLI::App* command = app.add_subcommand(
      "cache-latents", "Encode a config's images once, so that training reads latents");
  auto words = std::make_shared<CacheWords>();
  add_config_words(*command, words->config, "dataset_config.dataset_path=images");
  command->add_option("--output", words->output, "The folder of the cache")
      ->required()
      ->type_name("FOLDER");
  command
      ->add_option("--dtype", words->dtype,
                   "Number type of the latents. float32 trains as encoding in every step does; "
                   "float16 and bfloat16 halve the files")
      ->check(CLI::IsMember({"float32", "float16", "bfloat16"}))
      ->capture_default_str();
  command->add_option("--batch-size", words->options.batch, "Images encoded together")
      ->check(CLI::Range(int64_t{1}, int64_t{4096}))
      ->capture_default_str();
  command
      ->add_option("--threads", words->options.threads,
                   "Threads that read and decode images (0: by the machine)")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command
      ->add_option("--shard", words->options.rows_per_shard,
                   "Images of a file; a run that is killed loses at most the file it is at")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24))
      ->capture_default_str();
  command->add_flag("--eval", words->options.evaluation, "The evaluation data instead");
  command->add_flag("--cpu", words->options.use_cpu, "The CPU even where there is a GPU");
  command->footer(
      "\nEncodes every image as it is and mirrored, with the autoencoder of vae_path in the "
      "model's "
      "config, and writes mean and deviation of both. Run it again to go on where it was stopped; "
      "a folder with latents of another autoencoder, data set or size is refused.");
  command->callback([words, &registries, &outcome] { outcome.exit = run(*words, registries); });
}

}  // namespace lmms::app
