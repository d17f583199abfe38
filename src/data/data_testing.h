#pragma once
/// For the tests of this room: files that vanish, sources in memory, a processor that needs no
/// tokenizer.
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/format.h"
#include "data/dataset.h"
#include "data/processor.h"
#include "data/source.h"

namespace lmms::data {

/// A folder of its own that is removed at the end.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "lmms-data-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string path(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, std::string_view text) const {
    std::filesystem::remove(path(name));  // a file that is mapped already stays whole
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }

 private:
  std::filesystem::path path_;
};

/// A file of tests/fixtures/data.
std::string fixture(const std::string& name);

inline std::string file_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Rows that are made when they are read.
class MadeSource final : public RecordSource {
 public:
  using Make = std::function<Result<nlohmann::json>(int64_t row)>;
  MadeSource(std::string name, int64_t rows, Make make)
      : name_(std::make_shared<const std::string>(std::move(name))),
        rows_(rows),
        make_(std::move(make)) {}
  int64_t size() const override { return rows_; }
  Result<Record> read(int64_t row) const override {
    Record record{.origin = {name_, row + 1}, .fields = {}, .data_folder = nullptr};
    auto fields = make_(row);
    if (!fields) return Fault{record.origin.text(), fields.fault().what, fields.fault().fix};
    record.fields = *std::move(fields);
    return record;
  }
  std::vector<SourceFile> files() const override { return {}; }

 private:
  std::shared_ptr<const std::string> name_;
  int64_t rows_;
  Make make_;
};

/// A data set of one source, whose rows are made when they are read.
inline std::shared_ptr<const Dataset> dataset_of(int64_t rows, MadeSource::Make make,
                                                 bool shuffle = false, uint64_t seed = 1) {
  std::vector<Dataset::Part> parts(1);
  parts[0].summary = {
      .path = "made", .format = "made", .weight = 1.0, .rows = rows, .samples_per_epoch = rows};
  parts[0].source = std::make_unique<MadeSource>("made", rows, std::move(make));
  return std::make_shared<const Dataset>(std::move(parts), shuffle, seed);
}

/// Row r of `lengths.size()` rows is a sample of lengths[r] tokens, each with id r.
inline std::shared_ptr<const Dataset> made_dataset(const std::vector<int64_t>& lengths,
                                                   bool shuffle = true, uint64_t seed = 42) {
  const auto make = [lengths](int64_t row) {
    return Result<nlohmann::json>(
        nlohmann::json{{"id", row}, {"length", lengths[static_cast<size_t>(row)]}});
  };
  return dataset_of(static_cast<int64_t>(lengths.size()), make, shuffle, seed);
}

/// {id, length} -> `length` tokens `id`; the last has no target. A length of 1 is unsupervised, 0
/// is empty, below 0 is a fault. {supervised: n} trains the last n targets alone, {patches: n} adds
/// an image of as many patches.
class MadeProcessor final : public Processor {
 public:
  /// Without `keeps`, measuring makes no sample (as with media), so that it is made for its row.
  explicit MadeProcessor(bool keeps = true) : keeps_(keeps) {}
  Result<Measured> measure(const Record& record) const override {
    auto sample = process(record);
    if (!sample) return sample.fault();
    auto measured = measure_sample(*std::move(sample));
    if (!keeps_) measured.sample = nullptr;
    return measured;
  }
  Result<Sample> process(const Record& record) const override {
    const auto length = record.fields.at("length").get<int64_t>();
    if (length < 0) return Fault{record.origin.text(), "rotten", ""};
    const auto id = record.fields.at("id").get<int32_t>();
    Sample sample;
    sample.origin = record.origin;
    sample.text.input_ids.assign(static_cast<size_t>(length), id);
    sample.text.labels.assign(static_cast<size_t>(length), id);
    if (length > 0) sample.text.labels.back() = kIgnore;
    if (const auto patches = record.fields.value("patches", int64_t{0}); patches > 0)
      sample.media[kVision].grids = {{1, 1, patches}};
    const auto supervised = record.fields.value("supervised", length);
    for (int64_t t = 0; t + 1 < length - supervised; ++t) {
      sample.text.labels[static_cast<size_t>(t)] = kIgnore;
    }
    return sample;
  }
  Result<Sample> prompt(const Conversation&) const override { return Fault{"", "no chat", ""}; }

 private:
  bool keeps_;
};

}  // namespace lmms::data
