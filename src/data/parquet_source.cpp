#include <arrow/array.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "core/format.h"
#include "data/arrow_row.h"
#include "data/formats.h"
#include "data/mapped_input.h"

namespace lmms::data {
namespace fs = std::filesystem;
namespace {

Fault broken(const std::string& path, const std::string& what) {
  return Fault{path, "not readable as Parquet: " + what,
               "fetch the file again, or correct dataset_format (data_type of a mixture)"};
}

/// Where decoded row groups go: memory while the budget lasts, then files that have no name any
/// more, which the kernel frees with the process and pages in and out as it sees fit.
class RowGroupStore {
 public:
  explicit RowGroupStore(const SourceLimits& limits)
      : memory_left_(limits.memory_bytes),
        folder_(limits.spill_folder.empty() ? fs::temp_directory_path().string()
                                            : limits.spill_folder) {}

  arrow::Result<arrow::RecordBatchVector> keep(arrow::RecordBatchVector batches) {
    int64_t bytes = 0;
    for (const auto& batch : batches) {
      for (const auto& column : batch->columns()) bytes += bytes_of(*column->data());
    }
    if (memory_left_.fetch_sub(bytes) >= bytes) return batches;
    memory_left_.fetch_add(bytes);
    return spill(batches);
  }

 private:
  static int64_t bytes_of(const arrow::ArrayData& data) {
    int64_t bytes = 0;
    for (const auto& buffer : data.buffers) bytes += buffer ? buffer->size() : 0;
    for (const auto& child : data.child_data) bytes += bytes_of(*child);
    if (data.dictionary) bytes += bytes_of(*data.dictionary);
    return bytes;
  }

  arrow::Result<arrow::RecordBatchVector> spill(const arrow::RecordBatchVector& batches) const {
    std::string path = folder_ + "/lmms-rows-XXXXXX";
    const int fd = ::mkstemp(path.data());
    if (fd < 0) {
      return arrow::Status::IOError("no temporary file in ", folder_, ": ", std::strerror(errno));
    }
    const auto write = [&]() -> arrow::Result<arrow::RecordBatchVector> {
      ARROW_ASSIGN_OR_RAISE(auto out, arrow::io::FileOutputStream::Open(fd));
      ARROW_ASSIGN_OR_RAISE(auto writer,
                            arrow::ipc::MakeStreamWriter(out, batches.front()->schema()));
      for (const auto& batch : batches) ARROW_RETURN_NOT_OK(writer->WriteRecordBatch(*batch));
      ARROW_RETURN_NOT_OK(writer->Close());
      ARROW_RETURN_NOT_OK(out->Close());
      auto input = map_input(path);
      if (!input) return arrow::Status::IOError(input.fault().text());
      ARROW_ASSIGN_OR_RAISE(auto reader,
                            arrow::ipc::RecordBatchStreamReader::Open(*std::move(input)));
      return reader->ToRecordBatches();
    };
    auto written = write();
    ::unlink(path.c_str());
    if (written.ok()) return written;
    return arrow::Status::IOError("decoded rows do not fit in ", folder_, " (",
                                  written.status().message(),
                                  "); free space there, or name another folder by TMPDIR");
  }

  std::atomic<int64_t> memory_left_;
  std::string folder_;
};

/// One file. A row group is decoded once, by the first thread that wants a row of it.
class ParquetFile {
 public:
  static Result<std::unique_ptr<ParquetFile>> open(const std::string& path,
                                                   std::shared_ptr<RowGroupStore> store) {
    try {
      auto file = std::unique_ptr<ParquetFile>(new ParquetFile(path, std::move(store)));
      auto input = map_input(path);
      if (!input) return input.fault();
      file->input_ = *std::move(input);
      file->metadata_ = parquet::ParquetFileReader::Open(file->input_)->metadata();
      file->index();
      return file;
    } catch (const std::exception& error) {  // what the Parquet library throws
      return broken(path, error.what());
    }
  }

  int64_t rows() const { return first_rows_.back(); }
  SourceFile file() const {
    return {path_, SourceFile::Kind::columns, std::string_view(*input_->buffer()), std::nullopt};
  }

  Result<Json> read(int64_t row) {
    const auto after = std::upper_bound(first_rows_.begin(), first_rows_.end(), row);
    const auto group = static_cast<size_t>(after - first_rows_.begin() - 1);
    auto& decoded = *groups_[group];
    std::call_once(decoded.once, [&] { decode(static_cast<int>(group), decoded); });
    if (decoded.fault) return *decoded.fault;
    int64_t index = row - first_rows_[group];
    for (const auto& batch : decoded.batches) {
      if (index < batch->num_rows()) return arrow_row(*batch, index);
      index -= batch->num_rows();
    }
    return broken(path_, fmt::format("row group {} has fewer rows than it says", group));
  }

 private:
  struct RowGroup {
    std::once_flag once;
    arrow::RecordBatchVector batches;
    std::optional<Fault> fault;
  };

  ParquetFile(std::string path, std::shared_ptr<RowGroupStore> store)
      : path_(std::move(path)), store_(std::move(store)) {}

  void index() {
    first_rows_ = {0};
    for (int i = 0; i < metadata_->num_row_groups(); ++i) {
      const int64_t rows = metadata_->RowGroup(i)->num_rows();
      if (rows < 0) throw std::runtime_error("a row group with a negative number of rows");
      first_rows_.push_back(first_rows_.back() + rows);
      groups_.push_back(std::make_unique<RowGroup>());
    }
  }

  void decode(int group, RowGroup& decoded) const {
    try {
      auto batches = decode_group(group);
      if (batches.ok()) {
        decoded.batches = *std::move(batches);
      } else {
        decoded.fault = broken(path_, batches.status().message());
      }
    } catch (const std::exception& error) {
      decoded.fault = broken(path_, error.what());
    }
  }

  arrow::Result<arrow::RecordBatchVector> decode_group(int group) const {
    // A reader of its own for each row group: readers are not shared between threads.
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(input_, parquet::default_reader_properties(), metadata_));
    ARROW_ASSIGN_OR_RAISE(auto reader, builder.Build());
    ARROW_ASSIGN_OR_RAISE(auto table, reader->ReadRowGroup(group));
    if (auto why = unreadable(*table->schema())) return arrow::Status::Invalid(*why);
    arrow::TableBatchReader slices(*table);
    ARROW_ASSIGN_OR_RAISE(auto batches, slices.ToRecordBatches());
    for (const auto& batch : batches) ARROW_RETURN_NOT_OK(batch->Validate());
    if (batches.empty()) return batches;
    return store_->keep(std::move(batches));
  }

  std::string path_;
  std::shared_ptr<RowGroupStore> store_;
  std::shared_ptr<arrow::io::BufferReader> input_;
  std::shared_ptr<parquet::FileMetaData> metadata_;
  std::vector<int64_t> first_rows_;  ///< [row groups + 1]
  std::vector<std::unique_ptr<RowGroup>> groups_;
};

class ParquetSource final : public RecordSource {
 public:
  ParquetSource(std::string path, std::unique_ptr<ParquetFile> file)
      : path_(std::make_shared<const std::string>(std::move(path))), file_(std::move(file)) {}

  int64_t size() const override { return file_->rows(); }

  Result<Record> read(int64_t row) const override {
    Record record{.origin = {path_, row + 1}, .fields = {}, .data_folder = nullptr};
    auto fields = file_->read(row);
    if (!fields) return Fault{record.origin.text(), fields.fault().what, ""};
    record.fields = *std::move(fields);
    return record;
  }

  std::vector<SourceFile> files() const override { return {file_->file()}; }

 private:
  std::shared_ptr<const std::string> path_;
  std::unique_ptr<ParquetFile> file_;
};

}  // namespace

Result<std::unique_ptr<RecordSource>> open_parquet(const std::vector<std::string>& paths,
                                                   const SourceLimits& limits) {
  auto store = std::make_shared<RowGroupStore>(limits);
  std::vector<std::unique_ptr<RecordSource>> files;
  for (const auto& path : paths) {
    auto file = ParquetFile::open(path, store);
    if (!file) return file.fault();
    files.push_back(std::make_unique<ParquetSource>(path, *std::move(file)));
  }
  return concatenate(std::move(files));
}

}  // namespace lmms::data
