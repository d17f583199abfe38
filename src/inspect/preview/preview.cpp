#include "inspect/preview/preview.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/format.h"
#include "data/collate.h"
#include "data/head.h"
#include "data/latents.h"
#include "data/media_format.h"
#include "data/packer.h"
#include "data/sample_reader.h"
#include "media/thumbnail.h"
#include "objectives/interpolant.h"

namespace lmms::inspect::preview {
namespace {

constexpr int64_t kRowsPerSource = 3;
constexpr int64_t kMostByDefault = 24;  // samples of all sources, where -n says nothing

/// A record, or why it could not be read, on its way to a sample.
struct ReadRecord {
  int32_t source = 0;
  Result<data::Record> record;
};

Source describe(const data::SourceConfig& config, const data::SourceHead& head) {
  Source source;
  source.path = config.path;
  source.format = data::format_name(head.format());
  source.weight = config.weight;
  source.files = static_cast<int64_t>(head.files().size());
  source.bytes = head.total_bytes();
  return source;
}

/// The first rows of each source.
void read_heads(const std::vector<data::SourceConfig>& sources, const Options& options,
                Preview& preview, std::vector<ReadRecord>& reads) {
  size_t shown = sources.size();
  int64_t each = kRowsPerSource;
  if (options.rows_per_source) {
    each = *options.rows_per_source;
  } else if (shown * kRowsPerSource > kMostByDefault) {
    shown = std::min<size_t>(shown, kMostByDefault);
    each = kMostByDefault / static_cast<int64_t>(shown);
  }
  preview.sources_left_out = static_cast<int64_t>(sources.size() - shown);
  for (size_t s = 0; s < shown; ++s) {
    auto head = data::SourceHead::open(sources[s]).take();
    Source source = describe(sources[s], head);
    while (source.shown < each) {
      auto record = head.next();
      if (!record) {
        source.to_the_end = true;
        break;
      }
      ++source.shown;
      reads.push_back({static_cast<int32_t>(s), *std::move(record)});
    }
    if (source.shown == 0)
      throw Error(sources[s].path, "holds no row", "remove it from the data set");
    source.bytes_looked_at = head.bytes_passed();
    preview.sources.push_back(std::move(source));
  }
}

void read_named(const std::vector<data::SourceConfig>& sources, const Options& options,
                Preview& preview, std::vector<ReadRecord>& reads) {
  data::NamedRows rows(sources);
  for (const auto& name : options.named_rows) {
    auto found = rows.read(name);
    if (!found) throw Error("--row " + found.fault().where, found.fault().what, found.fault().fix);
    reads.push_back({found->source, std::move(found->record)});
  }
  for (const auto& config : sources) {
    preview.sources.push_back(describe(config, data::SourceHead::open(config).take()));
  }
  for (const auto& read : reads) ++preview.sources[static_cast<size_t>(read.source)].shown;
}

/// Of tokens [start, start + length).
struct Extent {
  int32_t start = 0, length = 0;
};

Tokens slice(const data::Batch& batch, const Extent& segment) {
  const auto cut = [&](const auto& values, int64_t offset = 0) {
    const auto begin = values.begin() + offset + segment.start;
    return std::vector(begin, begin + segment.length);
  };
  Tokens out{
      cut(batch.input_ids), cut(batch.labels), cut(batch.weights), cut(batch.position_ids), {}, {}};
  if (batch.position_ids.size() > batch.input_ids.size()) {
    out.heights = cut(batch.position_ids, batch.tokens());
    out.widths = cut(batch.position_ids, 2 * batch.tokens());
    // of a sample of text in a row with images
    if (out.heights == out.positions && out.widths == out.positions) out.heights = out.widths = {};
  }
  return out;
}

constexpr int64_t kMostPictures = 24;  // of one video, or of the tiles of one image

Picture picture_of(const data::TowerView& view, bool one_of_many) {
  const media::ThumbnailOptions size =
      one_of_many ? media::ThumbnailOptions{.side = 256, .most_bytes = 12'000}
                  : media::ThumbnailOptions{.side = 768, .most_bytes = 64'000};
  return {.url = media::thumbnail_url(view.picture, size),
          .width = view.picture.width(),
          .height = view.picture.height(),
          .rows = view.rows,
          .columns = view.columns,
          .label = view.label};
}

/// "image/png in the record" of a data: URL; any other name as it is.
std::string short_name(const std::string& name) {
  constexpr std::string_view kData = "data:";
  if (!name.starts_with(kData)) return name;
  const size_t end = std::min(name.find_first_of(";,"), name.size());
  return name.substr(kData.size(), end - kData.size()) + " in the record";
}

/// The media of a record; `tokens`: which of the sample's take features, ascending.
std::vector<Medium> media_of(const std::vector<data::MediumView>& views,
                             const std::vector<int32_t>& tokens) {
  std::vector<Medium> out;
  size_t next = 0;
  for (const auto& view : views) {
    Medium medium;
    medium.video = view.medium.kind == data::Part::Kind::video;
    medium.name = short_name(view.medium.name);
    medium.width = view.medium.size.width;
    medium.height = view.medium.size.height;
    medium.grid = view.medium.grid;
    for (const auto& run : view.medium.pads) medium.tokens += run.tokens;
    for (int64_t k = 0; k < medium.tokens && next < tokens.size(); ++k, ++next) {
      const int64_t t = tokens[next];
      if (medium.runs.empty() || medium.runs.back().end != t) medium.runs.push_back({t, t});
      ++medium.runs.back().end;
    }
    const auto count = static_cast<int64_t>(view.views.size());
    const int64_t shown = std::min(count, kMostPictures);
    for (int64_t i = 0; i < shown; ++i)  // evenly over all of them
      medium.pictures.push_back(
          picture_of(view.views[static_cast<size_t>(i * count / shown)], count > 1));
    medium.pictures_left_out = count - shown;
    out.push_back(std::move(medium));
  }
  return out;
}

std::string policy_of(const data::DataConfig& c, const data::Outcome& outcome) {
  const auto name = [](auto value) {
    for (const auto& entry : enum_names(value)) {
      if (entry.value == value) return std::string(entry.name);
    }
    return std::string("?");
  };
  if (outcome.truncated) return "on_overlong: " + name(c.overlong());
  switch (outcome.reason) {
    case data::SkipReason::bad:
      return "on_bad_sample: " + name(c.on_bad_sample);
    case data::SkipReason::overlong:
      return "on_overlong: " + name(c.overlong());
    case data::SkipReason::empty:
    case data::SkipReason::unsupervised:
      return "under every policy";
  }
  return "";
}

/// Turns by the token that opens one, as the model sees them: one that a text contains counts too.
std::vector<Turn> turns_of(const Sample& sample, const text::Tokenizer& tokenizer, int32_t start) {
  const Tokens& tokens = sample.tokens;
  std::vector<Turn> turns;
  for (int64_t t = 0; t < tokens.size(); ++t) {
    const auto i = static_cast<size_t>(t);
    if (turns.empty() || tokens.ids[i] == start) turns.push_back({"", t, t, 0});
    turns.back().end = t + 1;
    turns.back().trained +=
        sample.masked ? tokens.weights[i] > 0 : t > 0 && tokens.weights[i - 1] > 0;
  }
  for (auto& turn : turns) {
    if (tokens.ids[static_cast<size_t>(turn.begin)] != start) continue;
    constexpr int64_t kLongestRole = 16;  // tokens
    for (int64_t t = turn.begin + 1; t < std::min(turn.end, turn.begin + kLongestRole); ++t) {
      turn.role += tokenizer.bytes(tokens.ids[static_cast<size_t>(t)]);
      // what stands behind it: a line break, a space, an image or another token
      if (const size_t end = turn.role.find_first_of("\n <"); end != std::string::npos) {
        turn.role.resize(end);
        break;
      }
    }
  }
  return turns;
}

/// Planes in [-1, 1] as a picture: the first three as colours, or one as grey. Latents are brought
/// from about [-3, 3].
media::Image image_of(const std::vector<float>& planes, int64_t channels, int64_t height,
                      int64_t width, bool latent) {
  media::Image image(static_cast<int>(width), static_cast<int>(height));
  const size_t pixels = static_cast<size_t>(height * width);
  uint8_t* out = image.pixels().data();
  for (size_t i = 0; i < pixels; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      const float value = planes[(channels < 3 ? 0 : c) * pixels + i];
      const float level = latent ? value / 3.0f : value;
      *out++ = static_cast<uint8_t>(std::clamp(level * 127.5f + 127.5f, 0.0f, 255.0f));
    }
  }
  return image;
}

/// The sample as the model sees it, x_t = alpha x1 + sigma x0, beside the data x1. Pixels that an
/// autoencoder encodes in the step are noised there: of them the image alone.
std::vector<Picture> pictures_of(const data::Sample& made, const Input::Denoising& denoising) {
  const models::LatentShape& shape = denoising.shape;
  std::vector<Picture> out;
  if (const auto& pixels = made.media.of(data::kPixels).values; !pixels.empty()) {
    const auto side = static_cast<int64_t>(std::lround(std::sqrt(double(pixels.size()) / 3)));
    out.push_back(picture_of(
        {.picture = image_of(pixels, 3, side, side, false), .label = "as the autoencoder takes it"},
        false));
    return out;
  }
  const auto& clean = made.media.of(data::kLatents).values;
  if (clean.empty()) return out;
  const auto add = [&](const std::vector<float>& tokens, std::string label) {
    const auto planes =
        data::to_planes(tokens, shape.channels, shape.height, shape.width, shape.patch);
    const bool latent = shape.channels != 3 && shape.channels != 1;
    out.push_back(
        picture_of({.picture = image_of(planes, shape.channels, shape.height, shape.width, latent),
                    .label = std::move(label)},
                   false));
  };
  add(clean, "t = 1, the data");
  const auto time = made.extras.find(data::kTime), noise = made.extras.find(data::kNoise);
  if (time == made.extras.end() || noise == made.extras.end() ||
      noise->second.size() != clean.size())
    return out;
  const auto at = objectives::path_at(denoising.path, double(time->second.front()));
  std::vector<float> noisy(clean.size());
  for (size_t i = 0; i < clean.size(); ++i)
    noisy[i] = static_cast<float>(at.alpha * clean[i] + at.sigma * noise->second[i]);
  add(noisy, fmt::format("t = {:.2f}, what the model sees", time->second.front()));
  return out;
}

/// What is shown of a sample of a denoiser.
void add_image(Sample& sample, const data::Sample& made, const data::Record& record,
               const data::Processor& processor, const Input& input, bool pictures) {
  sample.patches = made.length();
  if (const auto found = made.extras.find(data::kClass); found != made.extras.end())
    sample.image_class = static_cast<int64_t>(found->second.front());
  if (const auto times = made.extras.find(data::kTime); times != made.extras.end())
    sample.times = times->second;
  sample.media = media_of(processor.view_media(record, data::Pixels::none), {});
  if (sample.media.empty()) sample.media.emplace_back().name = "latent of the cache";
  Medium& medium = sample.media.front();
  medium.grid = {1, input.denoising->shape.rows(), input.denoising->shape.columns()};
  medium.tokens = sample.patches;
  if (pictures) medium.pictures = pictures_of(made, *input.denoising);
}

using SamplePtr = std::shared_ptr<const data::Sample>;

/// What training makes of a record, and the sample: also of one that is not trained, if it has one.
struct PreparedSample {
  Sample sample;
  std::optional<data::PackItem> item;
  SamplePtr made;
};

PreparedSample prepare(const ReadRecord& read, int64_t ordinal, const Input& input,
                       const data::SampleFactory& factory, data::Pixels pixels) {
  const data::DataConfig& c = input.data;
  const data::Processor& processor = *input.processor;
  PreparedSample prepared;
  const data::Outcome outcome = factory.measure(read.record, ordinal);
  Sample& sample = prepared.sample;
  sample.source = read.source;
  sample.origin = read.record ? read.record->origin.text() : read.record.fault().where;
  sample.fault = outcome.fault;
  sample.reason = outcome.reason;
  if (outcome.item) {
    sample.fate = outcome.truncated ? Fate::cut : Fate::trained;
    prepared.item = outcome.item;
    prepared.made = outcome.sample ? outcome.sample : factory.make(*read.record, *outcome.item);
  } else {
    sample.fate = outcome.fatal ? Fate::stops : Fate::skipped;
    if (read.record) {
      if (auto made = processor.process(*read.record)) {
        prepared.made = std::make_shared<const data::Sample>(*std::move(made));
      }
    }
  }
  if (sample.fate != Fate::trained) sample.policy = policy_of(c, outcome);
  if (prepared.made && !prepared.made->media.of(kVision).grids.empty())
    sample.media = media_of(processor.view_media(*read.record, pixels),
                            prepared.made->media.of(kVision).tokens);
  if (prepared.made && input.denoising) {
    add_image(sample, *prepared.made, *read.record, processor, input,
              pixels == data::Pixels::decoded);
  }
  return prepared;
}

/// Rows as one lane of training fills them; each sample by itself without packing.
std::vector<data::Bin> pack(const std::vector<PreparedSample>& prepared,
                            const std::optional<data::PackingOptions>& options) {
  std::vector<data::Bin> rows;
  std::optional<data::Packer> packer;
  if (options) packer.emplace(*options);
  for (const auto& one : prepared) {
    if (!one.item) continue;
    if (!packer) {
      rows.emplace_back().add(*one.item);
      continue;
    }
    for (auto& row : packer->add(*one.item)) rows.push_back(std::move(row));
  }
  while (packer) {
    auto row = packer->flush_one();
    if (!row) break;
    rows.push_back(*std::move(row));
  }
  return rows;
}

/// Where each sample of a batch lies.
std::vector<Extent> extents_of(const data::Batch& batch) {
  std::vector<Extent> out(static_cast<size_t>(batch.samples), {.start = -1});
  for (const data::Segment& segment : batch.segments) {
    if (segment.sample < 0) continue;  // the pad
    Extent& extent = out[static_cast<size_t>(segment.sample)];
    if (extent.start < 0) extent.start = segment.start;
    extent.length += segment.length;
  }
  return out;
}

/// What an objective drew for it, and how it laid it out.
void add_drawn(Sample& sample, const data::Sample& made) {
  sample.masked = true;
  if (const auto times = made.extras.find("time"); times != made.extras.end())
    sample.times = times->second;
  if (made.segments.size() < 2) return;
  int64_t begin = 0;
  for (const data::SampleSegment& segment : made.segments) {
    const int64_t end = begin + segment.length;
    sample.blocks.push_back({begin, end, segment.mode == AttentionMode::noise});
    begin = end;
  }
}

void finish(Sample& sample, Tokens tokens, const Input& input) {
  if (!input.tokenizer) return;  // tokens without ids
  sample.tokens = std::move(tokens);
  sample.trained_tokens = std::count_if(sample.tokens.weights.begin(), sample.tokens.weights.end(),
                                        [](float weight) { return weight > 0; });
  // The template of a checkpoint may open turns by no token of its own.
  if (const auto turn = input.processor->turn_tokens();
      turn && turn->start >= 0 && sample.blocks.empty())
    sample.turns = turns_of(sample, *input.tokenizer, turn->start);
}

}  // namespace

Preview make_preview(const Input& input, const Options& options) {
  const data::DataConfig& c = input.data;
  const data::LoaderOptions& loader = input.loader;
  const std::optional<data::PackingOptions>& packing = loader.packing;

  Preview preview(input.tokenizer);
  preview.config = input.config;
  preview.processor_type = c.processor.processor_type;
  preview.tokenizer = input.tokenizer_folder;
  preview.evaluation = input.evaluation;
  preview.mask_token = input.mask_token;
  preview.named = !options.named_rows.empty();
  preview.shuffle = c.shuffle && !input.evaluation;
  std::vector<ReadRecord> reads;
  if (preview.named) {
    read_named(input.sources, options, preview, reads);
  } else {
    read_heads(input.sources, options, preview, reads);
  }

  const data::SampleFactory policies(input.processor, loader.policies, loader.costs, loader.draws);
  const auto pixels = options.pictures ? data::Pixels::decoded : data::Pixels::none;
  std::vector<PreparedSample> prepared;
  for (size_t i = 0; i < reads.size(); ++i) {
    prepared.push_back(prepare(reads[i], static_cast<int64_t>(i), input, policies, pixels));
  }
  for (const auto& bin : pack(prepared, packing)) {
    Row row;
    data::RowSamples samples;
    for (const auto& item : bin.items) {
      row.samples.push_back(item.ordinal);
      samples.push_back(prepared[static_cast<size_t>(item.ordinal)].made);
    }
    row.tokens = bin.length;
    row.patches = bin.media.of(kVision).patches;
    const data::Batch batch = data::collate({&samples, 1}, loader.pad_multiple, loader.pad_id);
    const std::vector<Extent> extents = extents_of(batch);
    for (size_t i = 0; i < extents.size(); ++i) {
      auto& one = prepared[static_cast<size_t>(row.samples[i])];
      one.sample.row = static_cast<int64_t>(preview.rows.size());
      if (input.mask_token) add_drawn(one.sample, *one.made);
      finish(one.sample, slice(batch, extents[i]), input);
    }
    preview.rows.push_back(std::move(row));
  }
  for (auto& one : prepared) {
    if (!one.sample.row && one.made) {
      const data::RowSamples alone = {one.made};
      const data::Batch batch = data::collate({&alone, 1}, 1, loader.pad_id);
      finish(one.sample, slice(batch, extents_of(batch).front()), input);
    }
    preview.samples.push_back(std::move(one.sample));
  }
  if (packing) {
    for (const auto& entry : enum_names(packing->strategy)) {
      if (entry.value == packing->strategy) preview.packing = entry.name;
    }
    preview.row_length = packing->length;
    preview.row_patches = packing->media.of(kVision).patches;
    preview.open_rows =
        packing->strategy == data::PackingStrategy::sequential ? 1 : packing->num_open_bins;
  }
  return preview;
}

}  // namespace lmms::inspect::preview
