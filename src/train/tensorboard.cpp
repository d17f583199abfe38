#include "train/tensorboard.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <utility>

#include "core/clock.h"
#include "core/format.h"

namespace lmms::train {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "events.out.tfevents.";
constexpr size_t kMostWaiting = 64 << 10;
constexpr std::chrono::seconds kLongestWait{5};

// ---- CRC32C (Castagnoli), masked as TFRecord files store it ----

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0x82F63B78u : 0u);
    table[i] = c;
  }
  return table;
}

uint32_t masked_crc(std::string_view bytes) {
  static constexpr auto kTable = crc_table();
  uint32_t crc = ~0u;
  for (const char c : bytes)
    crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  crc = ~crc;
  return std::rotr(crc, 15) + 0xA282EAD8u;
}

template <class T>
void put(std::string& out, T value) {
  static_assert(std::endian::native == std::endian::little);
  std::array<char, sizeof(T)> bytes;
  std::memcpy(bytes.data(), &value, sizeof(T));
  out.append(bytes.data(), bytes.size());
}

/// uint64 length, its crc, the bytes, their crc.
std::string record(std::string_view message) {
  std::string out;
  put(out, static_cast<uint64_t>(message.size()));
  put(out, masked_crc(out));
  out += message;
  put(out, masked_crc(message));
  return out;
}

// ---- protobuf: a key is field << 3 | type (0 varint, 1 eight bytes, 2 length and bytes, 5 four)
// ----

void varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void bytes_field(std::string& out, unsigned field, std::string_view bytes) {
  varint(out, field << 3 | 2);
  varint(out, bytes.size());
  out += bytes;
}

// message Event { double wall_time = 1; int64 step = 2; oneof what { string file_version = 3;
//                 Summary summary = 5; SessionLog session_log = 7; } }
// As protobuf does, zeros of plain fields are left out.
std::string event(double wall_time, int64_t step, unsigned field, std::string_view what) {
  std::string out;
  if (wall_time != 0) {
    varint(out, 1 << 3 | 1);
    put(out, wall_time);
  }
  if (step != 0) {
    varint(out, 2 << 3 | 0);
    varint(out, static_cast<uint64_t>(step));
  }
  bytes_field(out, field, what);
  return out;
}

/// The seconds in the name of an event file; 0 for other files.
int64_t seconds_of(const std::string& name) {
  int64_t seconds = 0;
  if (name.starts_with(kPrefix))
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), seconds);
  return seconds;
}

/// Readers take the files of a folder in the order of their names, which is that of these seconds.
fs::path new_name(const fs::path& folder) {
  auto seconds = static_cast<int64_t>(unix_seconds());
  std::error_code none;
  for (fs::directory_iterator file(folder, none), end; !none && file != end; file.increment(none))
    seconds = std::max(seconds, seconds_of(file->path().filename().string()) + 1);
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0')
    std::strcpy(host.data(), "localhost");
  return folder / fmt::format("{}{}.{}.{}.0", kPrefix, seconds, host.data(), ::getpid());
}

}  // namespace

namespace event_records {

std::string version(double wall_time) {
  return record(event(wall_time, 0, 3, "brain.Event:2"));
}

std::string session_start(double wall_time, int64_t step) {
  constexpr std::string_view kStart("\x08\x01", 2);  // SessionLog { status = 1: START }
  return record(event(wall_time, step, 7, kStart));
}

std::string scalars(double wall_time, int64_t step, std::span<const EventFile::Scalar> values) {
  std::string summary;  // Summary { repeated Value value = 1; }
  for (const auto& [tag, value] : values) {
    std::string one;  // Value { string tag = 1; oneof { float simple_value = 2; } }
    if (!tag.empty()) bytes_field(one, 1, tag);
    varint(one, 2 << 3 | 5);
    put(one, static_cast<float>(value));
    bytes_field(summary, 1, one);
  }
  return record(event(wall_time, step, 5, summary));
}

}  // namespace event_records

fs::path event_folder(const fs::path& output_dir, const std::optional<std::string>& run_name) {
  std::string name = run_name.value_or("");
  if (name.empty()) {
    fs::path whole = fs::absolute(output_dir).lexically_normal();
    if (!whole.has_filename()) whole = whole.parent_path();  // "out/" names out
    name = whole.filename().string();
  }
  for (char& c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == '/' || c == 0x7F) c = '_';
  if (name.empty() || name == "." || name == "..") name = "run";
  return output_dir / "runs" / name.substr(0, 200);
}

std::string event_tag(std::string_view field) {
  constexpr std::string_view kEvaluation = "eval_";
  if (!field.starts_with(kEvaluation)) return "train/" + std::string(field);
  return "eval/" + std::string(field.substr(kEvaluation.size()));
}

EventFile::EventFile(const fs::path& folder, int64_t first_step)
    : flushed_(std::chrono::steady_clock::now()) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) {
    throw Error(folder.string(), "cannot be made: " + failure.message(),
                "make the output folder writable, or leave tensorboard out of "
                "trainer_args.report_to",
                Exit::failed);
  }
  path_ = new_name(folder);
  file_.emplace(path_);
  waiting_ = event_records::version(unix_seconds()) +
             event_records::session_start(unix_seconds(), first_step);
  flush();
}

EventFile::~EventFile() {
  try {
    flush();
  } catch (const Error&) {  // told at an earlier flush, or not worth ending what succeeded
  }
}

void EventFile::scalars(int64_t step, double wall_time, std::span<const Scalar> values) {
  waiting_ += event_records::scalars(wall_time, step, values);
  if (waiting_.size() >= kMostWaiting ||
      std::chrono::steady_clock::now() - flushed_ >= kLongestWait) {
    flush();
  }
}

void EventFile::flush() {
  flushed_ = std::chrono::steady_clock::now();
  if (waiting_.empty()) return;
  const std::string text = std::exchange(waiting_, {});
  file_->write(text);
}

}  // namespace lmms::train
