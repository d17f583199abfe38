#include <arrow/array.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/message.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/type_traits.h>

#include <algorithm>
#include <filesystem>
#include <list>
#include <mutex>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/files.h"
#include "core/format.h"
#include "data/arrow_row.h"
#include "data/formats.h"
#include "data/mapped_input.h"

namespace lmms::data {
namespace fs = std::filesystem;
namespace {

using BatchPtr = std::shared_ptr<arrow::RecordBatch>;

Fault broken(const std::string& path, const arrow::Status& status) {
  return Fault{path, "not readable as Arrow: " + status.message(),
               "fetch the file again, or correct dataset_format (data_type of a mixture)"};
}

/// Batches that were used lately, up to a number of bytes.
class BatchCache {
 public:
  explicit BatchCache(int64_t limit) : limit_(limit) {}

  BatchPtr find(size_t batch) {
    std::lock_guard lock(mutex_);
    const auto at = by_batch_.find(batch);
    if (at == by_batch_.end()) return nullptr;
    order_.splice(order_.begin(), order_, at->second);
    return at->second->batch;
  }

  void keep(size_t batch, BatchPtr value, int64_t bytes) {
    std::lock_guard lock(mutex_);
    if (by_batch_.contains(batch)) return;  // another thread was faster
    order_.push_front({batch, std::move(value), bytes});
    by_batch_[batch] = order_.begin();
    bytes_ += bytes;
    while (bytes_ > limit_ && order_.size() > 1) {
      bytes_ -= order_.back().bytes;
      by_batch_.erase(order_.back().key);
      order_.pop_back();
    }
  }

 private:
  struct Entry {
    size_t key;
    BatchPtr batch;
    int64_t bytes;
  };
  std::mutex mutex_;
  std::list<Entry> order_;  ///< last used first
  std::unordered_map<size_t, std::list<Entry>::iterator> by_batch_;
  int64_t limit_;
  int64_t bytes_ = 0;
};

/// An Arrow IPC file or stream, mapped. The batches of a file are found by its footer (what stands
/// between them is the writer's affair); the messages of a stream are walked once. Then any batch
/// is made again from its place; uncompressed ones are views of the map.
class ArrowFile {
 public:
  static Result<std::unique_ptr<ArrowFile>> open(const std::string& path,
                                                 const SourceLimits& limits) {
    auto file = std::unique_ptr<ArrowFile>(new ArrowFile(path, limits));
    if (auto fault = file->index()) return *std::move(fault);
    return file;
  }

  int64_t rows() const { return first_rows_.back(); }
  SourceFile file() const {
    return {path_, SourceFile::Kind::columns, std::string_view(*map_->buffer()), std::nullopt};
  }

  /// The batch that holds a row, and the row's index in it.
  Result<std::pair<BatchPtr, int64_t>> find(int64_t row) const {
    const auto after = std::upper_bound(first_rows_.begin(), first_rows_.end(), row);
    const auto b = static_cast<size_t>(after - first_rows_.begin() - 1);
    const int64_t index = row - first_rows_[b];
    if (!whole_.empty()) return std::pair(whole_[b], index);
    if (auto kept = cache_.find(b)) return std::pair(kept, index);
    auto read = read_batch(b);
    if (!read.ok()) return broken(path_, read.status());
    // Views of the map cost their headers alone.
    constexpr int64_t kHeaders = 8192;
    const bool view = compressed_bytes_of(**read) == 0;
    cache_.keep(b, *read, view ? kHeaders : kHeaders + compressed_bytes_of(**read));
    return std::pair(*read, index);
  }

 private:
  ArrowFile(const std::string& path, const SourceLimits& limits)
      : path_(path), cache_(limits.memory_bytes) {}

  /// Bytes of buffers that lie outside the map: those that were decompressed.
  int64_t compressed_bytes_of(const arrow::RecordBatch& batch) const {
    int64_t bytes = 0;
    for (const auto& column : batch.columns()) bytes += outside_bytes(*column->data());
    return bytes;
  }
  int64_t outside_bytes(const arrow::ArrayData& data) const {
    int64_t bytes = 0;
    for (const auto& buffer : data.buffers) {
      if (buffer && (buffer->data() < map_begin_ || buffer->data() >= map_end_)) {
        bytes += buffer->size();
      }
    }
    for (const auto& child : data.child_data) bytes += outside_bytes(*child);
    if (data.dictionary) bytes += outside_bytes(*data.dictionary);
    return bytes;
  }

  std::optional<Fault> index() {
    auto opened = map_input(path_);
    if (!opened) return opened.fault();
    map_ = *std::move(opened);
    const int64_t size = map_->buffer()->size();
    map_begin_ = map_->buffer()->data();
    map_end_ = map_begin_ + size;

    const std::string_view text(reinterpret_cast<const char*>(map_begin_),
                                static_cast<size_t>(size));
    if (text.starts_with("FEA1"))
      return Fault{path_, "is a Feather file of version 1", "write it again in version 2"};
    constexpr std::string_view kMagic = "ARROW1";
    if (!text.starts_with(kMagic)) return walk(size);
    if (!text.ends_with(kMagic) || size < 20) return cut_off();
    return read_footer();
  }

  Fault cut_off() const {
    return Fault{path_, "the Arrow file has no end mark: it is cut off", "write the file again"};
  }

  std::optional<Fault> take_schema(std::shared_ptr<arrow::Schema> schema) {
    schema_ = std::move(schema);
    if (auto why = unreadable(*schema_)) return Fault{path_, *why, "rename the column"};
    return std::nullopt;
  }

  void count(int64_t rows) {
    first_rows_.push_back(first_rows_.back() + std::max<int64_t>(rows, 0));
  }

  std::optional<Fault> read_footer() {
    auto reader = arrow::ipc::RecordBatchFileReader::Open(map_, read_options());
    if (!reader.ok()) return broken(path_, reader.status());
    if (auto fault = take_schema((*reader)->schema())) return fault;
    // Rows are counted by a reader of one column, so that no other is decompressed for it.
    auto counter = arrow::ipc::RecordBatchFileReader::Open(map_, options_for_counting());
    if (!counter.ok()) return broken(path_, counter.status());
    for (int b = 0; b < (*counter)->num_record_batches(); ++b) {
      auto batch = (*counter)->ReadRecordBatch(b);
      if (!batch.ok()) return broken(path_, batch.status());
      count((*batch)->num_rows());
    }
    file_ = *std::move(reader);
    // The first read fetches the dictionaries; behind that threads may read together. A batch that
    // is broken says so when a row of it is read.
    if (rows() > 0) static_cast<void>(find(0));
    return std::nullopt;
  }

  /// With a column of fixed width, if there is one: the cheapest to read.
  arrow::ipc::IpcReadOptions options_for_counting() const {
    auto options = read_options();
    const auto& fields = schema_->fields();
    if (fields.empty()) return options;
    const auto cheap = std::find_if(fields.begin(), fields.end(), [](const auto& field) {
      return arrow::is_primitive(field->type()->id());
    });
    options.included_fields = {cheap == fields.end() ? 0
                                                     : static_cast<int>(cheap - fields.begin())};
    return options;
  }

  std::optional<Fault> walk(int64_t size) {
    arrow::ipc::DictionaryMemo memo;
    for (;;) {
      const int64_t at = map_->Tell().ValueOr(size);
      if (at >= size) return cut_off();
      auto message = arrow::ipc::ReadMessage(map_.get());
      if (!message.ok()) return broken(path_, message.status());
      if (!*message) return schema_ ? std::nullopt : std::optional(cut_off());
      using Type = arrow::ipc::MessageType;
      switch ((*message)->type()) {
        case Type::SCHEMA: {
          if (schema_) return Fault{path_, "an Arrow file with two schemas", ""};
          auto schema = arrow::ipc::ReadSchema(**message, &memo);
          if (!schema.ok()) return broken(path_, schema.status());
          if (auto fault = take_schema(*schema)) return fault;
          break;
        }
        case Type::DICTIONARY_BATCH:
          return read_whole();
        case Type::RECORD_BATCH: {
          if (!schema_) return Fault{path_, "an Arrow file without a schema", ""};
          auto batch = arrow::ipc::ReadRecordBatch(**message, schema_, &no_dictionaries_,
                                                   options_for_counting());
          if (!batch.ok()) return broken(path_, batch.status());
          offsets_.push_back(at);
          count((*batch)->num_rows());
          break;
        }
        default:
          return Fault{path_, "an Arrow file that holds tensors, not rows", ""};
      }
    }
  }

  /// Dictionary-encoded columns of a stream: batches depend on what came before, so all are held.
  std::optional<Fault> read_whole() {
    if (auto moved = map_->Seek(0); !moved.ok()) return broken(path_, moved);
    auto reader = arrow::ipc::RecordBatchStreamReader::Open(map_, read_options());
    if (!reader.ok()) return broken(path_, reader.status());
    auto batches = (*reader)->ToRecordBatches();
    if (!batches.ok()) return broken(path_, batches.status());
    first_rows_ = {0};
    for (auto& batch : *batches) {
      if (auto valid = batch->Validate(); !valid.ok()) return broken(path_, valid);
      count(batch->num_rows());
    }
    whole_ = std::move(*batches);
    return std::nullopt;
  }

  static arrow::ipc::IpcReadOptions read_options() {
    auto options = arrow::ipc::IpcReadOptions::Defaults();
    options.use_threads = false;
    return options;
  }

  arrow::Result<BatchPtr> read_batch(size_t b) const {
    ARROW_ASSIGN_OR_RAISE(auto batch, file_ ? file_->ReadRecordBatch(static_cast<int>(b))
                                            : read_message(offsets_[b]));
    ARROW_RETURN_NOT_OK(batch->Validate());
    return batch;
  }

  arrow::Result<BatchPtr> read_message(int64_t offset) const {
    ARROW_ASSIGN_OR_RAISE(const int64_t size, map_->GetSize());
    // A stream of its own over the map: the readers of other threads move theirs.
    auto stream = arrow::io::RandomAccessFile::GetStream(map_, offset, size - offset);
    ARROW_RETURN_NOT_OK(stream.status());
    ARROW_ASSIGN_OR_RAISE(auto message, arrow::ipc::ReadMessage(stream->get()));
    if (!message) return arrow::Status::Invalid("a batch is missing");
    return arrow::ipc::ReadRecordBatch(*message, schema_, &no_dictionaries_, read_options());
  }

  std::string path_;
  std::shared_ptr<arrow::io::BufferReader> map_;
  const uint8_t* map_begin_ = nullptr;
  const uint8_t* map_end_ = nullptr;
  std::shared_ptr<arrow::Schema> schema_;
  arrow::ipc::DictionaryMemo no_dictionaries_;
  // One of the three holds the batches.
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> file_;
  std::vector<int64_t> offsets_;  ///< of their messages in a stream
  arrow::RecordBatchVector whole_;
  std::vector<int64_t> first_rows_ = {0};  ///< [batches + 1]
  mutable BatchCache cache_;
};

class ArrowSource final : public RecordSource {
 public:
  ArrowSource(std::string path, std::unique_ptr<ArrowFile> file)
      : path_(std::make_shared<const std::string>(std::move(path))), file_(std::move(file)) {}

  int64_t size() const override { return file_->rows(); }

  Result<Record> read(int64_t row) const override {
    Record record{.origin = {path_, row + 1}, .fields = {}, .data_folder = nullptr};
    auto place = file_->find(row);
    if (!place) return Fault{record.origin.text(), place.fault().what, ""};
    record.fields = arrow_row(*place->first, place->second);
    return record;
  }

  std::vector<SourceFile> files() const override { return {file_->file()}; }

 private:
  std::shared_ptr<const std::string> path_;
  std::unique_ptr<ArrowFile> file_;
};

/// Rows of another source in the order of an index column (`_indices_data_files` of a saved data
/// set: a shuffle or selection that was saved without applying it).
class SelectedSource final : public RecordSource {
 public:
  SelectedSource(std::unique_ptr<RecordSource> rows, std::unique_ptr<ArrowFile> indices,
                 std::string indices_path)
      : rows_(std::move(rows)), indices_(std::move(indices)), path_(std::move(indices_path)) {}

  int64_t size() const override { return indices_->rows(); }

  Result<Record> read(int64_t row) const override {
    const auto where = fmt::format("{}:{}", path_, row + 1);
    auto place = indices_->find(row);
    if (!place) return Fault{where, place.fault().what, ""};
    const auto index = arrow_row(*place->first, place->second).value("indices", Json());
    if (!index.is_number_integer() || index < 0 || index >= rows_->size()) {
      return Fault{where, fmt::format("an index out of the {} rows", rows_->size()), ""};
    }
    return rows_->read(index.get<int64_t>());
  }

  std::vector<SourceFile> files() const override {
    auto all = rows_->files();
    all.push_back(indices_->file());
    return all;
  }

 private:
  std::unique_ptr<RecordSource> rows_;
  std::unique_ptr<ArrowFile> indices_;
  std::string path_;
};

/// File names of a list [{"filename": name}, ...] in state.json.
Result<std::vector<std::string>> file_names(const fs::path& state, const nlohmann::json& json,
                                            const char* key) {
  std::vector<std::string> names;
  const auto list = json.find(key);
  if (list == json.end() || list->is_null()) return names;
  const Fault wrong{state.string(), fmt::format("{}: expected [{{\"filename\": ...}}]", key), ""};
  if (!list->is_array()) return wrong;
  for (const auto& entry : *list) {
    const bool named = entry.is_object() && entry.contains("filename");
    if (!named || !entry["filename"].is_string()) return wrong;
    names.push_back((state.parent_path() / entry["filename"].get<std::string>()).string());
  }
  return names;
}

Result<std::unique_ptr<RecordSource>> open_file(const std::string& path,
                                                const SourceLimits& limits) {
  auto file = ArrowFile::open(path, limits);
  if (!file) return file.fault();
  return std::unique_ptr<RecordSource>(std::make_unique<ArrowSource>(path, *std::move(file)));
}

Result<std::unique_ptr<RecordSource>> open_saved(const fs::path& folder,
                                                 const SourceLimits& limits) {
  const auto state_path = folder / "state.json";
  auto text = read_file(state_path);
  if (!text) return text.fault();
  const auto state = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!state.is_object()) return Fault{state_path.string(), "expected a JSON object", ""};
  auto names = file_names(state_path, state, "_data_files");
  if (!names) return names.fault();
  if (names->empty()) return Fault{state_path.string(), "_data_files names no file", ""};
  std::vector<std::unique_ptr<RecordSource>> shards;
  for (const auto& name : *names) {
    auto shard = open_file(name, limits);
    if (!shard) return shard.fault();
    shards.push_back(*std::move(shard));
  }
  auto rows = concatenate(std::move(shards));
  auto indices = file_names(state_path, state, "_indices_data_files");
  if (!indices) return indices.fault();
  if (indices->empty()) return rows;
  if (indices->size() > 1) {
    return Fault{state_path.string(), "_indices_data_files names more than one file", ""};
  }
  auto index = ArrowFile::open(indices->front(), limits);
  if (!index) return index.fault();
  return std::unique_ptr<RecordSource>(
      std::make_unique<SelectedSource>(std::move(rows), *std::move(index), indices->front()));
}

}  // namespace

Result<std::unique_ptr<RecordSource>> open_arrow(const std::string& path,
                                                 const SourceLimits& limits) {
  const fs::path folder(path);
  if (!fs::is_directory(folder)) return open_file(path, limits);
  if (fs::exists(folder / "state.json")) return open_saved(folder, limits);
  if (fs::exists(folder / "dataset_dict.json")) {
    if (fs::exists(folder / "train" / "state.json")) return open_saved(folder / "train", limits);
    return Fault{path, "a saved DatasetDict without a split `train`",
                 "name the folder of the split that you want"};
  }
  return Fault{path, "no state.json: this is no folder of datasets.save_to_disk",
               "name the .arrow file, or save the data set again"};
}

}  // namespace lmms::data
