#include "data/dataset.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/format.h"
#include "core/nearest.h"
#include "core/rng.h"

namespace lmms::data {
namespace {

/// More samples an epoch than this would make sums of ordinals leave 64 bits.
constexpr double kMostRows = 1e15;

Result<Dataset::Part> open_part(const SourceConfig& config, const SourceLimits& limits) {
  if (!(config.weight >= 0) || !std::isfinite(config.weight)) {
    return Fault{config.path, fmt::format("weight {}: expected a number >= 0", config.weight), ""};
  }
  const auto format = format_of(config);
  if (!format) return format.fault();
  auto source = open_source(config.path, *format, limits);
  if (!source) return source.fault();
  const int64_t rows = (*source)->size();
  const double samples = std::round(config.weight * static_cast<double>(rows));
  if (rows == 0) return Fault{config.path, "holds no row", "remove it from the data set"};
  if (samples > kMostRows) {
    return Fault{config.path, fmt::format("weight {}: too many samples", config.weight), ""};
  }
  if (samples == 0 && config.weight > 0) {
    return Fault{config.path,
                 fmt::format("weight {} of {} rows rounds to no sample", config.weight, rows),
                 fmt::format("give it at least {:.3g}, or 0 to leave it out",
                             0.5 / static_cast<double>(rows))};
  }
  return Dataset::Part{.summary = {.path = config.path,
                                   .format = std::string(format_name(*format)),
                                   .data_folder = config.data_folder,
                                   .weight = config.weight,
                                   .rows = rows,
                                   .samples_per_epoch = static_cast<int64_t>(samples)},
                       .source = *std::move(source)};
}

}  // namespace

Result<Format> format_of(const SourceConfig& config) {
  if (!config.data_type) {
    if (auto format = infer_format(config.path)) return *format;
    return Fault{config.path, "its suffix tells no data type",
                 "set data_type: json | jsonl | csv | arrow | parquet | image_folder | latents"};
  }
  if (auto format = parse_format(*config.data_type)) return *format;
  const std::array<std::string, 7> names = {"json",    "jsonl",        "csv",    "arrow",
                                            "parquet", "image_folder", "latents"};
  const auto nearest = nearest_name(*config.data_type, names);
  return Fault{
      config.path,
      fmt::format("unknown data_type '{}'; expected json | jsonl | csv | arrow | parquet | "
                  "image_folder | latents",
                  *config.data_type),
      nearest ? fmt::format("did you mean '{}'?", *nearest) : ""};
}

Result<std::shared_ptr<Dataset>> Dataset::open(const DatasetOptions& options) {
  std::vector<Part> parts;
  SourceLimits limits = options.limits;
  limits.memory_bytes /= std::max<int64_t>(1, static_cast<int64_t>(options.sources.size()));
  for (const auto& config : options.sources) {
    auto part = open_part(config, limits);
    if (!part) return part.fault();
    parts.push_back(*std::move(part));
  }
  auto dataset = std::make_shared<Dataset>(std::move(parts), options.shuffle, options.seed);
  if (dataset->rows_per_epoch() == 0) {
    return Fault{"dataset_config", "no source contributes a sample",
                 "name at least one source with a weight above 0"};
  }
  return dataset;
}

Dataset::Dataset(std::vector<Part> parts, bool shuffle, uint64_t seed)
    : shuffle_(shuffle), seed_(seed) {
  for (auto& part : parts) {
    parts_.push_back({.source = std::move(part.source),
                      .data_folder = std::make_shared<const std::string>(part.summary.data_folder),
                      .first = rows_per_epoch_});
    rows_per_epoch_ += part.summary.samples_per_epoch;
    summaries_.push_back(std::move(part.summary));
  }
}

Place Dataset::place(int64_t epoch, int64_t position) const {
  using rng::Permutation;
  using rng::Purpose;
  if (shuffle_) {
    const Permutation order(static_cast<uint64_t>(rows_per_epoch_),
                            rng::key(seed_, Purpose::shuffle), static_cast<uint64_t>(epoch));
    position = static_cast<int64_t>(order(static_cast<uint64_t>(position)));
  }
  const auto after =
      std::upper_bound(parts_.begin(), parts_.end(), position,
                       [](int64_t value, const Opened& part) { return value < part.first; });
  const auto source = static_cast<size_t>(after - parts_.begin() - 1);
  const auto& summary = summaries_[source];
  // The place in the source's endless sequence of permutations.
  const int64_t drawn = epoch * summary.samples_per_epoch + position - parts_[source].first;
  int64_t row = drawn % summary.rows;
  // An epoch of whole permutations is shuffled already.
  if (shuffle_ && summary.samples_per_epoch % summary.rows != 0) {
    const auto repetition = static_cast<uint64_t>(drawn / summary.rows);
    const Permutation order(static_cast<uint64_t>(summary.rows), rng::key(seed_, Purpose::mixture),
                            uint64_t{source} << 40 ^ repetition);
    row = static_cast<int64_t>(order(static_cast<uint64_t>(row)));
  }
  return {static_cast<int32_t>(source), row};
}

Result<Record> Dataset::read(const Place& place) const {
  const auto& part = parts_[static_cast<size_t>(place.source)];
  auto record = part.source->read(place.row);
  if (record) record->data_folder = part.data_folder;
  return record;
}

std::vector<std::vector<SourceFile>> Dataset::files() const {
  std::vector<std::vector<SourceFile>> all(parts_.size());
  for (size_t s = 0; s < parts_.size(); ++s) {
    if (summaries_[s].samples_per_epoch > 0) all[s] = parts_[s].source->files();
  }
  return all;
}

}  // namespace lmms::data
