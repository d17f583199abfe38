#include "data/sample_reader.h"

#include "core/format.h"

namespace lmms::data {

Result<Record> SampleReader::record(int64_t ordinal) const {
  const int64_t rows = dataset_->rows_per_epoch();
  return dataset_->read(dataset_->place(ordinal / rows, ordinal % rows));
}

Outcome SampleJudge::bad(Fault fault) const {
  const bool fatal = policies_.on_bad_sample == OnBadSample::fail;
  if (fatal) {
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

std::optional<Outcome> SampleJudge::limit_length(Measured& measured, const Origin& origin) const {
  Outcome outcome;
  outcome.reason = SkipReason::overlong;
  outcome.fault = {origin.text(),
                   fmt::format("{} tokens, the limit is {}", measured.length, limit_), ""};
  switch (policies_.on_overlong) {
    case OnOverlong::drop:
      return outcome;
    case OnOverlong::fail:
      outcome.fatal = true;
      outcome.fault.fix =
          "raise dataset_config.max_length (packing_length with packing), or set "
          "dataset_config.on_overlong: drop or truncate";
      return outcome;
    case OnOverlong::truncate:
      break;
  }
  if (!measured.sample) return bad({origin.text(), "too long, and media cannot be cut", ""});
  Sample cut = *measured.sample;
  truncate(cut, limit_);
  measured = measure_text(std::move(cut));
  return std::nullopt;
}

Outcome SampleJudge::measure(const Result<Record>& record, int64_t ordinal) const {
  if (!record) return bad(record.fault());
  auto measured = processor_->measure(*record);
  if (!measured) return bad(measured.fault());
  const auto& origin = record->origin;
  Outcome outcome;
  if (measured->length == 0) {
    outcome.reason = SkipReason::empty;
    outcome.fault = {origin.text(), "no token", ""};
    return outcome;
  }
  if (limit_ > 0 && measured->length > limit_) {
    const int64_t length = measured->length;
    if (auto stopped = limit_length(*measured, origin)) return *std::move(stopped);
    outcome.truncated = true;
    outcome.fault = {origin.text(), fmt::format("{} tokens cut to {}", length, limit_), ""};
  }
  if (measured->supervised == 0) {
    outcome.truncated = false;
    outcome.reason = SkipReason::unsupervised;
    outcome.fault = {origin.text(), "no token of it is trained", ""};
    return outcome;
  }
  outcome.item = PackItem{.ordinal = ordinal,
                          .length = measured->length,
                          .supervised = measured->supervised,
                          .cost = measured->cost};
  outcome.sample = std::move(measured->sample);
  return outcome;
}

std::shared_ptr<const Sample> SampleJudge::make(const Record& record, const PackItem& item) const {
  auto sample = processor_->process(record).take();
  if (policies_.on_overlong == OnOverlong::truncate && limit_ > 0) truncate(sample, limit_);
  if (sample.length() != item.length) {
    throw Error(record.origin.text(),
                fmt::format("now has {} tokens, but had {} when its row was planned",
                            sample.length(), item.length),
                "leave data, tokenizer and limits as they are while a training runs or is resumed");
  }
  return std::make_shared<const Sample>(std::move(sample));
}

}  // namespace lmms::data
