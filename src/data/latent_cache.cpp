#include "data/latent_cache.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>

#include "checkpoint/json_file.h"
#include "checkpoint/safetensors.h"
#include "core/format.h"
#include "core/hash.h"
#include "data/formats.h"

namespace lmms::data {
namespace fs = std::filesystem;
namespace {

using checkpoint::DType;
using nlohmann::json;

constexpr const char* kKind = "lmms latents";
constexpr int kVersion = 1;
constexpr int64_t kMostElements = int64_t{1} << 28;  // of a latent

constexpr const char* kAgain = "the cache is damaged: remove it and run lmms cache-latents again";

float float_of_half(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t exponent = half >> 10 & 31, fraction = half & 0x3ffu;
  if (exponent == 0) {  // zero and what is below the least normal number
    const float value = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -value : value;
  }
  const uint32_t wide = exponent == 31 ? 255u : exponent + 112;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

/// Reads members of an object, each of one type within bounds, and remembers the first that is not.
class IndexReader {
 public:
  explicit IndexReader(const json& object) : object_(object) {}
  int64_t whole(const char* key, int64_t least, int64_t most) {
    const auto found = object_.find(key);
    if (found == object_.end() || !found->is_number_integer() ||
        found->get<double>() < static_cast<double>(least) ||
        found->get<double>() > static_cast<double>(most)) {
      fail(key, fmt::format("expected a whole number from {} to {}", least, most));
      return least;
    }
    return found->get<int64_t>();
  }
  double number(const char* key) {
    const auto found = object_.find(key);
    if (found == object_.end() || !found->is_number() || !std::isfinite(found->get<double>())) {
      fail(key, "expected a number");
      return 1.0;
    }
    return found->get<double>();
  }
  std::string text(const char* key) {
    const auto found = object_.find(key);
    if (found == object_.end() || !found->is_string()) {
      fail(key, "expected a text");
      return "";
    }
    return found->get<std::string>();
  }
  void fail(const char* key, const std::string& what) {
    if (fault_.empty()) fault_ = fmt::format("{}: {}", key, what);
  }
  const std::string& fault() const { return fault_; }

 private:
  const json& object_;
  std::string fault_;
};

LatentSettings settings_from(IndexReader& in) {
  LatentSettings s;
  s.autoencoder = in.text("autoencoder");
  s.data = in.text("data");
  s.channels = in.whole("channels", 1, 1 << 16);
  s.height = in.whole("height", 1, 1 << 16);
  s.width = in.whole("width", 1, 1 << 16);
  s.versions = in.whole("versions", 1, 2);
  s.image_size = in.whole("image_size", 1, 1 << 20);
  const auto dtype = checkpoint::dtype_named(in.text("dtype"));
  if (!dtype || !is_latent_type(*dtype)) in.fail("dtype", "expected F32, F16 or BF16");
  s.dtype = dtype.value_or(DType::f32);
  s.scale = in.number("scale");
  s.shift = in.number("shift");
  s.rows_per_shard = in.whole("rows_per_shard", 1, int64_t{1} << 40);
  if (s.channels * s.height * s.width > kMostElements) in.fail("channels", "too large a latent");
  return s;
}

LatentShard shard_from(IndexReader& in) {
  LatentShard shard;
  shard.file = in.text("file");
  if (shard.file.find('/') != std::string::npos || shard.file.starts_with('.'))
    in.fail("file", "expected the name of a file beside the index");
  shard.count = in.whole("count", 0, int64_t{1} << 40);
  shard.sum.bytes = static_cast<uint64_t>(in.whole("bytes", 0, int64_t{1} << 50));
  const std::string sum = in.text("xxh3");
  const auto [end, error] =
      std::from_chars(sum.data(), sum.data() + sum.size(), shard.sum.checksum, 16);
  if (error != std::errc() || end != sum.data() + sum.size())
    in.fail("xxh3", "expected a hexadecimal number");
  return shard;
}

/// A shard, mapped, and the places of its tensors.
struct OpenShard {
  checkpoint::SafetensorsFile file;
  int64_t first = 0;  // of its samples in the cache
  const uint8_t *mean = nullptr, *deviation = nullptr, *labels = nullptr;
};

const uint8_t* start_of(const checkpoint::TensorView& tensor) {
  return reinterpret_cast<const uint8_t*>(tensor.bytes.data());
}

Result<OpenShard> open_shard(const fs::path& folder, const LatentShard& shard,
                             const LatentSettings& s) {
  const fs::path path = folder / shard.file;
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  if (error) return Fault{path.string(), "a shard that the index names is not there", kAgain};
  if (bytes != shard.sum.bytes) {
    return Fault{path.string(), fmt::format("{} bytes, the index says {}", bytes, shard.sum.bytes),
                 kAgain};
  }
  auto file = checkpoint::SafetensorsFile::open(path);
  if (!file) return Fault{file.fault().where, file.fault().what, kAgain};
  OpenShard out{.file = *std::move(file)};
  const checkpoint::Shape values = {shard.count, s.versions, s.channels, s.height, s.width};
  const auto find = [&](const char* name, DType dtype,
                        const checkpoint::Shape& shape) -> const checkpoint::TensorView* {
    const auto* tensor = out.file.find(name);
    return tensor != nullptr && tensor->dtype == dtype && tensor->shape == shape ? tensor : nullptr;
  };
  const auto* mean = find("mean", s.dtype, values);
  const auto* deviation = find("deviation", s.dtype, values);
  const auto* labels = find("labels", DType::i64, {shard.count});
  if (mean == nullptr || deviation == nullptr || labels == nullptr) {
    return Fault{
        path.string(),
        fmt::format("expected mean and deviation {} {} and labels [{}] I64",
                    checkpoint::name_of(s.dtype), checkpoint::text_of(values), shard.count),
        kAgain};
  }
  out.mean = start_of(*mean);
  out.deviation = start_of(*deviation);
  out.labels = start_of(*labels);
  return out;
}

class LatentSource final : public RecordSource {
 public:
  LatentSource(const std::string& folder, LatentIndex index, std::string index_text,
               std::vector<OpenShard> shards)
      : folder_(std::make_shared<const std::string>(folder)),
        index_(std::move(index)),
        index_text_(std::move(index_text)),
        shards_(std::move(shards)),
        count_(index_.count()) {}

  int64_t size() const override { return count_; }

  Result<Record> read(int64_t row) const override {
    const auto after =
        std::upper_bound(shards_.begin(), shards_.end(), row,
                         [](int64_t at, const OpenShard& shard) { return at < shard.first; });
    const OpenShard& shard = *(after - 1);
    const LatentSettings& s = index_.settings;
    const auto at = static_cast<size_t>(row - shard.first);
    const size_t bytes = static_cast<size_t>(s.versions * s.channels * s.height * s.width) *
                         checkpoint::size_of(s.dtype);
    const auto values = [&](const uint8_t* from) {
      return Json::binary({from + at * bytes, from + (at + 1) * bytes});
    };
    int64_t label = 0;
    std::memcpy(&label, shard.labels + at * sizeof(label), sizeof(label));
    Record record{.origin = {folder_, row + 1}, .fields = Json::object(), .data_folder = nullptr};
    record.fields[kLatentMean] = values(shard.mean);
    record.fields[kLatentDeviation] = values(shard.deviation);
    record.fields[kLatentShape] = {s.versions, s.channels, s.height, s.width};
    record.fields[kLatentType] = checkpoint::name_of(s.dtype);
    record.fields[kLatentScale] = s.scale;
    record.fields[kLatentShift] = s.shift;
    record.fields["label"] = label;
    return record;
  }

  /// The index, which has the sums of the shards.
  std::vector<SourceFile> files() const override {
    return {{.path = (fs::path(*folder_) / kLatentIndex).string(),
             .kind = SourceFile::Kind::text,
             .bytes = index_text_,
             .hash = {}}};
  }

 private:
  std::shared_ptr<const std::string> folder_;
  LatentIndex index_;
  std::string index_text_;
  std::vector<OpenShard> shards_;
  int64_t count_;
};

}  // namespace

int64_t LatentIndex::count() const {
  int64_t sum = 0;
  for (const LatentShard& shard : shards) sum += shard.count;
  return sum;
}

std::string latent_shard_name(int64_t shard) {
  return fmt::format("latents-{:05}.safetensors", shard);
}

bool is_latent_type(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

json to_json(const LatentSettings& s) {
  return {{"autoencoder", s.autoencoder},
          {"data", s.data},
          {"channels", s.channels},
          {"height", s.height},
          {"width", s.width},
          {"versions", s.versions},
          {"image_size", s.image_size},
          {"dtype", checkpoint::name_of(s.dtype)},
          {"scale", s.scale},
          {"shift", s.shift},
          {"rows_per_shard", s.rows_per_shard}};
}

json to_json(const LatentIndex& index) {
  json shards = json::array();
  for (const LatentShard& shard : index.shards) {
    shards.push_back({{"file", shard.file},
                      {"count", shard.count},
                      {"bytes", shard.sum.bytes},
                      {"xxh3", hash_text(shard.sum.checksum)}});
  }
  return {{"kind", kKind},
          {"version", kVersion},
          {"settings", to_json(index.settings)},
          {"autoencoder_path", index.autoencoder_path},
          {"classes", index.classes},
          {"count", index.count()},
          {"skipped", index.skipped},
          {"shards", std::move(shards)}};
}

Result<LatentIndex> read_latent_index(const fs::path& folder) {
  const fs::path path = folder / kLatentIndex;
  std::error_code none;
  if (!fs::exists(path, none)) {
    return Fault{folder.string(),
                 fmt::format("holds no {}: no cache, or not finished", kLatentIndex),
                 "run lmms cache-latents, which goes on where it was stopped"};
  }
  const auto root = checkpoint::read_json_object(path);
  if (!root) return Fault{root.fault().where, root.fault().what, kAgain};
  if (root->value("kind", json()) != kKind)
    return Fault{path.string(), "is no index of latents", "name a folder of lmms cache-latents"};
  if (root->value("version", json()) != kVersion) {
    return Fault{
        path.string(),
        fmt::format("version {}: only {} is read", root->value("version", json()).dump(), kVersion),
        "make the cache again with lmms cache-latents"};
  }
  LatentIndex index;
  IndexReader top(*root);
  index.autoencoder_path = top.text("autoencoder_path");
  index.classes = top.whole("classes", 0, 1 << 24);
  index.skipped = top.whole("skipped", 0, int64_t{1} << 40);
  std::string fault = top.fault();
  const json settings = root->value("settings", json::object());
  IndexReader settings_reader(settings.is_object() ? settings : *root);
  index.settings = settings_from(settings_reader);
  if (fault.empty()) fault = settings_reader.fault();
  const auto shards = root->find("shards");
  if (shards == root->end() || !shards->is_array()) {
    if (fault.empty()) fault = "shards: expected a list";
  } else {
    for (const json& one : *shards) {
      const json object = one.is_object() ? one : json::object();
      IndexReader reader(object);
      index.shards.push_back(shard_from(reader));
      if (fault.empty()) fault = reader.fault();
    }
  }
  if (!fault.empty()) return Fault{path.string(), fault, kAgain};
  return index;
}

std::vector<float> floats_of(const uint8_t* bytes, size_t count, DType dtype) {
  std::vector<float> out(count);
  if (dtype == DType::f32) {
    std::memcpy(out.data(), bytes, count * sizeof(float));
    return out;
  }
  for (size_t i = 0; i < count; ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, bytes + 2 * i, sizeof(bits));
    out[i] = dtype == DType::f16 ? float_of_half(bits) : std::bit_cast<float>(uint32_t{bits} << 16);
  }
  return out;
}

bool is_latent_cache(const std::string& path) {
  std::error_code none;
  return fs::exists(fs::path(path) / kLatentIndex, none) &&
         fs::exists(fs::path(path) / latent_shard_name(0), none);
}

Result<std::unique_ptr<RecordSource>> open_latents(const std::string& path) {
  auto index = read_latent_index(path);
  if (!index) return index.fault();
  std::vector<OpenShard> shards;
  int64_t first = 0;
  for (const LatentShard& shard : index->shards) {
    auto opened = open_shard(path, shard, index->settings);
    if (!opened) return opened.fault();
    opened->first = first;
    first += shard.count;
    if (shard.count > 0) shards.push_back(*std::move(opened));
  }
  std::string text = to_json(*index).dump();
  return std::unique_ptr<RecordSource>(
      std::make_unique<LatentSource>(path, *std::move(index), std::move(text), std::move(shards)));
}

}  // namespace lmms::data
