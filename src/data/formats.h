#pragma once
/// The readers behind open_source(), one file each.
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/head.h"
#include "data/source.h"

namespace lmms::data {

/// One JSON list; its elements are found in one scan and parsed when they are read.
Result<std::unique_ptr<RecordSource>> open_json(const std::string& path);
/// One JSON object a line, mapped and indexed.
Result<std::unique_ptr<RecordSource>> open_jsonl(const std::string& path);
/// RFC 4180 with a header row; every value is text, an empty cell is a missing key.
Result<std::unique_ptr<RecordSource>> open_csv(const std::string& path);
/// An Arrow IPC file or stream, or a folder of `datasets.save_to_disk`.
Result<std::unique_ptr<RecordSource>> open_arrow(const std::string& path,
                                                 const SourceLimits& limits);
/// Parquet files, one after another; row groups are decoded when a row of theirs is first read.
Result<std::unique_ptr<RecordSource>> open_parquet(const std::vector<std::string>& paths,
                                                   const SourceLimits& limits);

/// Images by class: ROOT/CLASS/**/*.jpg. Rows are in the order of classes' and files' names, each
/// {"image": path, "label": number of the class in that order, "class": its name}.
Result<std::unique_ptr<RecordSource>> open_image_folder(const std::string& path);
/// Whether a folder has folders of images (looked at: the first few).
bool is_image_folder(const std::string& path);
/// A cache that `lmms cache-latents` wrote (data/latent_cache.h).
Result<std::unique_ptr<RecordSource>> open_latents(const std::string& path);
bool is_latent_cache(const std::string& path);

/// The files of a source, in their order: the path itself, what a glob matches, the files of a
/// folder. A folder of `datasets.save_to_disk` is one. Faults: nothing there.
Result<std::vector<std::string>> files_of(const std::string& path, Format format);

/// One file from its front. Faults: it does not open, or is not of this format.
Result<std::unique_ptr<RowCursor>> json_cursor(const std::string& path);
Result<std::unique_ptr<RowCursor>> jsonl_cursor(const std::string& path);
Result<std::unique_ptr<RowCursor>> csv_cursor(const std::string& path);

}  // namespace lmms::data
