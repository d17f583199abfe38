#include "data/fingerprint.h"

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/format.h"
#include "core/hash.h"
#include "data/dataset.h"

namespace lmms::data {
namespace {

using nlohmann::json;

uint64_t hash_of(const SourceFile& file) {
  if (file.hash) return *file.hash;
  return file.kind == SourceFile::Kind::text ? text_hash(file.bytes) : sampled_hash(file.bytes);
}

}  // namespace

uint64_t hash_of_pieces(std::span<const uint64_t> pieces) {
  return hash64(std::as_bytes(pieces));
}

uint64_t text_hash(std::string_view text) {
  std::vector<uint64_t> pieces;
  for (size_t at = 0; at < text.size(); at += kHashPiece)
    pieces.push_back(hash64(text.substr(at, kHashPiece)));
  return hash_of_pieces(pieces);
}

uint64_t sampled_hash(std::string_view bytes) {
  constexpr size_t kWhole = size_t{8} << 20;
  constexpr size_t kBlocks = 64, kBlock = size_t{64} << 10, kEnd = size_t{1} << 20;
  if (bytes.size() <= kWhole) return hash64(bytes);
  Hash64 hash;
  const size_t last = bytes.size() - kBlock;
  for (size_t i = 0; i < kBlocks; ++i) {
    // last / (kBlocks - 1) * i would lose up to kBlocks bytes, last * i bits
    const size_t at = last / (kBlocks - 1) * i + last % (kBlocks - 1) * i / (kBlocks - 1);
    hash.add(bytes.substr(at, kBlock));
  }
  hash.add(bytes.substr(bytes.size() - kEnd));
  hash.add(std::to_string(bytes.size()));
  return hash.value();
}

std::vector<SourceFingerprint> fingerprints_of(const Dataset& dataset,
                                               const std::stop_token& stop) {
  struct Task {
    const SourceFile* file;
    FileFingerprint* out;
  };
  const auto files = dataset.files();
  std::vector<SourceFingerprint> out(files.size());
  std::vector<Task> tasks;
  for (size_t s = 0; s < files.size(); ++s) {
    out[s].path = dataset.sources()[s].path;
    out[s].data_folder = dataset.sources()[s].data_folder;
    out[s].files.resize(files[s].size());
    for (size_t f = 0; f < files[s].size(); ++f) tasks.push_back({&files[s][f], &out[s].files[f]});
  }
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t t; (t = next++) < tasks.size() && !stop.stop_requested();) {
      const SourceFile& file = *tasks[t].file;
      *tasks[t].out = {file.path, static_cast<int64_t>(file.bytes.size()),
                       hash_text(hash_of(file))};
    }
  };
  {
    constexpr size_t kMostThreads = 4;  // they wait for disks and networks, mostly
    std::vector<std::jthread> helpers;
    for (size_t i = 1; i < std::min(kMostThreads, tasks.size()); ++i) helpers.emplace_back(work);
    work();
  }
  if (stop.stop_requested()) return {};
  return out;
}

std::vector<std::string> changed_files(const std::vector<SourceFingerprint>& before,
                                       const std::vector<SourceFingerprint>& now) {
  std::vector<std::string> changes;
  if (before.size() != now.size())
    changes.push_back(fmt::format("{} sources, {} before", now.size(), before.size()));
  for (size_t s = 0; s < std::min(before.size(), now.size()); ++s) {
    const auto &old_files = before[s].files, &files = now[s].files;
    if (old_files.size() != files.size()) {
      changes.push_back(
          fmt::format("{}: {} files, {} before", now[s].path, files.size(), old_files.size()));
      continue;
    }
    for (size_t f = 0; f < files.size(); ++f) {
      const FileFingerprint &old = old_files[f], &file = files[f];
      if (old.bytes != file.bytes) {
        changes.push_back(fmt::format("{}: {} bytes, {} before", file.path, file.bytes, old.bytes));
      } else if (old.hash != file.hash) {
        changes.push_back(fmt::format("{}: other content, of the same size", file.path));
      }
    }
  }
  return changes;
}

json to_json(const std::vector<SourceFingerprint>& fingerprints) {
  auto list = json::array();
  for (const auto& source : fingerprints) {
    auto files = json::array();
    for (const auto& file : source.files)
      files.push_back({{"path", file.path}, {"bytes", file.bytes}, {"xxh3", file.hash}});
    list.push_back(
        {{"path", source.path}, {"data_folder", source.data_folder}, {"files", std::move(files)}});
  }
  return list;
}

std::vector<SourceFingerprint> fingerprints_from(const json& list) {
  std::vector<SourceFingerprint> out;
  for (const auto& source : list) {
    SourceFingerprint one{source.at("path"), source.at("data_folder"), {}};
    for (const auto& file : source.at("files"))
      one.files.push_back({file.at("path"), file.at("bytes"), file.at("xxh3")});
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace lmms::data
