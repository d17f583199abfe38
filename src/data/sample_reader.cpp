#include "data/sample_reader.h"

#include <algorithm>

#include "core/format.h"
#include "data/unreadable.h"

namespace lmms::data {
namespace {

int64_t patches_of(const std::vector<PatchGrid>& grids) {
  int64_t patches = 0;
  for (const PatchGrid& grid : grids) patches += grid.patches();
  return patches;
}

/// Whether anything of it is trained: a drawing may happen to leave a sample without targets that
/// counts all the same.
bool has_targets(const Measured& measured) {
  if (measured.supervised > 0) return true;
  return measured.sample &&
         std::any_of(measured.sample->counts.begin(), measured.sample->counts.end(),
                     [](const auto& term) { return term.second > 0; });
}

}  // namespace

Result<Record> SampleReader::record(int64_t ordinal) const {
  const int64_t rows = dataset_->rows_per_epoch();
  return dataset_->read(dataset_->place(ordinal / rows, ordinal % rows));
}

Outcome SampleFactory::bad(Fault fault) const {
  const bool fatal = policies_.on_bad_sample == OnBadSample::fail;
  if (fatal && fault.fix.find("on_bad_sample") == fault.fix.npos) {
    constexpr auto kSkip = "set dataset_config.on_bad_sample: skip";
    fault.fix = fault.fix.empty() ? fmt::format("correct the record, or {}", kSkip)
                                  : fmt::format("{}, or {}", fault.fix, kSkip);
  }
  Outcome outcome;
  outcome.reason = SkipReason::bad;
  outcome.fault = std::move(fault);
  outcome.fatal = fatal;
  return outcome;
}

std::optional<Outcome> SampleFactory::overlong(Fault fault) const {
  Outcome outcome;
  outcome.reason = SkipReason::overlong;
  outcome.fault = std::move(fault);
  switch (policies_.on_overlong) {
    case OnOverlong::drop:
      outcome.fault.fix.clear();
      return outcome;
    case OnOverlong::fail:
      outcome.fatal = true;
      return outcome;
    case OnOverlong::truncate:
      break;
  }
  return std::nullopt;
}

std::optional<Outcome> SampleFactory::limit_length(Measured& measured,
                                                   const std::shared_ptr<const Sample>& whole,
                                                   const Origin& origin) const {
  const int64_t length = whole ? whole->length() : measured.length;
  const std::string laid_out =
      length == measured.length ? "" : fmt::format(" ({} before it is laid out)", length);
  const Fault fault{
      origin.text(),
      fmt::format("{} tokens{}, the limit is {}", measured.length, laid_out, policies_.max_length),
      "raise dataset_config.max_length (packing_length with packing), or set "
      "dataset_config.on_overlong: drop or truncate"};
  if (auto stopped = overlong(fault)) return stopped;
  if (!whole || !measured.media.empty())
    return bad({origin.text(), "too long, and media cannot be cut", ""});
  measured = measure_sample(fitted(*whole));
  if (measured.length > policies_.max_length)
    return bad({origin.text(), fault.what + ", and no beginning of it is within that", ""});
  return std::nullopt;
}

void SampleFactory::lay_out(Sample& sample) const {
  if (draws_.drawing) draws_.drawing->lay_out(sample);
}

std::optional<Fault> SampleFactory::lay_out(Measured& measured, const Record& record) const {
  if (!lays_out()) return std::nullopt;
  Sample sample;
  if (measured.sample) {
    sample = *measured.sample;
  } else {
    auto made = processor_->process(record);
    if (!made) return made.fault();
    sample = *std::move(made);
  }
  lay_out(sample);
  measured.length = sample.length();
  measured.supervised = sample.supervised();
  measured.decoded = measured.sample && measured.decoded;
  measured.sample = std::make_shared<const Sample>(std::move(sample));
  return std::nullopt;
}

Sample SampleFactory::fitted(Sample sample) const {
  const int64_t limit = policies_.max_length;
  if (!lays_out()) {
    truncate(sample, limit);
    return sample;
  }
  for (int64_t kept = sample.length();;) {
    Sample out = sample;
    truncate(out, kept);
    lay_out(out);
    const int64_t excess = out.length() - limit;
    if (excess <= 0 || kept <= 1) return out;
    // where tokens are laid out twice, half of them: no beginning that fits is passed over
    kept = std::max<int64_t>(1, kept - (out.length() == kept ? excess : (excess + 1) / 2));
  }
}

std::optional<Outcome> SampleFactory::limit_media(const Measured& measured,
                                                  const Origin& origin) const {
  for (const MediaCount& limit : policies_.max_media) {
    const int64_t patches = patches_of(measured.media.of(limit.kind).grids);
    if (patches <= limit.patches) continue;
    const bool vision = limit.kind == kVision;
    const Fault fault{origin.text(),
                      fmt::format("{} patches of {}, a row takes {}", patches,
                                  vision ? "images and videos" : limit.kind, limit.patches),
                      vision ? "raise dataset_config.packing_patches, make images smaller "
                               "(processor_config.extra_kwargs: {image_max_pixels: ...}), or set "
                               "dataset_config.on_overlong: drop"
                             : "make its media smaller, or set dataset_config.on_overlong: drop"};
    if (auto stopped = overlong(fault)) return stopped;
    return bad({fault.where, fault.what + ", and media cannot be cut", ""});
  }
  return std::nullopt;
}

void SampleFactory::draw(Sample& sample, int64_t ordinal) const {
  const int64_t length = sample.length();
  draws_.drawing->draw(sample, DrawKey(draws_.seed, ordinal));
  if (sample.length() == length) return;
  throw Error(sample.origin.text(),
              fmt::format("the objective's draw ({}) made {} tokens of {}", draws_.drawing->name(),
                          sample.length(), length),
              "a draw must keep the length of a sample", Exit::failed);
}

std::optional<Fault> SampleFactory::draw(Measured& measured, const Record& record,
                                         int64_t ordinal) const {
  if (!draws_.drawing) return std::nullopt;
  Sample sample;
  if (measured.sample) {
    sample = *measured.sample;
  } else {
    auto made = processor_->process(record);
    if (!made) return made.fault();
    sample = *std::move(made);
  }
  draw(sample, ordinal);
  const bool keeps = measured.sample && measured.decoded;
  measured.supervised = sample.supervised();
  measured.sample = std::make_shared<const Sample>(std::move(sample));
  measured.decoded = keeps;
  return std::nullopt;
}

Outcome SampleFactory::measure(const Result<Record>& record, int64_t ordinal) const {
  if (!record) return bad(record.fault());
  auto measured = processor_->measure(*record);
  if (!measured) return bad(with_reasons(measured.fault(), record->fields));
  const auto& origin = record->origin;
  Outcome outcome;
  if (measured->length == 0) {
    outcome.reason = SkipReason::empty;
    outcome.fault = {origin.text(), "no token", ""};
    return outcome;
  }
  const std::shared_ptr<const Sample> whole = measured->sample;
  if (auto fault = lay_out(*measured, *record)) return bad(*std::move(fault));
  const int64_t limit = policies_.max_length;
  if (limit > 0 && measured->length > limit) {
    const int64_t length = measured->length;
    if (auto stopped = limit_length(*measured, whole, origin)) return *std::move(stopped);
    outcome.truncated = true;
    outcome.fault = {origin.text(), fmt::format("{} tokens cut to {}", length, measured->length),
                     ""};
  }
  if (auto stopped = limit_media(*measured, origin)) return *std::move(stopped);
  if (auto fault = draw(*measured, *record, ordinal)) return bad(*std::move(fault));
  if (policies_.needs_targets && !has_targets(*measured)) {
    outcome.truncated = false;
    outcome.reason = SkipReason::unsupervised;
    outcome.fault = {origin.text(), "no token of it is trained", ""};
    return outcome;
  }
  outcome.item =
      PackItem{.ordinal = ordinal,
               .length = measured->length,
               .supervised = measured->supervised,
               .cost = costs_.cost(measured->length, measured->supervised, measured->media),
               .media = {},
               .counts = {}};
  for (const MediaGrids& part : measured->media)
    outcome.item->media[part.kind].patches = patches_of(part.grids);
  if (measured->sample) outcome.item->counts = measured->sample->counts;
  if (measured->decoded) outcome.sample = std::move(measured->sample);
  return outcome;
}

std::shared_ptr<const Sample> SampleFactory::make(const Record& record,
                                                  const PackItem& item) const {
  auto sample = processor_->process(record).take();
  if (policies_.on_overlong == OnOverlong::truncate && policies_.max_length > 0) {
    sample = fitted(std::move(sample));
  } else {
    lay_out(sample);
  }
  if (draws_.drawing && sample.length() == item.length) draw(sample, item.ordinal);
  if (sample.length() != item.length) {
    throw Error(record.origin.text(),
                fmt::format("now has {} tokens, but had {} when its row was planned",
                            sample.length(), item.length),
                "leave data, tokenizer and limits as they are while a training runs or is resumed");
  }
  return std::make_shared<const Sample>(std::move(sample));
}

}  // namespace lmms::data
