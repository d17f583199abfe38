#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "app/commands.h"
#include "core/format.h"
#include "core/log.h"
#include "generate/frechet.h"

namespace lmms::app {
namespace {

using generate::FeatureStatistics;

std::string size_of(const FeatureStatistics& statistics) {
  return statistics.samples > 0 ? fmt::format("{} samples", statistics.samples) : "statistics";
}

void print_distance(const std::string& reference, const std::string& samples, bool json) {
  const FeatureStatistics a = generate::read_feature_statistics(reference),
                          b = generate::read_feature_statistics(samples);
  const int64_t D = a.mean.size(0);
  if (b.mean.size(0) != D) {
    throw Error(samples,
                fmt::format("has {} features, and {} has {}", b.mean.size(0), reference, D),
                "take the features of one network for both");
  }
  for (const auto& [name, one] : {std::pair(&reference, &a), std::pair(&samples, &b)}) {
    if (one->samples > 0 && one->samples <= D) {
      log::warning(
          fmt::format("{}: {} samples of {} features: the distance is far too large with so "
                      "few; papers take 50000",
                      *name, one->samples, D));
    }
  }
  const double distance = generate::frechet_distance(a, b);
  if (json) {
    const nlohmann::json line = {{"frechet_distance", distance},
                                 {"features", D},
                                 {"reference_samples", a.samples},
                                 {"samples", b.samples}};
    std::printf("%s\n", line.dump().c_str());
    return;
  }
  std::printf("%.4f  Frechet distance of %lld features, %s against %s\n", distance,
              static_cast<long long>(D), size_of(b).c_str(), size_of(a).c_str());
}

}  // namespace

void add_fid(CLI::App& app, Outcome&) {
  CLI::App* command = app.add_subcommand(
      "fid", "Compute the Frechet distance between two files of features (FID for Inception's)");
  auto reference = std::make_shared<std::string>(), samples = std::make_shared<std::string>();
  command->add_option("reference", *reference, "of the real images: .npz, .npy or .safetensors")
      ->required()
      ->type_name("FILE");
  command->add_option("samples", *samples, "of the generated ones")->required()->type_name("FILE");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "one line of JSON; 0 samples: the file does not say");
  command->footer(
      "\nA file holds features [images, features], or mu and sigma as pytorch-fid writes them. "
      "Nothing\n"
      "is downloaded: compute features of the reference and of images of `lmms sample` with one\n"
      "network.");
  command->callback([reference, samples, json] { print_distance(*reference, *samples, *json); });
}

}  // namespace lmms::app
